"""Asking a screening service over HTTP, or nobody where a deployment has none."""

import json
from typing import Any

import urllib3

from exchange.clearance.service import Screened, Verdict
from exchange.kernel.ids import to_uuid
from exchange.transfers.model import Transfer

ANSWER_SECONDS_MAX = 5
ANSWER_BYTES_MAX = 16_384
REASON_LENGTH_MAX = 200
_UNKNOWN = Screened(Verdict.UNKNOWN)


class NoScreening:
    """A deployment that screens nothing; docs/withdrawals.md says so."""

    def screen(self, transfer: Transfer) -> Screened:
        """Everything is clear."""
        del transfer
        return Screened(Verdict.CLEAR)


class HttpScreening:
    """POSTs a withdrawal as JSON; believes `{"verdict": "clear"}` and `{"verdict": "hit", "reason": ...}`, no more."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(maxsize=2, timeout=ANSWER_SECONDS_MAX, retries=False)

    def screen(self, transfer: Transfer) -> Screened:
        """Ask about one withdrawal. No answer, another status and another word are all unknown."""
        asked = {
            "transfer_id": transfer.transfer_id,
            "profile_id": to_uuid(transfer.account_id),
            "amount": transfer.amount,
            "currency": transfer.asset,
            "rail": transfer.rail,
            "destination": transfer.crypto_address or transfer.payment_method_id,
        }
        headers = {"Content-Type": "application/json"}
        try:
            reply = self._http.request("POST", self._url, body=json.dumps(asked), headers=headers, redirect=False)
            said: Any = json.loads(reply.data[:ANSWER_BYTES_MAX]) if reply.status == 200 else None
        except (urllib3.exceptions.HTTPError, ValueError):
            return _UNKNOWN
        if not isinstance(said, dict):
            return _UNKNOWN
        if said.get("verdict") == Verdict.CLEAR.value:
            return Screened(Verdict.CLEAR)
        if said.get("verdict") == Verdict.HIT.value:
            return Screened(Verdict.HIT, str(said.get("reason", ""))[:REASON_LENGTH_MAX])
        return _UNKNOWN


def screening_at(url: str) -> HttpScreening | NoScreening:
    """The screening of a deployment: at an address, or none."""
    return HttpScreening(url) if url else NoScreening()
