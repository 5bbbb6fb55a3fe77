"""Four eyes over the real tables: every way around the second person is refused, and every act leaves its row."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from exchange.approvals.model import (
    APPROVED_NS_MAX,
    SYSTEM,
    WAITING_NS_MAX,
    Act,
    AuditRow,
    Proposal,
    ProposalState,
    UnfitError,
    digest,
    proposal_id_for,
    proposal_json,
    spent,
)
from exchange.approvals.service import decide, open_proposals, propose
from exchange.approvals.store import (
    TRIES,
    AuditRowStore,
    ProposalItem,
    ProposalStore,
    bind_audit_rows,
    committed,
    every_link,
    every_row,
    newest_link,
    recorded,
    spend_approval,
)
from exchange.aws.dynamodb import bind, connection
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Code, Refused, UnavailableError
from moto import mock_aws
from pynamodb.transactions import TransactWrite

from tests.fakes.tables import create_tables

NOW = 1_800_000_000 * 10**9
DAY = iso_utc(NOW)[:10]
PAYLOAD = {"user_id": "carol"}
# What a proposal's item needs beside its id.
REST: Mapping[str, Any] = {
    **dict.fromkeys(["kind", "payload", "payload_hash", "reason", "maker", "made_key", "state"], "x"),
    "made_at_ns": 1,
    "expires_at_ns": 1,
}
KIND = "customer.unfreeze"


class World:
    """A store, a clock and the two operators of these tests."""

    def __init__(self) -> None:
        self.applied: list[Mapping[str, str]] = []
        self.unfit = ""
        self.store = ProposalStore(connection(), {KIND: self._effect})
        self.now = NOW
        self._acts = 0

    def _effect(self, _: TransactWrite, proposal: Proposal) -> None:
        if self.unfit:
            raise UnfitError(self.unfit)
        self.applied.append(proposal.payload)

    def act(self, actor: str) -> Act:
        self._acts += 1
        return Act(actor, self.now, f"request-{self._acts}", f"{self._acts:08d}-0000-0000-0000-000000000000", "why")

    def propose(self, maker: str = "olivia", key: str = "k1", **changes: Any) -> Proposal | Refused:
        wanted = Proposal(proposal_id_for(maker, key), KIND, PAYLOAD, "why", maker, self.now, self.now + WAITING_NS_MAX)
        return propose(replace(wanted, **changes), self.act(maker), proposals=self.store)

    def made(self, **changes: Any) -> Proposal:
        made = self.propose(**changes)
        assert isinstance(made, Proposal)
        return made

    def decide(
        self, who: str, proposal: Proposal, *, approved: bool = True, seen: str = "", immediate: bool = True
    ) -> Proposal | Refused:
        kinds = [KIND] if immediate else []
        return decide(
            proposal.proposal_id,
            seen or proposal.payload_hash,
            self.act(who),
            approved=approved,
            immediate=kinds,
            proposals=self.store,
        )

    def rows(self) -> list[AuditRow]:
        return AuditRowStore().of_day(DAY, after="", limit=100)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        create_tables("proposals", "audit_rows")
        bind(ProposalItem, "proposals")
        bind_audit_rows("audit_rows")
        yield World()


def code_of(answer: Proposal | Refused) -> Code:
    assert isinstance(answer, Refused), answer
    return answer.code


def test_what_one_proposes_another_approves_and_it_is_done_once(world: World) -> None:
    made = world.made()
    done = world.decide("oscar", made)
    assert isinstance(done, Proposal)
    assert (done.state, done.checker) == (ProposalState.APPLIED, "oscar")
    assert world.store.find(made.proposal_id) == done
    assert code_of(world.decide("oscar", made)) is Code.PROPOSAL_DECIDED
    assert code_of(world.decide("otto", made, approved=False)) is Code.PROPOSAL_DECIDED
    assert world.applied == [PAYLOAD]


def test_nobody_approves_what_they_proposed_but_they_may_withdraw_it(world: World) -> None:
    made = world.made()
    assert code_of(world.decide("olivia", made)) is Code.PROPOSAL_OWN
    withdrawn = world.decide("olivia", made, approved=False)
    assert isinstance(withdrawn, Proposal)
    assert withdrawn.state is ProposalState.REJECTED
    assert world.applied == []


@pytest.mark.parametrize("payload", [{"user_id": "mallory"}, {"user_id": "carol", "more": "x"}, {}])
def test_an_approval_is_of_the_payload_that_was_seen(world: World, payload: dict[str, str]) -> None:
    made = world.made()
    other = replace(made, payload=payload).payload_hash
    assert code_of(world.decide("oscar", made, seen=other)) is Code.PROPOSAL_CHANGED
    assert code_of(world.decide("oscar", made, seen=replace(made, kind="x").payload_hash)) is Code.PROPOSAL_CHANGED
    assert world.applied == []


def test_after_an_hour_nobody_can_approve(world: World) -> None:
    made = world.made()
    world.now += WAITING_NS_MAX
    assert code_of(world.decide("oscar", made)) is Code.PROPOSAL_EXPIRED
    assert open_proposals(world.now, proposals=world.store, row_ids=["9" * 36]) == []
    found = world.store.find(made.proposal_id)
    assert found is not None
    assert found.state is ProposalState.EXPIRED
    assert code_of(world.decide("oscar", made)) is Code.PROPOSAL_EXPIRED
    assert [(row.actor, row.action) for row in world.rows()][-1] == (SYSTEM, f"expire {KIND}")


def test_a_repeated_request_is_the_same_proposal_and_another_one_is_refused(world: World) -> None:
    made = world.made()
    world.now += 1
    assert world.propose() == made
    assert code_of(world.propose(payload={"user_id": "dave"})) is Code.PROPOSAL_KEY_REUSED
    assert len(world.rows()) == 1
    assert world.made(maker="oscar").proposal_id != made.proposal_id


def test_two_decisions_at_once_are_one(world: World) -> None:
    made = world.made()
    act = world.act("oscar")
    row = act.row("approve", made.proposal_id, before=1, after=2)
    assert world.store.change(made, replace(made, state=ProposalState.REJECTED), row)
    late = replace(row, row_id="late")
    assert not world.store.change(made, replace(made, state=ProposalState.APPLIED, checker="otto"), late)
    assert [found.row_id for found in world.rows()][-1] == row.row_id


def test_every_act_leaves_a_row_and_their_hashes_are_a_chain(world: World) -> None:
    made = world.made()
    world.now += 1
    done = world.decide("oscar", made)
    assert isinstance(done, Proposal)
    first, second = world.rows()
    assert (first.actor, first.action, first.request_id) == ("olivia", f"propose {KIND}", "request-1")
    assert (second.actor, second.action, second.request_id) == ("oscar", f"approve {KIND}", "request-2")
    assert first.before_hash == digest(None)
    assert first.after_hash == second.before_hash == digest(proposal_json(made))
    assert second.after_hash == digest(proposal_json(done))
    assert AuditRowStore().of_day(DAY, after=first.cursor, limit=1) == [second]


def test_every_act_has_its_link_in_one_chain(world: World) -> None:
    assert newest_link() is None
    made = world.made()
    world.now += 86_400 * 10**9 * 2
    world.made(key="k2")
    links, rows = every_link(), every_row()
    assert [(each.number, each.day) for each in links] == [(1, DAY), (2, iso_utc(world.now)[:10])]
    assert links[1].previous_hash == links[0].hash
    assert [rows[each.day, each.cursor].subject for each in links] == [
        made.proposal_id,
        proposal_id_for("olivia", "k2"),
    ]
    assert newest_link() == links[1]


def test_an_act_that_another_overtook_goes_behind_it(world: World) -> None:
    other = iter([False, True, True])

    def fill(transaction: TransactWrite) -> None:
        """Something to write, and the first time another operator is quicker."""
        if not next(other):
            world.made(key="quicker")
        transaction.save(ProposalItem("mine", **REST), condition=ProposalItem.proposal_id.does_not_exist())

    row = world.act("oscar").row("try", "mine", before=None, after="x")
    assert recorded(connection(), row, fill)
    assert [every_row()[each.day, each.cursor].actor for each in every_link()] == ["olivia", "oscar"]
    # The second time its own condition fails, and nothing is written down.
    assert not recorded(connection(), replace(row, row_id="again"), fill)
    assert len(every_link()) == len(every_row()) == 2


def test_who_is_always_overtaken_is_told_that_nothing_happened(world: World) -> None:
    quicker = iter(range(1_000))

    def fill(_: TransactWrite) -> None:
        world.made(key=f"quicker-{next(quicker)}")

    with pytest.raises(UnavailableError):
        recorded(connection(), world.act("oscar").row("try", "mine", before=None, after="x"), fill)
    assert {every_row()[each.day, each.cursor].actor for each in every_link()} == {"olivia"}
    assert len(every_link()) == TRIES


def test_an_approval_that_others_act_on_is_spent_once_for_its_own_payload(world: World) -> None:
    made = world.made()
    approved = world.decide("oscar", made, immediate=False)
    assert isinstance(approved, Proposal)
    assert approved.state is ProposalState.APPROVED
    assert isinstance(spent(approved, KIND, {"user_id": "mallory"}, world.now), Refused)
    assert isinstance(spent(approved, "trade.bust", PAYLOAD, world.now), Refused)
    assert isinstance(spent(approved, KIND, PAYLOAD, world.now + APPROVED_NS_MAX), Refused)
    assert isinstance(spent(made, KIND, PAYLOAD, world.now), Refused)
    used = spent(approved, KIND, PAYLOAD, world.now + 1)
    assert isinstance(used, Proposal)
    assert committed(connection(), lambda transaction: spend_approval(transaction, approved, used))
    assert not committed(connection(), lambda transaction: spend_approval(transaction, approved, used))
    assert isinstance(spent(used, KIND, PAYLOAD, world.now), Refused)


def test_names_and_texts_have_one_hash_however_they_are_written() -> None:
    assert digest({"b": "1", "a": "ä"}) == digest({"a": "ä", "b": "1"})
    assert digest({"a": "1", "b": ""}) != digest({"a": "", "b": "1"})
    assert digest(["ab", "c"]) != digest(["a", "bc"])


def test_an_approval_that_does_not_fit_says_why_and_leaves_the_proposal(world: World) -> None:
    made = world.made()
    world.unfit = "amount: the account owes 10 EUR"
    refused = world.decide("oscar", made)
    assert isinstance(refused, Refused)
    assert refused.code is Code.PROPOSAL_OUTDATED
    assert refused.message == "amount: the account owes 10 EUR; reject it and look again"
    assert (world.store.find(made.proposal_id), world.applied) == (made, [])
    world.unfit = ""
    assert isinstance(world.decide("oscar", made), Proposal)
    assert world.applied == [PAYLOAD]
