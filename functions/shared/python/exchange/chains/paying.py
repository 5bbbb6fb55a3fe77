"""Paying over a chain: what is due is signed, stored and sent, what is sent is followed until it is final.

The order is what makes it safe. A signed payment is stored, with its nonce, in one write before any node hears of it:
so whatever is cut short, the next run sends the same bytes again, and two runs at once can't pay with two nonces.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from exchange.chains.answering import Answers
from exchange.chains.departures import (
    FINAL,
    GAS_DENOMINATOR,
    GAS_NUMERATOR,
    Departure,
    Fees,
    Mined,
    Progress,
    Purpose,
    Unswept,
    Version,
    departure_partition,
    ended,
    ended_unswept,
    ending_batch,
    ending_movements,
    first_offer,
    house_departure,
    raised_offer,
)
from exchange.chains.model import Block, Listing, Place
from exchange.kernel.clock import Clock
from exchange.kernel.errors import UnavailableError
from exchange.kernel.money import divide_up
from exchange.ledger.model import Batch, Head, Movements

ATTEMPTS_MAX = 32
DEPARTURES_PER_RUN = 200


class Carrier(Protocol):
    """All that is asked of a chain to pay over it; raises UnavailableError where it does not answer."""

    def height(self) -> int:
        """The number of its newest block."""
        ...

    def block(self, number: int) -> Block | None:
        """The block that it has at a height now."""
        ...

    def fees(self) -> Fees:
        """What a unit of gas costs now."""
        ...

    def gas(self, departure: Departure) -> int | None:
        """How many units of gas a payment needs; None where whom it is for would refuse it."""
        ...

    def balance(self, address: str, contract: str, block: Block | None) -> int:
        """What an address has at a block, or now, of the coin or of a token, in the chain's units."""
        ...

    def broadcast(self, version: Version) -> None:
        """Tell it of a payment; that it knows it, or has decided its nonce otherwise, is no error."""
        ...

    def mined(self, versions: Sequence[Version]) -> Mined | None:
        """Which of them is in a block now; None where none is."""
        ...

    def nonce_user(self, address: str, nonce: int, *, until: Block) -> Mined | None:
        """What used a nonce of an address in a block up to that one; None where nothing did."""
        ...


class Wallet(Protocol):
    """Whoever signs for addresses of ours."""

    def sign(self, departure: Departure, *, fee: int, tip: int, at_ns: int) -> Version:
        """A version of a departure that has its nonce and its gas."""
        ...


class Departures(Protocol):
    """Where departures are kept."""

    def open(self, chain: str, place: Place, *, limit: int) -> Sequence[Departure]:
        """Those out of a place that are not final, oldest first."""
        ...

    def next_nonce(self, chain: str, address: str) -> int:
        """The nonce that the next departure of an address gets."""
        ...

    def ask(self, departure: Departure, unswept: Unswept) -> bool:
        """Put a departure that is due; False where there is one of its name, or too little to sweep."""
        ...

    def bind(self, due: Departure, signed: Departure) -> bool:
        """Store it signed and take its nonce; False where the nonce is taken or it is no longer due."""
        ...

    def replace(self, before: Departure, after: Departure) -> bool:
        """Store one more version of it, or that it is decided; False where it has moved on."""
        ...

    def post(self, decided: Departure, batch: Batch | None, movements: Movements, unswept: Unswept) -> bool:
        """Post what it posts, and close it; False where that is done, or the batch number is taken."""
        ...

    def departure(self, chain: str, departure_id: str) -> Departure | None:
        """One, as it is now."""
        ...

    def note_fees(self, chain: str, fees: Fees, *, at_ns: int) -> None:
        """Keep what the chain takes now: customers are quoted by it."""
        ...


class Journal(Protocol):
    """Where batches are chained."""

    def head(self, partition: str) -> Head:
        """The last batch of a partition, as it is now."""
        ...


