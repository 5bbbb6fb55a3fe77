"""Stripe's events: what is forged, stale, replayed or out of order; and what asking Stripe itself makes of all that."""

import hashlib
import hmac
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from exchange.kernel.errors import Code, InvariantError, OutcomeUnknownError, Refused
from exchange.payments.model import instruction_for
from exchange.stripe.provider import KEY_AGE_MAX_NS, StripeProvider, stripe_client
from exchange.transfers.model import PaymentState, TransferKind, TransferStatus
from exchange.wallets.model import BankProvider, DepositRequest, new_deposit, payment_methods

from tests.fakes.stripe_world import WEBHOOK_SECRET, StripeWorld, real_seconds, stripe_deposit
from tests.fakes.wallets import ASSETS, NOON_NS, CrashError, Cuts

PAID = 25_500_000


def asked(amount: str = "25.50") -> tuple[StripeWorld, Any]:
    """A world in which Stripe has been asked for a deposit."""
    world = StripeWorld()
    made = stripe_deposit(amount)
    world.request(made)
    world.step(made.transfer_id)
    return world, made


def paid() -> tuple[StripeWorld, Any, bytes]:
    """And the money has come; its event is not delivered yet."""
    world, made = asked()
    world.pay(made, 2550)
    return world, made, world.events[-1]


def mark(body: bytes, *, seconds: int | None = None, secret: str = WEBHOOK_SECRET, scheme: str = "v1") -> str:
    """A signature as Stripe makes it."""
    told = f"{real_seconds() if seconds is None else seconds}"
    return f"t={told},{scheme}={hmac.new(secret.encode(), told.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def forgeries(body: bytes) -> list[tuple[str, str, bytes]]:
    """Events that are not Stripe's, each with its name, signature and body."""
    good, now = mark(body), real_seconds()
    moment, _, digest = good.partition(",v1=")
    found = [
        ("another secret", mark(body, secret="guess"), body),
        ("an empty secret", mark(body, secret=""), body),
        ("the test scheme", mark(body, scheme="v0"), body),
        ("another body's signature", mark(b"{}"), body),
        ("no signature", moment, body),
        ("no moment", f"v1={digest}", body),
        ("a moment in words", f"t=now,v1={digest}", body),
        ("a moment moved", f"t={now - 1},v1={digest}", body),
        ("upper case", f"{moment},v1={digest.upper()}", body),
        ("two moments", f"t=1,{good.replace(moment, f't={now - 7}')}", body),
        ("many wrong ones", ",".join([moment, *(f"v1={n:064x}" for n in range(20))]), body),
        ("bytes that are no text", mark(body), b"\xff\xfe" + body),
    ]
    found += [(f"{away} s ago", mark(body, seconds=now - away), body) for away in (302, 600, 86_400, 10**9, now)]
    found += [(f"byte {at}", good, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]) for at in range(0, len(body), 4)]
    found += [(f"digit {at}", _turned(good, at), body) for at in range(64)]
    found += [(f"cut at {at}", good, body[:at]) for at in range(1, len(body), 29)]
    return found


def _turned(signature: str, at: int) -> str:
    place = len(signature) - 64 + at
    return signature[:place] + ("0" if signature[place] != "0" else "1") + signature[place + 1 :]


def test_at_least_200_forged_and_stale_events_are_refused_and_the_genuine_one_still_counts() -> None:
    world, made, body = paid()
    before = world.transfers.rows[made.transfer_id]
    found = forgeries(body)
    assert len(found) >= 200
    for name, signature, sent in found:
        said = world.hear(sent, signature=signature)
        assert isinstance(said, Refused), name
        assert said.code in {Code.AUTH_INVALID, Code.AUTH_EXPIRED}, name
        assert world.transfers.rows[made.transfer_id] == before, name
    assert world.hear(body) == "recorded"
    world.step(made.transfer_id)
    world.check()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}", b'{"id":1}', b'{"id":"evt_1","type":"payment_intent.x"}',
        b'{"id":"evt_1","type":"payment_intent.x","data":null}',
        b'{"id":"evt_1","type":"payment_intent.x","data":{"object":null}}',
        b'{"id":"evt_1","type":"payment_intent.x","data":{"object":[]}}',
        b'{"id":"evt_1","type":"payment_intent.x","data":{"object":{"id":"pi_1","object":"charge"}}}',
        b'{"id":"evt_1","type":"payment_intent.x","data":{"object":{"id":"../x","object":"payment_intent"}}}',
        b'{"id":"evt_1","type":"payment_intent.x","data":{"object":{"id":"","object":"payment_intent"}}}',
        b'{"id":"evt/1","type":"payment_intent.x","data":{"object":{"id":"pi_1","object":"payment_intent"}}}',
        b'{"id":"evt_1","type":7,"data":{"object":{"id":"pi_1","object":"payment_intent"}}}',
        b"[" * 50_000, b'{"id":' * 20_000,
    ],
)  # fmt: skip
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    world, _, _ = paid()
    said = world.hear(body)
    assert isinstance(said, Refused)
    assert said.code is Code.PAYMENT_NOTIFICATION_INVALID


def test_an_event_too_large_is_refused_before_it_is_read() -> None:
    world, _, body = paid()
    said = world.hear(body + b" " * 300_000)
    assert isinstance(said, Refused)
    assert said.code is Code.REQUEST_TOO_LARGE


