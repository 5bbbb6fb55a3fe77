"""What was held and could not be sent, because its service was away, goes on by the sweepers once it is back."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3

from tests.fakes.faults import Fault, Rule, dumped
from tests.integration.conftest import RunningLaptop, audited
from tests.integration.test_profiles import dave
from tests.integration.test_users import Visitor
from tests.integration.test_withdrawals import METHOD, account, ended, read
from tests.integration.watched_cloud import FAULTS_PATH

pytestmark = pytest.mark.cloud

Eventually = Callable[[Callable[[], Any]], Any]
ORDER = {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "55", "size": "1", "client_oid": "unsent"}
FORGOTTEN_SECONDS = 61  # the sweeper of transfers leaves those alone that are younger than a minute

__all__ = ["dave"]


@contextmanager
def away(laptop: RunningLaptop, operation: str, *functions: str) -> Iterator[None]:
    """A service that fails every such request of some functions while the block runs."""
    url = laptop.settings.endpoint_url + FAULTS_PATH
    rules = [Rule(function, operation, {Fault.FAILED: 1.0}) for function in functions]
    urllib3.request("PUT", url, body=dumped(1, rules), timeout=30)
    try:
        yield
        assert urllib3.request("GET", url, timeout=30).json(), "nothing was asked of it"
    finally:
        urllib3.request("PUT", url, body=dumped(1, ()), timeout=30)


def test_an_order_that_could_not_be_sent_is_sent_by_the_sweeper(
    laptop: RunningLaptop, dave: Visitor, eventually: Eventually
) -> None:
    with away(laptop, "Kinesis.*", "trading-api"):
        status, waiting = dave.send("POST", "/orders", ORDER)
        assert (status, waiting["status"]) == (200, "pending")
        assert read(dave, "/orders/client:unsent")["status"] == "pending"
        assert account(dave)["hold"] != "0"
    # It looks every five seconds for most of a minute, so nobody waits for its end.
    laptop.client("lambda").invoke(FunctionName="exchange-local-trading-schedule", InvocationType="Event")
    eventually(lambda: read(dave, "/orders/client:unsent")["status"] == "open")
    assert read(dave, "/orders/client:unsent")["id"] == waiting["id"]
    assert dave.send("DELETE", "/orders/client:unsent")[0] == 200
    eventually(lambda: account(dave)["hold"] == "0")
    audited(laptop)


def test_transfers_whose_machine_could_not_be_started_are_started_by_the_sweeper(
    laptop: RunningLaptop, dave: Visitor, eventually: Eventually
) -> None:
    with away(laptop, "AWSStepFunctions.StartExecution", "wallets-api", "withdrawals-api"):
        status, withdrawal = dave.send("POST", "/withdrawals/payment-method", {"amount": "10", **METHOD})
        assert (status, withdrawal["status"]) == (200, "pending")
        named = {"amount": "5", "client_transfer_id": "unstarted", **METHOD}
        status, said = dave.send("POST", "/deposits/payment-method", named)
        assert (status, said["code"]) == (504, "OUTCOME_UNKNOWN")
        begun = time.monotonic()
    waiting = {row["type"]: row["id"] for row in read(dave, "/transfers") if row["status"] == "pending"}
    assert waiting.keys() == {"deposit", "withdraw"}
    row = account(dave)
    assert (row["balance"], row["available"], row["hold"]) == ("100", "90", "10")
    eventually(lambda: time.monotonic() - begun > FORGOTTEN_SECONDS)

    def swept() -> bool:
        found = laptop.client("lambda").invoke(FunctionName="exchange-local-wallets-schedule")
        assert "errorMessage" not in json.loads(found["Payload"].read())
        return all(ended(dave, each) for each in waiting.values())

    eventually(swept)
    assert {ended(dave, each)["status"] for each in waiting.values()} == {"completed"}
    row = account(dave)
    assert (row["balance"], row["available"], row["hold"]) == ("95", "95", "0")
    audited(laptop)
