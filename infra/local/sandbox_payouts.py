"""The funds of the laptop's Stripe: what it holds for the exchange, movement by movement, and its payouts.

The last two digits of a payout's amount, in cents, choose what becomes of it: 11 fails, 12 is paid and fails after
that, 13 is canceled, 14 is late and stays in transit until somebody says more, 15 is paid without an event. All others
are paid at once. What comes to be of a late one is said below `/v1/sandbox`: `/{payout}/pay`, `/fail`, `/cancel`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Answer = tuple[int, dict[str, Any]]
FAILS, FAILS_LATER, CANCELED, LATE, SILENT = 11, 12, 13, 14, 15
FEE_MAX = 500  # In cents, as Stripe's bank transfers have it.


@dataclass
class Funds:
    """What Stripe holds, and how it came to. `keep` and `tell` are the sandbox's own: its objects, its events."""

    keep: Callable[..., dict[str, Any]]
    tell: Callable[[str, dict[str, Any]], None]
    arrive: Callable[[dict[str, Any]], None]  # the money of a payout is at the bank
    objects: Mapping[str, dict[str, Any]]
    fee_ppm: int = 0

    def move(self, kind: str, thing: Mapping[str, Any], amount: int) -> dict[str, Any]:
        """Note a movement of an object's currency. A payment costs its fee, at most five of the currency."""
        fee = min(-(-amount * self.fee_ppm // 1_000_000), FEE_MAX) if kind == "payment" else 0
        values = {"amount": amount, "fee": fee, "net": amount - fee, "currency": thing["currency"]}
        return self.keep("balance_transaction", "txn", type=kind, source=thing["id"], **values)

    def transactions(self) -> list[dict[str, Any]]:
        """Every movement, oldest first."""
        return [each for each in self.objects.values() if each["object"] == "balance_transaction"]

    def balance(self) -> dict[str, Any]:
        """What is there by currency, all of it available."""
        sums: Counter[str] = Counter()
        for each in self.transactions():
            sums[each["currency"]] += each["net"]
        parts = [{"amount": amount, "currency": currency} for currency, amount in sorted(sums.items())]
        return {"object": "balance", "available": parts, "pending": [], "livemode": False}

    def held(self, currency: str) -> int:
        """What is there of one currency."""
        return sum(each["net"] for each in self.transactions() if each["currency"] == currency)

    def pay_out(self, form: Mapping[str, str], metadata: Mapping[str, str]) -> dict[str, Any] | None:
        """Make a payout and let its amount choose what becomes of it; None where there is not so much."""
        amount, currency = int(form["amount"]), form["currency"]
        if not 0 < amount <= self.held(currency):
            return None
        payout = self.keep(
            "payout",
            "po",
            amount=amount,
            currency=currency,
            metadata=dict(metadata),
            status="in_transit",
            statement_descriptor=form.get("statement_descriptor"),
            failure_code=None,
            failure_message=None,
        )
        self.move("payout", payout, -amount)
        self.tell("payout.created", payout)
        ends = {FAILS: ["fail"], FAILS_LATER: ["pay", "fail"], CANCELED: ["cancel"], LATE: []}
        for act in ends.get(amount % 100, ["pay"]):
            self.end(payout, act, silent=amount % 100 == SILENT)
        return payout

    def end(self, payout: dict[str, Any], act: str, *, silent: bool = False) -> bool:
        """Pay, fail or cancel a payout; False where it can't end so any more."""
        before = payout["status"]
        if act == "pay" and before == "in_transit":
            payout["status"] = "paid"
            self.arrive(payout)
        elif act == "fail" and before in {"in_transit", "paid"}:
            payout |= {"status": "failed", "failure_code": "account_closed"}
            payout["failure_message"] = "The bank account has been closed."
            self.move("payout_failure", payout, payout["amount"])
        elif act == "cancel" and before == "in_transit":
            payout["status"] = "canceled"
            self.move("payout_cancel", payout, payout["amount"])
        else:
            return False
        if not silent:
            self.tell(f"payout.{payout['status']}", payout)
        return True
