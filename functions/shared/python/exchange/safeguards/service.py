"""What customers do with their safeguards: a second factor for withdrawals, a list of destinations."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Code, Refused
from exchange.safeguards.model import DESTINATIONS_MAX, CodeCheck, Destination, Safeguards, proven_step

_RACED = Refused(Code.WITHDRAWAL_SAFEGUARD_CHANGED, "the safeguards were changed at that moment; look again")


class Store(Protocol):
    """Where safeguards are kept."""

    def safeguards(self, user_id: str) -> Safeguards:
        """What a customer set."""
        ...

    def change(self, user_id: str, before: Safeguards, after: Safeguards) -> bool:
        """Write what a customer changed; False where another change was quicker."""
        ...

    def note_wrong_code(self, user_id: str, now_ns: int) -> None:
        """Count a wrong code."""
        ...

    def destination(self, user_id: str, text: str) -> Destination | None:
        """A listed destination."""
        ...

    def add_destination(self, user_id: str, destination: Destination) -> bool:
        """List a destination; False where it is listed, or there are too many."""
        ...

    def remove_destination(self, user_id: str, destination_id: str) -> bool:
        """Take a destination off the list; False where it is not on it."""
        ...


# A new secret, sealed, and what its owner puts into an authenticator.
NewSecret = Callable[[str, str], tuple[bytes, dict[str, str]]]


class Safeguarding:
    """One customer's safeguards in one request.

    Whatever makes a theft easier needs a code where there is a second factor, and starts the cool-down.
    """

    def __init__(self, user_id: str, now_ns: int, *, store: Store, check_code: CodeCheck) -> None:
        self._user_id = user_id
        self._now_ns = now_ns
        self._store = store
        self._check_code = check_code

    def list_only(self, wanted: bool, code: str) -> Safeguards | Refused:
        """Take out to listed destinations only, or anywhere again.

        Refuses:  WITHDRAWAL_CODE_INVALID, WITHDRAWAL_SAFEGUARD_CHANGED.
        Raises:   OutageError; doing it again is harmless.
        """
        own = self._store.safeguards(self._user_id)
        if own.allow_list == wanted:
            return own
        if wanted:
            return self._change(own, replace(own, allow_list=True))
        return self._weaken(own, code, allow_list=False)

    def begin_totp(self, new_secret: NewSecret, email: str, code: str) -> dict[str, str] | Refused:
        """Make a secret; it counts once a code of it has come. A factor that is set goes on until then.

        Refuses:  WITHDRAWAL_CODE_INVALID (of the factor that is set), WITHDRAWAL_SAFEGUARD_CHANGED.
        Raises:   OutageError; doing it again makes another secret.
        """
        own = self._store.safeguards(self._user_id)
        step = self._proven(own, own.sealed_totp, code) if own.sealed_totp else own.totp_step
        if isinstance(step, Refused):
            return step
        sealed, shown = new_secret(self._user_id, email)
        changed = self._change(own, replace(own, pending_totp=sealed, totp_step=step))
        return changed if isinstance(changed, Refused) else shown

    def confirm_totp(self, code: str) -> Safeguards | Refused:
        """Set the factor whose secret was made last, by a code of it. Starts the cool-down.

        Refuses:  WITHDRAWAL_CODE_INVALID, WITHDRAWAL_SAFEGUARD_CHANGED.
        Raises:   OutageError.
        """
        own = self._store.safeguards(self._user_id)
        if not own.pending_totp:
            return Refused(Code.WITHDRAWAL_CODE_INVALID, "there is no new secret; POST /v1/withdrawals/totp makes one")
        # Codes of another secret were never shown: only what came after the last one used counts as new all the same.
        step = self._proven(replace(own, totp_step=0), own.pending_totp, code)
        if isinstance(step, Refused):
            return step
        after = replace(
            own,
            sealed_totp=own.pending_totp,
            pending_totp=b"",
            totp_step=max(step, own.totp_step),
            weakened_at_ns=self._now_ns,
        )
        return self._change(own, after)

    def remove_totp(self, code: str) -> Safeguards | Refused:
        """Ask for no code any more. Starts the cool-down. Refuses and raises as `list_only`."""
        own = self._store.safeguards(self._user_id)
        return self._weaken(own, code, sealed_totp=b"") if own.sealed_totp else own

    def list_destination(self, destination_id: str, text: str, label: str) -> Destination | Refused:
        """Put a destination on the list; it may be used a day later. Listing it again changes nothing.

        Refuses:  WITHDRAWAL_DESTINATION_LIMIT.
        Raises:   OutageError; doing it again is harmless.
        """
        wanted = Destination(destination_id, text, label, self._now_ns)
        if self._store.add_destination(self._user_id, wanted):
            return wanted
        known = self._store.destination(self._user_id, text)
        return known or Refused(
            Code.WITHDRAWAL_DESTINATION_LIMIT, f"there are {DESTINATIONS_MAX} on your list; take one off first"
        )

    def unlist_destination(self, destination_id: str) -> str | Refused:
        """Take a destination off the list. Refuses WITHDRAWAL_DESTINATION_UNKNOWN. Raises OutageError."""
        if self._store.remove_destination(self._user_id, destination_id):
            return destination_id
        return Refused(Code.WITHDRAWAL_DESTINATION_UNKNOWN, "no destination of yours has this id")

    def _weaken(self, own: Safeguards, code: str, **changes: Any) -> Safeguards | Refused:
        step = self._proven(own, own.sealed_totp, code) if own.sealed_totp else own.totp_step
        if isinstance(step, Refused):
            return step
        return self._change(own, replace(own, totp_step=step, weakened_at_ns=self._now_ns, **changes))

    def _proven(self, own: Safeguards, sealed: bytes, code: str) -> int | Refused:
        who, now_ns = self._user_id, self._now_ns
        return proven_step(own, sealed, who, code, now_ns, store=self._store, check_code=self._check_code)

    def _change(self, before: Safeguards, after: Safeguards) -> Safeguards | Refused:
        return after if self._store.change(self._user_id, before, after) else _RACED


def safeguards_view(own: Safeguards | Refused) -> dict[str, Any] | Refused:
    """Safeguards as their owner sees them, or the refusal."""
    if isinstance(own, Refused):
        return own
    shown: dict[str, Any] = {"allow_list": own.allow_list, "totp": bool(own.sealed_totp)}
    return {**shown, "changed_at": iso_utc(own.weakened_at_ns)} if own.weakened_at_ns else shown


def destination_views(listed: Sequence[Destination]) -> list[dict[str, Any]]:
    """A list of destinations, the oldest first."""
    return [_shown(row) for row in sorted(listed, key=lambda row: (row.added_at_ns, row.destination_id))]


def destination_view(row: Destination | Refused) -> dict[str, Any] | Refused:
    """One destination, or the refusal."""
    return row if isinstance(row, Refused) else _shown(row)


def _shown(row: Destination) -> dict[str, Any]:
    rail, _, place = row.text.partition("|")
    return {
        "id": row.destination_id,
        "rail": rail,
        "destination": place,
        "label": row.label,
        "added_at": iso_utc(row.added_at_ns),
        "active_at": iso_utc(row.active_at_ns),
    }
