"""Whatever is sent as a cursor, a limit or a moment: a value within its bounds, or a refusal that names it."""

from typing import Any
from urllib.parse import quote

import pytest
from exchange.kernel.errors import Refused
from exchange.rest import ApiRequest, read_limit, read_moment, read_number_page
from exchange.wallets.request import read_kind, read_page
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.trading.test_listing import listed

NEAR = st.from_regex(r"\A[0-9]{0,25}-?[0-9]{0,25}\Z")
ODD = st.sampled_from(["", "-", "0", "\u0661\u0662", "1e5", "9" * 5000, "\0", "None", "0x1", " 1", "1_0", "²", "½"])
TEXTS = st.one_of(st.text(max_size=60), NEAR, ODD)
NAMES = ("limit", "after", "before", "start_date", "end_date", "start", "end", "status", "product_id", "type")
QUERIES = st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=5)


def asked(query: dict[str, str]) -> ApiRequest:
    raw = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    return ApiRequest("GET", "/x", raw, {}, b"", "203.0.113.7", "request")


def judge(answer: Any, query: dict[str, str]) -> None:
    if isinstance(answer, Refused):
        # Which parameter, and in words of ours: what was sent is not sent back.
        assert answer.message.partition(":")[0] in query or "PRODUCT" in answer.code
        assert len(answer.message) < 300


@given(QUERIES)
@example({"after": "0" * 20 + "-" + "0" * 19})
@example({"limit": "0" * 9})
def test_no_query_breaks_a_list(query: dict[str, str]) -> None:
    request = asked(query)
    for read in (read_limit, read_number_page, read_page, read_kind):
        judge(read(request), query)
    judge(listed(request.raw_query), query)


@given(TEXTS)
def test_a_page_is_never_longer_than_allowed_nor_numbered_below_nought(text: str) -> None:
    page = read_number_page(asked({"limit": text, "after": text}))
    if not isinstance(page, Refused):
        assert 1 <= page.limit <= 100
        assert page.after is not None
        assert 0 <= page.after < 10**16


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59:59.999999+00:00", "1969-12-31T23:59:59-23:59"])
def test_moments_at_the_ends_of_time_are_whole_nanoseconds(text: str) -> None:
    moment = read_moment(asked({"start": text}), "start")
    assert isinstance(moment, int | Refused)


@given(TEXTS)
def test_no_text_breaks_a_moment(text: str) -> None:
    assert isinstance(read_moment(asked({"start": text}), "start"), int | Refused)
