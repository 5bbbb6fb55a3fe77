"""Books on the laptop cloud: closed by the function, signed by KMS, proven to a customer by a program of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
from exchange.audit.store import bind_tables

from infra.cli.books import close_now
from infra.local.clients import environment
from tests.integration.conftest import RunningLaptop
from tests.integration.hostile import signed

pytestmark = pytest.mark.cloud
VERIFIER = Path(__file__).parents[2] / "web" / "verify_liabilities.py"
SECONDS_MAX = 60


@pytest.fixture
def stack(laptop: RunningLaptop, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The stack, with this process able to reach its cloud."""
    for name, value in environment(laptop.settings).items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    bind_tables(laptop.stack["tables"])
    return laptop.stack


def get(stack: dict[str, Any], path: str, user: dict[str, str] | None = None) -> tuple[int, Any]:
    """One GET, signed where a user is given."""
    headers = signed(user, "GET", path, b"") if user else {}
    answer = urllib3.request("GET", stack["rest_url"] + path, headers=headers)
    return answer.status, answer.json()


def test_what_a_customer_is_owed_is_in_the_signed_total(
    stack: dict[str, Any], newcomer: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    user = newcomer("prover")
    accounts = {row["currency"]: row["balance"] for row in get(stack, "/accounts", user)[1] if row["balance"] != "0"}
    deadline = time.monotonic() + SECONDS_MAX
    owed: dict[str, str] = {}
    while owed != accounts:  # What was posted in the last seconds is in the next closing.
        assert time.monotonic() < deadline, (owed, accounts)
        time.sleep(2)
        number = close_now(stack["outputs"])
        status, proof = get(stack, f"/v1/proofs/{number}", user)
        assert status == 200, proof
        owed = {row["asset"]: row["amount"] for row in proof["balances"]}
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof), encoding="utf-8")
    assert subprocess.run([sys.executable, VERIFIER, file], check=False).returncode == 0
    proof["balances"][0]["units"] = str(int(proof["balances"][0]["units"]) - 1)
    file.write_text(json.dumps(proof), encoding="utf-8")
    assert subprocess.run([sys.executable, VERIFIER, file], check=False, stderr=subprocess.PIPE).returncode == 1
    assert get(stack, "/fees", user)[1]["usd_volume"] == "0"  # counted, and nothing traded
    status, listed = get(stack, "/v1/proofs?limit=1")
    assert (status, listed[0]["closing"] >= number) == (200, True)
    assert listed[0]["public_key"] == proof["public_key"]


def test_a_closing_that_is_not_is_not_found(stack: dict[str, Any]) -> None:
    user = stack["demo_users"][0]
    for name in ("0", "999999", "-1", "x", "latest%20"):
        status, told = get(stack, f"/v1/proofs/{name}", user)
        assert (status, told["code"]) == (404, "PROOF_NOT_FOUND"), name
