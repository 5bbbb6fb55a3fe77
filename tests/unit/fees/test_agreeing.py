"""Rates agreed with one account by two people: judged twice, in one write with the approval, or nothing at all."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from exchange.admin.desk import Desk
from exchange.admin.model import Operator, Role, refuse_payload
from exchange.approvals.request import DecisionBody, ProposalBody
from exchange.approvals.store import AuditRowStore, ProposalStore
from exchange.aws.dynamodb import connection
from exchange.fees.model import AGREE, Agreement, Commission, FeeSchedule, Rates, Rebate, Tier, flat
from exchange.fees.proposals import FeeProposals
from exchange.fees.store import AGREEMENTS_CHARACTERS_MAX, FeeScheduleItem, FeeSchedules, publish, read_published
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Code
from exchange.kernel.ids import to_uuid
from exchange.rest import ApiRequest

from tests.fakes.wallets import FakeClock
from tests.unit.fees.conftest import refused

HOUR_NS = 3_600 * 10**9
ACCOUNT_ID = 7
ASKED = ApiRequest("POST", "/v1/proposals", "", {}, b"", "127.0.0.1", "request")
OLIVIA, OSCAR = (Operator(name, frozenset({Role.FINANCE})) for name in ("olivia", "oscar"))


class House:
    """The operators' desk over the real tables, with a version that pays rebates and commissions, and one profile."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        rates = FeeProposals({ACCOUNT_ID: "ann"}.get, self.clock)
        store = ProposalStore(connection(), rates.effects)
        self.desk = Desk(store, self.clock, immediate=rates.effects, checks=rates.checks)
        version = FeeSchedule(
            0, (Tier(0, Rates(4_000, 6_000)),), rebates=(Rebate("", 1_000),), commission=Commission(200_000, 365)
        )
        publish(version, now_ns=self.clock.now_ns())

    def hour(self, hours: int) -> str:
        return iso_utc(self.clock.now_ns() + hours * HOUR_NS)

    def payload(self, **changes: str) -> dict[str, str]:
        """A maker's 0.1 % and a taker's 0.2 % from in an hour until in two."""
        usual = {"profile_id": to_uuid(ACCOUNT_ID), "maker": "0.001", "taker": "0.002"}
        return {**usual, "from": self.hour(1), "until": self.hour(2), **changes}

    def propose(self, payload: Mapping[str, str], key: str = "k") -> Any:
        body = ProposalBody(kind=AGREE, payload=dict(payload), reason="a market maker", key=key)
        return self.desk.propose(ASKED, OLIVIA, body)

    def decide(self, made: Mapping[str, Any], who: Operator = OSCAR) -> Any:
        body = DecisionBody(payload_hash=made["payload_hash"])
        return self.desk.decide(ASKED, who, body, made["id"], approved=True)

    def taker_ppm(self) -> int:
        return FeeSchedules(self.clock).rates(ACCOUNT_ID, "ACME-USD").taker_ppm


@pytest.fixture
def house(proposal_tables: None) -> House:
    return House()


def test_agreed_rates_hold_from_their_time_until_their_end_and_both_left_a_row(house: House) -> None:
    made = house.propose(house.payload())
    assert refused(house.decide(made, OLIVIA))[0] is Code.PROPOSAL_OWN
    assert read_published().agreements == {}
    house.clock.at_ns += 1
    assert house.decide(made)["state"] == "applied"
    assert refused(house.decide(made))[0] is Code.PROPOSAL_DECIDED
    assert house.taker_ppm() == 6_000
    house.clock.at_ns += HOUR_NS
    assert house.taker_ppm() == 2_000
    assert FeeSchedules(house.clock).rates(8, "ACME-USD").taker_ppm == 6_000
    house.clock.at_ns += HOUR_NS
    assert house.taker_ppm() == 6_000
    rows = AuditRowStore().of_day(iso_utc(house.clock.now_ns() - 2 * HOUR_NS)[:10], after="", limit=9)
    assert [(row.actor, row.action) for row in rows] == [("olivia", f"propose {AGREE}"), ("oscar", f"approve {AGREE}")]


