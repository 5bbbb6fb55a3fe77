"""Public market data over HTTP: the clock, what can be traded, books, tickers, trades, candles, figures, events."""

from functools import cache
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.aws.settings import ApiSettings
from exchange.feeds.public import full_message
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.market_data.listing import list_candles, list_events, list_trades
from exchange.market_data.questions import MarketQuestions
from exchange.market_data.store import MarketDataStore, bind_market_data
from exchange.rest import Api, ApiRequest
from exchange.usage.gate import guard


class Settings(ApiSettings):
    """What this function reads from its environment."""

    instruments_table: str
    market_data_table: str


app = handler = Api("market-data", guard=lambda: guard(Settings.load()))


@cache
def questions() -> MarketQuestions:
    """Put the service together, once a process."""
    settings = Settings.load()
    bind(InstrumentItem, settings.instruments_table)
    bind_market_data(settings.market_data_table)
    clock = SystemClock()
    return MarketQuestions(Catalogue(InstrumentStore(), clock), MarketDataStore(), clock, full_message)


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


@app.endpoint("GET", "/products/stats")
def list_stats(_request: ApiRequest) -> Any:
    """Every product's 24 hours and volume of 30 days."""
    return questions().all_stats()


@app.endpoint("GET", "/products/spark-lines")
def list_spark_lines(_request: ApiRequest) -> Any:
    """Every product's last hours."""
    return questions().spark_lines()


@app.endpoint("GET", "/products/volume-summary")
def list_volumes(_request: ApiRequest) -> Any:
    """Every product's volume of 24 hours and 30 days."""
    return questions().volumes()


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
    return questions().book(id, request.query("level"))


@app.endpoint("GET", "/products/{id}/trades")
def get_trades(request: ApiRequest, id: str) -> Any:  # noqa: A002
    """A product's trades, newest first."""
    return list_trades(questions(), request, id)


@app.endpoint("GET", "/products/{id}/candles")
def get_candles(request: ApiRequest, id: str) -> Any:  # noqa: A002
    """A product's candles, newest first."""
    return list_candles(questions(), request, id)


@app.endpoint("GET", "/products/{id}/stats")
def get_stats(_request: ApiRequest, id: str) -> Any:  # noqa: A002
    """A product's 24 hours and volume of 30 days."""
    return questions().stats(id)


@app.endpoint("GET", "/products/{id}/events")
def get_events(request: ApiRequest, id: str) -> Any:  # noqa: A002
    """A product's public events, to fill a gap."""
    return list_events(questions(), request, id)
