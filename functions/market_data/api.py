"""Public market data over HTTP: the clock, what can be traded, books, tickers and trades."""

from functools import cache
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.aws.settings import EnvironmentSettings
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Refused
from exchange.market_data.paging import parse_page
from exchange.market_data.service import MarketQuestions
from exchange.market_data.store import MarketDataStore, bind_market_data
from exchange.rest import Api, ApiRequest, Reply


class Settings(EnvironmentSettings):
    """What this function reads from its environment."""

    instruments_table: str
    market_data_table: str


app = Api("market-data")
handler = app


@cache
def questions() -> MarketQuestions:
    """Put the service together, once a process."""
    settings = Settings.load()
    bind(InstrumentItem, settings.instruments_table)
    bind_market_data(settings.market_data_table)
    clock = SystemClock()
    return MarketQuestions(Catalogue(InstrumentStore(), clock), MarketDataStore(), clock)


@app.endpoint("GET", "/time")
def get_time(_request: ApiRequest) -> Any:
    """The exchange's clock."""
    return questions().time()


@app.endpoint("GET", "/currencies")
def list_currencies(_request: ApiRequest) -> Any:
    """Every asset."""
    return questions().currencies()


@app.endpoint("GET", "/currencies/{id}")
def get_currency(_request: ApiRequest, id: str) -> Any:  # noqa: A002 - the path variable's name on the wire
    """One asset."""
    return questions().currency(id)


@app.endpoint("GET", "/products")
def list_products(_request: ApiRequest) -> Any:
    """Every product."""
    return questions().products()


@app.endpoint("GET", "/products/{id}")
def get_product(_request: ApiRequest, id: str) -> Any:  # noqa: A002
    """One product."""
    return questions().product(id)


@app.endpoint("GET", "/products/{id}/ticker")
def get_ticker(_request: ApiRequest, id: str) -> Any:  # noqa: A002
    """A product's ticker."""
    return questions().ticker(id)


@app.endpoint("GET", "/products/{id}/book")
def get_book(request: ApiRequest, id: str) -> Any:  # noqa: A002
    """A product's book at `level` 1, 2 or 3."""
    return questions().book(id, request.query("level") or "1")


@app.endpoint("GET", "/products/{id}/trades")
def list_trades(request: ApiRequest, id: str) -> Any:  # noqa: A002
    """A product's trades, newest first; CB-BEFORE leads to newer ones, CB-AFTER to older ones."""
    page = parse_page(limit=request.query("limit"), before=request.query("before"), after=request.query("after"))
    if isinstance(page, Refused):
        return page
    trades = questions().trades(id, page)
    if isinstance(trades, Refused) or not trades:
        return trades
    cursors = {"CB-BEFORE": str(trades[0]["trade_id"]), "CB-AFTER": str(trades[-1]["trade_id"])}
    return Reply(trades, headers=cursors)