def lies(body: bytes) -> list[bytes]:
    """Genuine signatures under events that say what is not so."""
    event = json.loads(body)
    thing = event["data"]["object"]
    changes: list[dict[str, Any]] = [
        {"status": "succeeded"}, {"status": "canceled"}, {"amount_received": 99_999_999}, {"amount": 1},
        {"currency": "jpy"}, {"metadata": {"transfer_id": "somebody's"}}, {"metadata": {}}, {"customer": "cus_x"},
    ]  # fmt: skip
    kinds = ("succeeded", "canceled", "payment_failed", "processing", "partially_funded", "requires_action")
    return [
        json.dumps(
            event | {"id": f"evt_{n}", "type": f"payment_intent.{kind}", "data": {"object": thing | change}}
        ).encode()
        for n, (kind, change) in enumerate(itertools.product(kinds, changes))
    ]


def test_what_an_event_claims_changes_nothing_for_stripe_is_asked() -> None:
    world, made = asked()
    for body in lies(world.events[-1]):
        assert world.hear(body) == "ignored"
    assert world.transfers.rows[made.transfer_id].payment is PaymentState.REQUESTED
    world.pay(made, 2550, words="silent")
    said = [world.hear(body) for body in lies(world.events[-1])]
    assert said == ["recorded"] + ["repeated"] * (len(said) - 1)
    world.step(made.transfer_id)
    assert world.books.balances["7", "USD"] == PAID
    world.check()


def test_every_order_of_five_events_each_heard_twice_credits_once() -> None:
    world, made = asked()
    world.pay(made, 1000)
    world.pay(made, 1550, words="twice reordered")
    assert len(world.events) == 5
    for order in itertools.permutations(world.events):
        again, deposit = asked()
        again.sandbox.objects, again.sandbox.answered = world.sandbox.objects, {}
        row = again.transfers.rows[deposit.transfer_id]
        again.transfers.rows[deposit.transfer_id] = replace(row, provider_reference=world.intent(made)["id"])
        said = [again.hear(body) for body in (*order, *order)]
        assert said.count("recorded") == 1
        again.step(deposit.transfer_id)
        assert again.books.balances["7", "USD"] == PAID
        again.check()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 31))
def test_a_crash_anywhere_loses_nothing_and_doubles_nothing(at: int, after: bool) -> None:
    cuts = Cuts()
    world, made = StripeWorld(cuts), stripe_deposit()
    cuts.at, cuts.after = at, after
    while made.transfer_id not in world.transfers.rows or not world.events:
        try:
            world.request(made)
            world.step(made.transfer_id)
        except CrashError:
            continue
    world.pay(made, 2550, words="twice")
    world.through(made)
    assert len([thing for thing in world.sandbox.objects.values() if thing["object"] == "payment_intent"]) == 1
    assert world.books.balances["7", "USD"] == PAID
    world.check()


def test_a_lost_event_is_made_good_for_by_asking_again() -> None:
    world, made = asked()
    world.pay(made, 2550, words="silent")
    world.step(made.transfer_id)
    world.step(made.transfer_id)
    assert world.transfers.rows[made.transfer_id].status is TransferStatus.COMPLETED
    world.check()


def test_a_payment_asked_for_long_ago_is_looked_for_and_not_made_again() -> None:
    world, made = asked()
    row = world.transfers.rows[made.transfer_id]
    world.transfers.rows[made.transfer_id] = replace(row, provider_reference="")  # A crash before it was noted,
    world.sandbox.answered.clear()  # and Stripe has forgotten the key.
    world.clock.at_ns += KEY_AGE_MAX_NS + 1
    world.step(made.transfer_id)
    assert len([thing for thing in world.sandbox.objects.values() if thing["object"] == "payment_intent"]) == 1
    assert world.transfers.rows[made.transfer_id].provider_reference == world.intent(made)["id"]


def test_another_payment_that_carries_our_id_is_not_taken() -> None:
    world, made, body = paid()
    row = world.transfers.rows[made.transfer_id]
    world.transfers.rows[made.transfer_id] = replace(row, provider_reference="pi_another")
    said = world.hear(body)
    assert isinstance(said, Refused)
    assert world.transfers.rows[made.transfer_id].payment is PaymentState.REQUESTED


def test_the_bank_cannot_speak_for_stripe() -> None:
    world, made = asked()
    said = world.receive(*world.answered(made))
    assert said == Refused(Code.PAYMENT_NOTIFICATION_INVALID, "this payment was asked of somebody else")


def test_where_to_send_the_money_is_noted() -> None:
    world, made = asked()
    told = json.loads(world.transfers.rows[made.transfer_id].funding)
    assert told.keys() == {"reference", "account_number", "routing_number", "bank_name"}
    assert world.transfers.rows[made.transfer_id].provider_reference == world.intent(made)["id"]


def test_stripe_is_not_asked_to_pay_out() -> None:
    world, made = asked()
    with pytest.raises(InvariantError):
        world.stripe.instruct(instruction_for(replace(made, kind=TransferKind.WITHDRAW)))


def test_a_stripe_that_does_not_answer_is_an_unknown_outcome() -> None:
    world, made = asked()
    client = stripe_client("key", api_base="http://127.0.0.1:9")
    provider = StripeProvider(client, customers=world.transfers, clock=world.clock)
    with pytest.raises(OutcomeUnknownError):
        provider.instruct(instruction_for(made))


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("0.001", "amount: this way moves multiples of 0.01"),
        ("1000000", "amount: must be above zero and at most 999999.99"),
        ("0", "amount: must be above zero and at most 999999.99"),
    ],
)
def test_amounts_that_stripe_cannot_move_are_refused(amount: str, message: str) -> None:
    request = DepositRequest(amount, "USD", "stripe-USD")
    methods = payment_methods(ASSETS, BankProvider.SANDBOX, stripe=True)
    said = new_deposit(request, account_id=7, methods=methods, created_at_ns=NOON_NS)
    assert said == Refused(Code.TRANSFER_AMOUNT_INVALID, message)
