"""The tables behind proposals about fees."""

from collections.abc import Iterator
from typing import Any

import pytest
from exchange.approvals.store import ProposalItem, bind_audit_rows
from exchange.aws.dynamodb import bind
from exchange.fees.store import FeeScheduleItem
from exchange.instruments.store import InstrumentItem
from exchange.kernel.errors import Code, Refused
from moto import mock_aws

from tests.fakes.tables import create_tables


@pytest.fixture
def proposal_tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Empty tables of proposals, audit rows, fee schedules and instruments."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        create_tables("proposals", "audit_rows", "fee_schedules", "instruments")
        bind(ProposalItem, "proposals")
        bind_audit_rows("audit_rows")
        bind(FeeScheduleItem, "fee_schedules")
        bind(InstrumentItem, "instruments")
        yield


def refused(answer: Any) -> tuple[Code, str]:
    """The code and words of a refusal."""
    assert isinstance(answer, Refused), answer
    return answer.code, answer.message
