"""Pages over HTTP: their parameters read, their cursors told."""

from exchange.kernel.errors import Refused
from exchange.market_data.candles import parse_candles
from exchange.market_data.paging import parse_page, parse_range
from exchange.market_data.questions import MarketQuestions
from exchange.rest import ApiRequest, Reply


def list_trades(questions: MarketQuestions, request: ApiRequest, product_id: str) -> Reply | Refused:
    """Trades, newest first: CB-BEFORE leads to the nearest newer ones, CB-AFTER to the nearest older ones.

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND.
    """
    page = parse_page(limit=request.query("limit"), before=request.query("before"), after=request.query("after"))
    trades = page if isinstance(page, Refused) else questions.trades(product_id, page)
    if isinstance(trades, Refused):
        return trades
    if not trades:
        return Reply(trades)
    cursors = {"CB-BEFORE": str(trades[0]["trade_id"]), "CB-AFTER": str(trades[-1]["trade_id"])}
    return Reply(trades, headers=cursors)


def list_candles(questions: MarketQuestions, request: ApiRequest, product_id: str) -> Reply | Refused:
    """Candles, newest first: `granularity`, `start` and `end`, `fill`.

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND.
    """
    query = parse_candles(
        granularity=request.query("granularity"),
        start=request.query("start"),
        end=request.query("end"),
        fill=request.query("fill"),
        now_ns=questions.now_ns(),
    )
    rows = query if isinstance(query, Refused) else questions.candles(product_id, query)
    return rows if isinstance(rows, Refused) else Reply(rows)


def list_events(questions: MarketQuestions, request: ApiRequest, product_id: str) -> Reply | Refused:
    """Public events by rising sequence, `from` one `to` another; CB-AFTER is where the next page begins.

    Refuses:  REQUEST_FIELD_INVALID, PRODUCT_NOT_FOUND, EVENTS_EXPIRED.
    """
    wanted = parse_range(first=request.query("from"), last=request.query("to"), limit=request.query("limit"))
    found = wanted if isinstance(wanted, Refused) else questions.events(product_id, wanted)
    if isinstance(found, Refused):
        return found
    events, following = found
    return Reply(events, headers={"CB-AFTER": str(following)} if following else {})
