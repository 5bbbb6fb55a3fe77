"""A fee schedule published by two people: judged twice, in one write with its approval, or nothing happens at all."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from exchange.admin.desk import Desk
from exchange.admin.model import Operator, Role, refuse_payload
from exchange.approvals.model import ProposalState, digest
from exchange.approvals.request import DecisionBody, ProposalBody
from exchange.approvals.store import AuditRowStore, ProposalStore, committed
from exchange.aws.dynamodb import connection
from exchange.fees.document import schedule_document
from exchange.fees.model import PUBLISH, SCHEDULE_CHARACTERS_MAX, FeeScheduleError, flat
from exchange.fees.proposals import FeeProposals
from exchange.fees.publishing import parse_schedule
from exchange.fees.store import VERSIONS_CHARACTERS_MAX, FeeScheduleItem, publish, put_version, read_versions
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Code
from exchange.rest import ApiRequest
from pynamodb.transactions import TransactWrite

from tests.fakes.markets import ACME, USD, acme_usd
from tests.fakes.wallets import FakeClock
from tests.unit.fees.conftest import refused

HOUR_NS = 3_600 * 10**9
ASKED = ApiRequest("POST", "/v1/proposals", "", {}, b"", "127.0.0.1", "request")
OLIVIA, OSCAR = (Operator(name, frozenset({Role.FINANCE})) for name in ("olivia", "oscar"))
FREE = {"volume": "0", "maker": "0", "taker": "0"}


class House:
    """The operators' desk over the real tables, with a first version and one listed product."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.fees = FeeProposals(lambda _: None, self.clock)
        store = ProposalStore(connection(), self.fees.effects)
        self.desk = Desk(store, self.clock, immediate=self.fees.effects, checks=self.fees.checks)
        publish(flat(4_000, 6_000), now_ns=self.clock.now_ns())
        for asset in (ACME, USD):
            InstrumentStore().save_asset(asset)
        InstrumentStore().save_product(acme_usd())

    def text(self, *, hours: int = 2, **more: Any) -> str:
        """A version that begins in so many hours."""
        document = {"effective": iso_utc(self.clock.now_ns() + hours * HOUR_NS), "tiers": [FREE]}
        return json.dumps({**document, **more})

    def propose(self, text: str, key: str = "k", who: Operator = OLIVIA) -> Any:
        body = ProposalBody(kind=PUBLISH, payload={"schedule": text}, reason="cheaper", key=key)
        return self.desk.propose(ASKED, who, body)

    def decide(self, made: Mapping[str, Any], who: Operator = OSCAR, *, approved: bool = True) -> Any:
        body = DecisionBody(payload_hash=made["payload_hash"])
        return self.desk.decide(ASKED, who, body, made["id"], approved=approved)


@pytest.fixture
def house(proposal_tables: None) -> House:
    return House()


def test_what_one_proposed_is_published_by_anothers_approval_and_both_left_a_row(house: House) -> None:
    text = house.text(products={"ACME-USD": [{**FREE, "taker": "0.001"}]})
    made = house.propose(text)
    assert made["payload_hash"] == digest({"kind": PUBLISH, "payload": {"schedule": text}})
    assert len(read_versions()) == 1
    assert refused(house.decide(made, OLIVIA))[0] is Code.PROPOSAL_OWN
    assert len(read_versions()) == 1
    house.clock.at_ns += 1
    done = house.decide(made)
    assert done["state"] == ProposalState.APPLIED.value
    first, second = read_versions()
    assert (first, second) == (flat(4_000, 6_000), parse_schedule(text))
    assert refused(house.decide(made))[0] is Code.PROPOSAL_DECIDED
    assert len(read_versions()) == 2
    rows = AuditRowStore().of_day(iso_utc(house.clock.now_ns())[:10], after="", limit=9)
    assert [(row.actor, row.action) for row in rows] == [
        ("olivia", f"propose {PUBLISH}"),
        ("oscar", f"approve {PUBLISH}"),
    ]


