"""Reports as stock ccxt asks for them: by its raw calls, in the trading API's nested form."""

from collections.abc import Callable
from typing import Any

import pytest
import urllib3

pytest.importorskip("ccxt")
pytestmark = pytest.mark.cloud

Eventually = Callable[[Callable[[], Any]], Any]


def test_ccxt_asks_for_a_statement_and_fetches_it(
    newcomer: Callable[[str], dict[str, str]], client_of: Callable[..., Any], eventually: Eventually
) -> None:
    client = client_of(newcomer("ccxt-reports"))
    account = next(one for one in client.fetch_accounts() if one["code"] == "EUR")
    body = {"type": "account", "format": "csv", "account": {"account_id": account["id"]}}
    asked = client.private_post_reports(body)
    by_id = {"report_id": asked["id"]}
    eventually(lambda: client.private_get_reports_report_id(by_id)["status"] == "ready")
    ready = client.private_get_reports_report_id(by_id)
    lines = urllib3.request("GET", ready["file_url"], retries=False).data.decode().splitlines()
    assert (ready["params"]["account_id"], int(ready["row_count"])) == (account["id"], len(lines) - 1)
    assert lines[0].startswith("portfolio,type,time,amount,balance")
