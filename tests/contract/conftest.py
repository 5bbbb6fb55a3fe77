"""What the code says of itself, asked once for all contract tests."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.contract.cloud_definition import ROOT, functions


@pytest.fixture(scope="session")
def code() -> dict[str, Any]:
    """Models, triggers and outages of the code, read in a process that has the template's environment."""
    environment = {
        **os.environ,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_XRAY_SDK_ENABLED": "false",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "functions/shared/python")]),
    }
    for function in functions():
        environment.update({name: _value(name) for name in function.variables})
    command = [sys.executable, "-m", "tests.contract.triggers", *(function.module for function in functions())]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert isinstance(found, dict)
    return found


def _value(name: str) -> str:
    """A value that looks like the real one where the code takes it apart."""
    if name.endswith(("_URL", "_ENDPOINT")):
        return "https://example.invalid/live"
    known = {
        "BANK_PROVIDER": "sandbox",
        "STRIPE_RAIL": "off",
        "BANK_FILES_RAIL": "off",
        "CHAIN_RAIL": "off",
        "USER_POOL_ID": "us-east-1_example",
        "OPERATOR_POOL_ID": "us-east-1_operators",
        "PUBLIC_REQUESTS_PER_SECOND": "10",
    }
    return known.get(name, f"exchange-{name.lower()}")