def test_a_repeat_of_what_was_published_is_the_same_proposal(house: House) -> None:
    text = house.text()
    made = house.propose(text)
    house.decide(made)
    assert house.propose(text)["id"] == made["id"]
    assert refused(house.propose(text, key="other")) == (
        Code.REQUEST_FIELD_INVALID,
        "payload.schedule: effective: a version that begins then or later is already published",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "payload: give texts"),
        ("{", "payload.schedule: give one JSON object: it is not valid JSON"),
        ("[" * 5_000, "payload.schedule: give one JSON object"),
        ("[]", "payload.schedule: give one JSON object: it is something else"),
        ('{"tiers": [], "tiers": []}', "payload.schedule: give one JSON object: a field is given twice"),
        ('{"tiers": NaN}', "payload.schedule: give one JSON object: NaN is no number"),
        ('{"tier": []}', "payload.schedule: tier: no such field"),
        (
            '{"tiers": [{"volume": "0", "makers": "0", "taker": "0"}]}',
            "payload.schedule: tiers.0.makers: no such field",
        ),
        ('{"tiers": [{"volume": "0", "maker": 0.1, "taker": "0.2"}]}', "payload.schedule: tiers.0.maker: give decimal"),
        (f'{{"tiers": {json.dumps([FREE])}}}', "payload.schedule: effective: a version can't begin in the past"),
        ("x" * (SCHEDULE_CHARACTERS_MAX + 1), f"payload.schedule: give at most {SCHEDULE_CHARACTERS_MAX} characters"),
    ],
    ids=lambda value: value[:24],
)
def test_what_can_not_be_published_can_not_be_proposed(house: House, text: str, told: str) -> None:
    answer = refuse_payload(PUBLISH, {"schedule": text}) or house.propose(text)
    code, message = refused(answer)
    assert code is Code.REQUEST_FIELD_INVALID
    assert message.startswith(told)
    assert house.desk.waiting() == []


def test_a_product_that_is_not_listed_can_not_be_proposed(house: House) -> None:
    told = refused(house.propose(house.text(products={"NO-NE": [FREE]})))[1]
    assert told == "payload.schedule: products.NO-NE: NO-NE is not listed; there are ACME-USD"


def test_other_fields_of_other_kinds_stay_short() -> None:
    told = refused(refuse_payload("customer.unfreeze", {"user_id": "x" * 257}))
    assert told == (Code.REQUEST_FIELD_INVALID, "payload.user_id: give at most 256 characters")


def test_a_version_whose_time_has_come_before_it_was_approved_is_not_published(house: House) -> None:
    soon = iso_utc(house.clock.now_ns() + HOUR_NS // 2)
    made = house.propose(house.text(effective=soon))
    house.clock.at_ns += HOUR_NS // 2
    code, message = refused(house.decide(made))
    assert (code, message.startswith("effective: a version can't begin in the past")) == (Code.PROPOSAL_OUTDATED, True)
    assert len(read_versions()) == 1
    assert house.desk.show(made["id"])["state"] == "waiting"
    assert house.decide(made, approved=False)["state"] == "rejected"


def test_of_two_versions_for_one_moment_one_is_published(house: House) -> None:
    one, other = house.propose(house.text(), key="one"), house.propose(house.text(commission=None), key="other")
    assert one["id"] != other["id"]
    assert house.decide(one)["state"] == "applied"
    code, message = refused(house.decide(other))
    assert code is Code.PROPOSAL_OUTDATED
    assert "already published" in message
    assert len(read_versions()) == 2


def test_a_product_that_went_meanwhile_is_not_published(house: House) -> None:
    made = house.propose(house.text(products={"ACME-USD": [FREE]}))
    for item in InstrumentItem.scan():
        item.delete()
    code, message = refused(house.decide(made))
    assert code is Code.PROPOSAL_OUTDATED
    assert message.startswith("products.ACME-USD: ACME-USD is not listed")
    assert len(read_versions()) == 1


def test_who_publishes_between_the_look_and_the_write_fails_the_write(house: House) -> None:
    now_ns = house.clock.now_ns()

    def fill(transaction: TransactWrite) -> None:
        put_version(transaction, flat(0, 0, effective_ns=now_ns + 2 * HOUR_NS), now_ns=now_ns)
        publish(flat(1, 1, effective_ns=now_ns + HOUR_NS), now_ns=now_ns)

    assert not committed(connection(), fill)
    assert [version.tiers[0].rates.taker_ppm for version in read_versions()] == [6_000, 1]


def test_versions_that_would_outgrow_their_item_are_refused_with_words(house: House) -> None:
    row = json.dumps(schedule_document(flat(4_000, 6_000)), separators=(",", ":"))
    full = f"[{','.join([row] * (VERSIONS_CHARACTERS_MAX // (len(row) + 1)))}]"
    FeeScheduleItem("default", versions=full).save()
    now_ns = house.clock.now_ns()
    with pytest.raises(FeeScheduleError, match="room for no more"):
        publish(flat(0, 0, effective_ns=now_ns + HOUR_NS), now_ns=now_ns)