class Payer:
    """Pays what is due out of one place of a chain, and follows it, with all that it reaches.

    Withdrawals hear of it by `answers`; where only addresses of ours are paid there are none. `note` tells a person of
    what only a person can mend; it is told again at each run.
    """

    def __init__(
        self,
        listing: Listing,
        place: Place,
        *,
        carrier: Carrier,
        wallet: Wallet,
        departures: Departures,
        journal: Journal,
        clock: Clock,
        pause: Callable[[int], None],
        note: Callable[[str], None],
        answers: Answers | None = None,
    ) -> None:
        self._listing = listing
        self._place = place
        self._carrier = carrier
        self._wallet = wallet
        self._departures = departures
        self._journal = journal
        self._clock = clock
        self._pause = pause
        self._note = note
        self._answers = answers
        self._balances: dict[str, int] = {}  # of the hot wallet, as this run found them

    def run(self) -> int:
        """Follow what is sent, then pay what is due, oldest first; return how many are still open.

        Raises:   OutageError; whatever was begun, the next run finishes.
        """
        fees = self._carrier.fees()
        final = self._carrier.height() - self._listing.unlock_confirmations + 1
        self._balances.clear()
        # Before the list is read: what this nonce names can't be asked for twice.
        nonce = self._departures.next_nonce(self._listing.chain, self._listing.hot_address)
        waiting = self._departures.open(self._listing.chain, self._place, limit=DEPARTURES_PER_RUN)
        for decided in (each for each in waiting if each.progress in FINAL):
            self._finish(decided)
        unmined = [each for each in waiting if each.progress is Progress.SIGNED and self._follow(each, fees, final)]
        reserved = _reserved(unmined)
        for due in (each for each in waiting if each.progress is Progress.DUE):
            self._pay(due, fees, reserved)
        if self._place is Place.HOT:
            self._departures.note_fees(self._listing.chain, fees, at_ns=self._clock.now_ns())
            self._keep_within_limits(nonce, waiting, reserved)
        return len(waiting)

    def _pay(self, due: Departure, fees: Fees, reserved: Counter[str]) -> None:
        """Sign and send what is due, where there is enough for it.

        What it takes is reserved also where it must wait: what is younger does not overtake it.
        """
        reserved[due.contract] += due.base_units
        if self._short(due, due.contract, reserved):
            return
        needed = self._carrier.gas(due)
        if needed is None:
            self._refused(due)
            return
        nonce = self._departures.next_nonce(due.chain, due.sender)
        ready = replace(due, nonce=nonce, gas=divide_up(needed * GAS_NUMERATOR, GAS_DENOMINATOR))
        fee, tip = first_offer(ready, fees, self._listing)
        reserved[""] += ready.gas * fee
        if self._short(due, "", reserved):
            return
        version = self._wallet.sign(ready, fee=fee, tip=tip, at_ns=self._clock.now_ns())
        signed = replace(ready, progress=Progress.SIGNED, versions=(version,))
        if self._departures.bind(due, signed):
            self._send(signed)

    def _short(self, due: Departure, contract: str, reserved: Mapping[str, int]) -> bool:
        """Whether the hot wallet has too little to pay this and all before it; a sweep's was set aside already."""
        if self._place is not Place.HOT:
            return False
        short = self._has(contract) < reserved[contract]
        if short:
            token = self._listing.token(contract)
            self._note(f"{due.departure_id} waits: the hot wallet has too little {token.asset if token else contract}")
        return short

    def _has(self, contract: str) -> int:
        """What the hot wallet had when this run first asked: what the run itself sends is in what is reserved."""
        if contract not in self._balances:
            self._balances[contract] = self._carrier.balance(self._listing.hot_address, contract, None)
        return self._balances[contract]

    def _refused(self, due: Departure) -> None:
        """Whom it is for would refuse it. It was never signed, so nothing can ever pay it: that is proof enough."""
        if due.purpose is Purpose.WITHDRAWAL:
            self._end(due, Progress.VOID, None, "the address takes no such payment")
        else:
            self._note(f"{due.departure_id} waits: the chain would refuse it")

    def _send(self, signed: Departure) -> None:
        if self._answers is not None:
            self._answers.sent(signed)
        self._carrier.broadcast(signed.newest)

    def _follow(self, sent: Departure, fees: Fees, final: int) -> bool:
        """See what became of it; whether it is still to be mined."""
        mined = self._carrier.mined(sent.versions)
        if mined is not None:
            at = self._carrier.block(mined.block.number) if mined.block.number <= final else None
            if at is not None and at.hash == mined.block.hash:
                reason = "" if mined.paid else "the chain refused the payment"
                self._end(sent, Progress.PAID if mined.paid else Progress.FAILED, mined, reason)
            return False
        if not self._used_otherwise(sent, final):
            self._push(sent, fees)
        return True

    def _used_otherwise(self, sent: Departure, final: int) -> bool:
        """Whether something else has used its nonce in a block that stays: then, and only then, it can't be mined."""
        deep = self._carrier.block(final) if final >= 0 else None
        user = self._carrier.nonce_user(sent.sender, sent.nonce, until=deep) if deep else None
        if user is None:
            return False
        if user.hash not in {version.hash for version in sent.versions}:
            reason = f"its nonce {sent.nonce} was used by {user.hash}"
            self._note(f"{sent.departure_id}: {reason}")
            self._end(sent, Progress.VOID, user, reason)
        return True  # Else the node did not know its own block a moment ago; the next run asks again.

    def _push(self, sent: Departure, fees: Fees) -> None:
        """Send it again; where it waits too long, with a higher offer. One nonce: one is mined at most."""
        now = self._clock.now_ns()
        if now - sent.newest.signed_at_ns >= self._listing.raise_after_seconds * 1_000_000_000:
            offer = raised_offer(sent, fees, self._listing)
            if offer is None:
                self._note(f"{sent.departure_id} is stuck and already offers the most that it may")
            else:
                version = self._wallet.sign(sent, fee=offer[0], tip=offer[1], at_ns=now)
                raised = replace(sent, versions=(*sent.versions, version))
                if not self._departures.replace(sent, raised):
                    return
                sent = raised
        self._send(sent)

    def _end(self, before: Departure, progress: Progress, mined: Mined | None, reason: str) -> None:
        """Decide it. That is stored first and by one run only: none gives back what another has just signed."""
        decided = ended(before, progress, mined, self._listing, reason=reason)
        if self._departures.replace(before, decided):
            self._finish(decided)

    def _finish(self, decided: Departure) -> None:
        """Tell whoever waits, then post and close it: a run that is cut short in between does both again."""
        if self._answers is not None:
            self._answers.decided(decided)
        for attempt in range(ATTEMPTS_MAX):
            head = self._journal.head(departure_partition(decided, self._listing))
            batch = ending_batch(decided, self._listing, head, at_ns=self._clock.now_ns())
            if self._departures.post(decided, batch, ending_movements(batch), ended_unswept(decided)):
                return
            if self._departures.departure(decided.chain, decided.departure_id) != decided:
                return  # Another run has done it.
            self._pause(attempt)
        raise UnavailableError(f"{decided.departure_id}: the journal was busy {ATTEMPTS_MAX} times")

    def _keep_within_limits(self, nonce: int, waiting: Sequence[Departure], reserved: Mapping[str, int]) -> None:
        """Send what is too much to the cold address, and tell of what is too little."""
        moving = {each.asset for each in waiting if each.purpose is Purpose.COLD}
        for token in self._listing.tokens:
            units = token.units(max(0, self._has(token.contract) - reserved[token.contract]))
            if units < token.hot_min_units:
                self._note(f"the hot wallet of {self._listing.chain} has less {token.asset} than its minimum")
            too_much = (units - token.hot_max_units) // token.step_units * token.step_units
            if self._listing.cold_address and token.hot_max_units and too_much > 0 and token.asset not in moving:
                # Named by a nonce: two runs at once ask for the same one, and not for two.
                cold = house_departure(
                    self._listing,
                    Purpose.COLD,
                    token,
                    name=f"{token.asset}:{nonce}",
                    sender=self._listing.hot_address,
                    recipient=self._listing.cold_address,
                    units=too_much,
                    at_ns=self._clock.now_ns(),
                )
                self._departures.ask(cold, {})


def _reserved(unmined: Sequence[Departure]) -> Counter[str]:
    """What payments that are sent and not yet mined will take, by contract, in the chain's units."""
    found: Counter[str] = Counter()
    for each in unmined:
        found[each.contract] += each.base_units
        found[""] += each.gas * each.newest.fee
    return found