def test_the_same_again_changes_nothing_and_later_ones_replace_what_has_not_begun(house: House) -> None:
    payload = house.payload(until="none")
    for key in ("one", "other"):
        house.decide(house.propose(payload, key))
    first = read_published().agreements[ACCOUNT_ID]
    assert [row.rates for row in first] == [Rates(1_000, 2_000)]
    house.clock.at_ns += HOUR_NS
    end = house.payload(maker="none", taker="none", until="none")
    house.decide(house.propose(end, "end"))
    assert [row.rates for row in read_published().agreements[ACCOUNT_ID]] == [Rates(1_000, 2_000), None]
    house.clock.at_ns += HOUR_NS
    assert house.taker_ppm() == 6_000
    house.decide(house.propose(house.payload(taker="0.003", until="none"), "new"))
    assert [row.rates for row in read_published().agreements[ACCOUNT_ID]] == [Rates(1_000, 3_000)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"profile_id": "7"}, "payload.profile_id: give a profile's id"),
        ({"profile_id": to_uuid(8)}, "payload.profile_id: there is no such profile"),
        ({"maker": "-1"}, "payload.maker: give a rate from 0 on"),
        ({"taker": "0.0000001"}, "payload.taker: give a rate from 0 on"),
        ({"taker": "none"}, "payload.taker: give a rate like 0.001, or none for both"),
        ({"maker": "none", "taker": "none"}, "payload.until: give none"),
        ({"maker": "0.003"}, "payload.taker: rates must be 0 <= maker <= taker < 1"),
        ({"taker": "1"}, "payload.taker: rates must be 0 <= maker <= taker < 1"),
        ({"maker": "0", "taker": "0.001249"}, "payload.taker: 0.001249 is less than makers of all other products"),
        ({"from": "soon"}, "payload.from: give an ISO time"),
        ({"from": "2020-01-01T00:00:00Z"}, "payload.from: rates can't be agreed for the past"),
        ({"until": "2020-01-01T00:00:00Z"}, "payload.until: give a time behind from, or none"),
        ({"until": ""}, "payload: give texts for exactly"),
    ],
    ids=str,
)
def test_what_can_not_be_agreed_can_not_be_proposed(house: House, changes: dict[str, str], told: str) -> None:
    payload = house.payload(**changes)
    code, message = refused(refuse_payload(AGREE, payload) or house.propose(payload))
    assert code is Code.REQUEST_FIELD_INVALID
    assert message.startswith(told), message
    assert house.desk.waiting() == []


def test_the_least_that_the_refusal_names_can_be_agreed(house: House) -> None:
    message = refused(house.propose(house.payload(maker="0", taker="0")))[1]
    assert message.endswith("give 0.00125 or more")
    assert house.propose(house.payload(taker="0.00125"))["state"] == "waiting"


def test_a_version_that_begins_meanwhile_counts_and_one_behind_the_end_does_not(house: House) -> None:
    made = house.propose(house.payload())
    later = house.propose(house.payload(until="none"), "endless")
    begins_ns = house.clock.now_ns() + 3 * HOUR_NS
    version = FeeSchedule(begins_ns, (Tier(0, Rates(9_000, 9_000)),), rebates=(Rebate("", 5_000),))
    publish(version, now_ns=house.clock.now_ns())
    code, message = refused(house.decide(later))
    assert (code, message.startswith("taker: 0.002 is less")) == (Code.PROPOSAL_OUTDATED, True)
    assert house.decide(made)["state"] == "applied"


def test_rates_whose_time_has_come_before_they_were_approved_are_not_agreed(house: House) -> None:
    made = house.propose(house.payload(**{"from": iso_utc(house.clock.now_ns() + HOUR_NS // 2)}))
    house.clock.at_ns += HOUR_NS // 2
    assert refused(house.decide(made))[0] is Code.PROPOSAL_OUTDATED
    assert read_published().agreements == {}


def test_agreements_that_would_outgrow_their_item_are_refused_with_words(house: House) -> None:
    made = house.propose(house.payload())
    rows = {str(1_000 + account): [[1, 0, 1]] for account in range(AGREEMENTS_CHARACTERS_MAX // 17)}
    text = json.dumps(rows, separators=(",", ":"))
    FeeScheduleItem("default").update(actions=[FeeScheduleItem.agreements.set(text)])
    code, message = refused(house.decide(made))
    assert (code, "end some" in message) == (Code.PROPOSAL_OUTDATED, True)


def test_agreements_leave_the_versions_alone(house: House) -> None:
    before = read_published().versions
    house.decide(house.propose(house.payload()))
    assert read_published().versions == before
    publish(flat(0, 9_000, effective_ns=house.clock.now_ns() + HOUR_NS), now_ns=house.clock.now_ns())
    assert [type(row) for row in read_published().agreements[ACCOUNT_ID]] == [Agreement, Agreement]
