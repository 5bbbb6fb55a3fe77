"""Lists walked by their cursors while rows are being added: none is seen twice, none that was there is missed."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
import urllib3

from tests.integration.conftest import RunningLaptop
from tests.integration.hostile import signed

pytestmark = pytest.mark.cloud
PRODUCT = "GOOG-USD"
LIMIT = 4
BEFORE, DURING = 9, 12
Make = Callable[[str], dict[str, str]]
Eventually = Callable[[Callable[[], Any]], Any]
Rows = list[dict[str, Any]]


class Walker:
    """A customer who reads lists page by page."""

    def __init__(self, laptop: RunningLaptop, user: Mapping[str, str]) -> None:
        self._url = laptop.stack["rest_url"]
        self._user = user
        self._pool = urllib3.PoolManager(maxsize=4, timeout=30, retries=False)

    def ask(self, method: str, path: str, body: Any = None) -> urllib3.BaseHTTPResponse:
        """One request that must succeed."""
        data = b"" if body is None else json.dumps(body).encode()
        headers = signed(self._user, method, path, data)
        answer = self._pool.urlopen(
            method, self._url + path, body=data or None, headers=headers, assert_same_host=False
        )
        assert answer.status == 200, answer.data
        return answer

    def place(self, side: str, price: str) -> Any:
        """One share."""
        return self.ask("POST", "/orders", {"product_id": PRODUCT, "side": side, "price": price, "size": "1"}).json()

    def walk(self, path: str, way: str = "after", cursor: str = "") -> Rows:
        """Every row from a cursor on, in the order in which the pages came; each page newest first."""
        rows: Rows = []
        while True:
            more = f"&{way}={cursor}" if cursor else ""
            answer = self.ask("GET", f"{path}{'&' if '?' in path else '?'}limit={LIMIT}{more}")
            page = answer.json()
            assert len(page) <= LIMIT
            rows += page if way == "after" else page[::-1]
            cursor = answer.headers.get(f"cb-{way}", "")
            if not page or not cursor:
                return rows

    def oldest_cursor(self, path: str) -> str:
        """The cursor of a list's oldest row."""
        cursor = ""
        while True:
            more = f"&after={cursor}" if cursor else ""
            answer = self.ask("GET", f"{path}{'&' if '?' in path else '?'}limit=1{more}")
            if answer.json():
                last = answer.headers["cb-before"]
            cursor = answer.headers.get("cb-after", "")
            if not answer.json() or not cursor:
                return last


def names(rows: Rows) -> list[str]:
    """What tells rows apart."""
    return [str(row.get("trade_id") or row["id"]) for row in rows]


@pytest.fixture(scope="module")
def traders(laptop: RunningLaptop, newcomer: Make) -> tuple[Walker, Walker]:
    """Two who trade with each other."""
    return Walker(laptop, newcomer("pager")), Walker(laptop, newcomer("partner"))


def trade(traders: tuple[Walker, Walker], price: str, times: int) -> None:
    """Share by share, from one to the other."""
    for _ in range(times):
        traders[1].place("sell", price)
        traders[0].place("buy", price)


def test_a_walk_sees_each_row_once_whatever_is_added_meanwhile(
    laptop: RunningLaptop, traders: tuple[Walker, Walker], eventually: Eventually
) -> None:
    own = traders[0]
    reference = urllib3.request("GET", f"{laptop.stack['rest_url']}/products/{PRODUCT}").json()["reference_price"]
    account = next(row["id"] for row in own.ask("GET", "/accounts").json() if row["currency"] == "GOOG")
    lists = ("/orders?status=all", f"/fills?product_id={PRODUCT}", f"/accounts/{account}/ledger")
    trade(traders, reference, BEFORE)
    eventually(lambda: len(own.walk(lists[1])) == BEFORE)
    known = {path: set(names(own.walk(path))) for path in lists}
    with ThreadPoolExecutor(1) as executor:
        trading = executor.submit(trade, traders, reference, DURING)
        rounds = 0
        while not trading.done() or not rounds:
            for path in lists:
                seen = names(own.walk(path))
                assert len(seen) == len(set(seen)), path
                assert known[path] <= set(seen), path
            rounds += 1
        trading.result()
    eventually(lambda: len(own.walk(lists[1])) == BEFORE + DURING)
    for path in lists:
        rows = own.walk(path)
        moments = [row["created_at"] for row in rows]
        assert all(newer >= older for newer, older in pairwise(moments)), path
        # The other way round, from the oldest row on: the very same rows.
        newer_rows = own.walk(path, "before", own.oldest_cursor(path))
        assert names(newer_rows) == names(rows)[-2::-1], path


def test_public_trades_are_walked_the_same(laptop: RunningLaptop, traders: tuple[Walker, Walker]) -> None:
    path = f"/products/{PRODUCT}/trades"
    seen = [int(name) for name in names(traders[0].walk(path))]
    assert len(seen) >= BEFORE
    assert seen == sorted(set(seen), reverse=True)
    forward = [int(name) for name in names(traders[0].walk(path, "before", str(seen[-1])))]
    assert forward == seen[-2::-1]


def test_transfers_are_walked_both_ways(traders: tuple[Walker, Walker]) -> None:
    rows = names(traders[0].walk("/transfers"))
    assert len(rows) == len(set(rows)) >= 3
    cursor = traders[0].oldest_cursor("/transfers")
    assert names(traders[0].walk("/transfers", "before", cursor)) == rows[-2::-1]
