"""A fee schedule on the laptop cloud: proposed by one, looked at and approved by another, by nobody else, and once."""

import json
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exchange.kernel.clock import iso_utc
from typer.testing import CliRunner

from infra.cli.main import app
from infra.local.clients import environment
from tests.integration.conftest import Login, RunningLaptop
from tests.integration.test_deposits import Customer

pytestmark = pytest.mark.cloud
FREE = {"volume": "0", "maker": "0", "taker": "0"}
# Behind all that tests beside this one trade.
FAR_NS = 50 * 365 * 86_400 * 10**9
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(laptop: RunningLaptop) -> Command:
    variables = {**environment(laptop.settings), "EXCHANGE_HOME": str(laptop.settings.home)}

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["fees", *arguments], env=variables)
        return result.exit_code, result.output

    return run


def schedule(**more: Any) -> dict[str, Any]:
    """A version that begins in fifty years, each later than the one before."""
    # Never a whole second, which is written shorter.
    begins_ns = time.time_ns() // 1_000_000 * 1_000_000 + FAR_NS + 1_000
    return {"effective": iso_utc(begins_ns), "tiers": [FREE], **more}


def proposal(document: dict[str, Any]) -> dict[str, Any]:
    payload = {"schedule": json.dumps(document)}
    return {"kind": "fees.publish", "payload": payload, "reason": "cheaper", "key": uuid.uuid4().hex}


def test_one_proposes_a_file_another_looks_at_it_and_approves(command: Command, login: Login, tmp_path: Path) -> None:
    wanted, path = schedule(products={"EUR-USD": [{**FREE, "taker": "0.0123"}]}), tmp_path / "fees.json"
    path.write_text(json.dumps(wanted), encoding="utf-8")
    code, text = command("--publish", str(path), "--as", "olivia", "--reason", "a test of fees")
    assert code == 0, text
    found = re.search(r"Proposed as ([0-9a-f]{32})", text)
    assert found, text
    proposal_id = found[1]
    olivia, oscar = login("olivia"), login("oscar")
    made = oscar.ask("GET", f"/v1/proposals/{proposal_id}")
    assert json.loads(made["payload"]["schedule"]) == wanted
    code, text = command("--proposal", proposal_id)
    assert code == 0, text
    assert made["payload_hash"] in text
    assert "a test of fees" in text
    assert "as they would have been" in text
    assert wanted["effective"] not in command()[1]

    decision = {"payload_hash": made["payload_hash"]}
    status, said = olivia.send("POST", f"/v1/proposals/{proposal_id}/approvals", decision)
    assert (status, said["code"]) == (400, "PROPOSAL_OWN")
    assert oscar.ask("POST", f"/v1/proposals/{proposal_id}/approvals", decision)["state"] == "applied"
    status, said = oscar.send("POST", f"/v1/proposals/{proposal_id}/approvals", decision)
    assert (status, said["code"]) == (400, "PROPOSAL_DECIDED")
    assert command()[1].count(wanted["effective"]) == 1
    status, said = olivia.send("POST", "/v1/proposals", proposal(wanted))
    assert (status, said["code"]) == (400, "REQUEST_FIELD_INVALID")
    assert said["message"].startswith("payload.schedule: effective: a version that begins then or later")


def test_of_two_versions_for_one_moment_one_is_published(login: Login) -> None:
    olivia, oscar = login("olivia"), login("oscar")
    document = schedule()
    one, other = (olivia.ask("POST", "/v1/proposals", proposal(document)) for _ in range(2))
    for made in (one, other):
        status, said = oscar.send(
            "POST", f"/v1/proposals/{made['id']}/approvals", {"payload_hash": made["payload_hash"]}
        )
        if made is one:
            assert (status, said["state"]) == (200, "applied")
    assert (status, said["code"]) == (400, "PROPOSAL_OUTDATED")
    assert "already published" in said["message"]
    assert olivia.ask("POST", f"/v1/proposals/{other['id']}/rejections", {"payload_hash": other["payload_hash"]})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tier": []}, "tier: no such field"),
        ({"tiers": [{**FREE, "taker": "0.1x"}]}, "tiers.0.taker: give decimal text"),
        ({"promotions": [{"from": "2030-01-01"}]}, "promotions.0.until: give an ISO time"),
        ({"products": {"NO-NE": [FREE]}}, "products.NO-NE: NO-NE is not listed"),
        ({"effective": "2020-01-01T00:00:00Z"}, "effective: a version can't begin in the past"),
        ({"rebates": [{"rate": "0.5"}]}, "rebates.0.rate: 0.5 is more than the takers"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_wrong_is_named_by_table_and_place(
    command: Command, login: Login, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    status, said = login("olivia").send("POST", "/v1/proposals", proposal({**schedule(), **changes}))
    assert (status, said["code"]) == (400, "REQUEST_FIELD_INVALID"), said
    assert said["message"].startswith(f"payload.schedule: {told}")
    path = tmp_path / "fees.json"
    path.write_text(json.dumps({**schedule(), **changes}), encoding="utf-8")
    code, text = command("--publish", str(path))
    assert code == 1
    assert told in text


def test_only_those_who_may_propose_a_schedule_do(login: Login) -> None:
    for role in ("support", "compliance", "auditor"):
        status, said = login(role).send("POST", "/v1/proposals", proposal(schedule()))
        assert (status, said["code"]) == (403, "AUTH_ROLE"), role


def test_rates_of_one_profile_are_proposed_looked_at_approved_and_listed(
    command: Command, login: Login, laptop: RunningLaptop, newcomer: Callable[[str], dict[str, str]]
) -> None:
    profile_id = str(Customer(laptop.stack["rest_url"], newcomer("agreed")).ask("GET", "/profiles")[0]["id"])
    begins = iso_utc(time.time_ns() // 1_000_000 * 1_000_000 + FAR_NS + 1_000)
    terms = ["--agree", profile_id, "--maker", "0.0011", "--taker", "0.0123", "--as", "olivia"]
    code, text = command(*terms)
    assert code == 1
    assert "from: give a time to come" in text
    code, text = command(*terms, "--from", "2020-01-01T00:00:00Z")
    assert code == 1
    assert "payload.from: rates can't be agreed for the past" in text
    code, text = command(*terms, "--from", begins, "--reason", "a market maker")
    assert code == 0, text
    found = re.search(r"Proposed as ([0-9a-f]{32})", text)
    assert found, text
    code, text = command("--proposal", found[1])
    assert code == 0, text
    assert "0.0123" in text
    assert "as they would have been" in text
    assert profile_id not in command("--agreed")[1]

    oscar = login("oscar")
    made = oscar.ask("GET", f"/v1/proposals/{found[1]}")
    decision = {"payload_hash": made["payload_hash"]}
    assert oscar.ask("POST", f"/v1/proposals/{found[1]}/approvals", decision)["state"] == "applied"
    code, text = command("--agreed")
    assert code == 0, text
    row = next(line for line in text.splitlines() if profile_id in line)
    assert begins in row
    assert "0.0123" in row
    assert profile_id not in command("--agreed", "--after", profile_id)[1]
    code, text = command("--agreed", "--after", "7")
    assert code == 1
    assert "after: give the profile's id" in text
