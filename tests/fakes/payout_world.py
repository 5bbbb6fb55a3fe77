"""Payouts in memory: Stripe's own SDK before the laptop's sandbox, and our bank behind files beside it."""

from collections.abc import Callable, Mapping
from typing import Any

from exchange.audit.bank_checks import custody_is_what_the_bank_has, under_way_is_what_was_paid_out
from exchange.audit.model import BankView, World
from exchange.banking.model import RAIL
from exchange.banking.paying_out import change_to, hear, new_payout, see_to_payouts
from exchange.kernel.errors import Refused
from exchange.ledger.model import Balance, may_be_negative, sum_by_asset
from exchange.payments.costs import post_costs
from exchange.payments.model import STRIPE
from exchange.payments.payouts import UNDER_WAY, Payout
from exchange.stripe.events import PAYOUT, read_event
from exchange.stripe.funds import StripeFunds
from exchange.stripe.payouts import StripePayouts
from exchange.stripe.provider import stripe_client

from infra.local.sandbox_bank import arrive
from infra.local.sandbox_stripe import SandboxStripe
from tests.fakes.bank_files import FileWorld
from tests.fakes.stripe_world import API_KEY, WEBHOOK_SECRET, Wire, real_seconds
from tests.fakes.wallets import ASSETS, Cuts

BANK = "sandbox-bank"


def no_pause(_attempt: int) -> None:
    """Nobody waits in memory."""


class PayoutWorld(FileWorld):
    """A venue whose money lies at Stripe, and whose banks are one with statements and one without."""

    def __init__(self, cuts: Cuts | None = None, *, fee_ppm: int = 0) -> None:
        super().__init__(cuts)
        self.events: list[bytes] = []
        self.sandbox = SandboxStripe(
            API_KEY,
            WEBHOOK_SECRET,
            deliver=lambda body, _signature: self.events.append(body),
            now=self.now_seconds,
            arrive=lambda payout: arrive(self.bank, payout),
            fee_ppm=fee_ppm,
        )
        at_stripe = stripe_client(API_KEY, http_client=Wire(self.sandbox, self.cuts))
        self.stripe, self.funds = StripePayouts(at_stripe, self.clock), StripeFunds(at_stripe)
        self.asked_for = 0

    def hold(self, cents: int) -> None:
        """Customers' money at Stripe, as their deposits left it there."""
        self.sandbox.funds.move("payment", {"id": "pi_before", "currency": "usd"}, cents)
        self.books.balances["house:custody:stripe", "USD"] -= cents * 10_000
        self.books.balances["7", "USD"] += cents * 10_000

    def approve(self, cents: int, *, rail: str = BANK) -> Payout | None:
        """Two operators want a payout; None where Stripe holds less."""
        self.asked_for += 1
        amount = f"{cents // 100}.{cents % 100:02d}"
        payout = new_payout(
            f"proposal {self.asked_for}", asset=ASSETS["USD"], amount=amount, rail=rail, at_ns=self.clock.now_ns()
        )
        assert isinstance(payout, Payout), payout
        if -self.books.balances["house:custody:stripe", "USD"] < payout.units:
            return None
        self.files.change(change_to(payout, None, journal=self.books, at_ns=self.clock.now_ns()))
        return payout

    def run(self) -> int:
        """The schedule, once."""
        return see_to_payouts(
            payouts=self.files,
            stripe=self.stripe,
            journal=self.books,
            clock=self.clock,
            pause=no_pause,
            note=self.notes.append,
        )

    def post_costs(self) -> int:
        """What Stripe took, by the schedule."""
        return post_costs(
            stripe=self.funds,
            seen=self.files,
            transfers=self.transfers,
            journal=self.books,
            postings=self.books,
            assets=ASSETS,
            clock=self.clock,
            pause=no_pause,
        )

    def hear(self, body: bytes) -> str | Refused:
        """POST /v1/payments/stripe/events."""
        headers = {"stripe-signature": self.sandbox.sign(body, at_seconds=real_seconds())}
        event = read_event(WEBHOOK_SECRET, headers=headers, body=body)
        if isinstance(event, Refused):
            return event
        told = self.stripe.said(event.object_id) if event.kind == PAYOUT else None
        if told is None:
            return "ignored"
        return hear(told, payouts=self.files, journal=self.books, clock=self.clock, pause=no_pause)

    def end(self, payout: Payout, act: str) -> None:
        """What becomes of a late one: pay, fail, cancel."""
        name = self.at_stripe(payout)["id"]
        self.sandbox.handle("POST", f"/v1/sandbox/{name}/{act}", {}, {"authorization": f"Bearer {API_KEY}"})

    def at_stripe(self, payout: Payout) -> dict[str, Any]:
        """A payout as Stripe has it."""
        return next(each for each in self.made() if each["metadata"]["payout_id"] == payout.payout_id)

    def made(self) -> list[dict[str, Any]]:
        """Every payout that Stripe has."""
        return [each for each in self.sandbox.objects.values() if each["object"] == "payout"]

    def cents(self, rail: str) -> int:
        """What others hold for us on a rail. Units: cents."""
        return -self.books.balances[f"house:custody:{rail}", "USD"] // 10_000

    def sound(self) -> None:
        """Nothing is made or lost, under way is what the payouts say, and chains are whole."""
        self.check_sums()
        world = self._world()
        assert not under_way_is_what_was_paid_out(world).breaches
        assert not custody_is_what_the_bank_has(world).breaches
        for chain in self.books.chains.values():
            assert [batch.number for batch in chain] == list(range(1, len(chain) + 1))

    def check_sums(self) -> None:
        """All balances together are zero, each batch is, and only what others hold is below zero."""
        assert sum(self.books.balances.values()) + sum(self.books.held.values()) == 0
        assert all(units >= 0 for (name, _), units in self.books.balances.items() if not may_be_negative(name))
        for chain in self.books.chains.values():
            assert all(not any(sum_by_asset(batch.entries).values()) for batch in chain)

    def at_rest(self) -> None:
        """Once all was said, custody at Stripe is Stripe's balance, and what it paid is at the bank."""
        self.sound()
        assert self.cents(STRIPE) == self.funds.balance().get("USD", 0)
        paid: Callable[[Mapping[str, Any]], bool] = lambda each: each["status"] == "paid"  # noqa: E731
        assert self.cents(BANK) == sum(
            each["amount"] for each in self.made() if paid(each) and each["metadata"]["rail"] == BANK
        )
        assert self.cents(UNDER_WAY) == 0

    def _world(self) -> World:
        balances = [Balance(name, asset, units, 0) for (name, asset), units in self.books.balances.items()]
        standing = self.files.standing(self.files.account("USD"))
        return World(
            products={},
            balances=balances,
            batches={},
            orders=(),
            fills=(),
            transfers=(),
            cursors={},
            executions={},
            commands={},
            replayed={},
            banks=[BankView(RAIL, "USD", standing.expected_units)],
            payouts=self.files.payouts(),
        )
