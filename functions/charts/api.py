"""Charts over HTTP: TradingView's UDF protocol, which its charting library reads."""

from functools import cache
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.aws.settings import ApiSettings
from exchange.instruments.catalogue import Catalogue
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import Refused
from exchange.market_data.charting import Charts, parse_history
from exchange.market_data.store import MarketDataStore, bind_market_data
from exchange.rest import Api, ApiRequest, Reply, read_limit
from exchange.usage.gate import guard


class Settings(ApiSettings):
    """What this function reads from its environment."""

    instruments_table: str
    market_data_table: str


app = handler = Api("charts", guard=lambda: guard(Settings.load()))


@cache
def charts() -> Charts:
    """Put the service together, once a process."""
    settings = Settings.load()
    bind(InstrumentItem, settings.instruments_table)
    bind_market_data(settings.market_data_table)
    clock = SystemClock()
    return Charts(Catalogue(InstrumentStore(), clock), MarketDataStore(), clock)


def _told(answer: Any, request: ApiRequest) -> Any:
    """A refusal as the library knows one, in our words too."""
    if not isinstance(answer, Refused):
        return answer
    body = {"message": answer.message, "code": answer.code.value, "request_id": request.request_id}
    return Reply({"s": "error", "errmsg": answer.message, **body}, status=400)


@app.endpoint("GET", "/udf/config")
def get_config(_request: ApiRequest) -> Any:
    """What the feed can do."""
    return charts().config()


@app.endpoint("GET", "/udf/time")
def get_time(_request: ApiRequest) -> Any:
    """Whole seconds since 1970."""
    return charts().now_ns() // 1_000_000_000


@app.endpoint("GET", "/udf/symbols")
def get_symbol(request: ApiRequest) -> Any:
    """One symbol."""
    return _told(charts().symbol(request.query("symbol")), request)


@app.endpoint("GET", "/udf/search")
def search(request: ApiRequest) -> Any:
    """Symbols by a part of their name."""
    limit = read_limit(request)
    if isinstance(limit, Refused):
        return _told(limit, request)
    return charts().search(request.query("query") or "", request.query("type") or "", limit)


@app.endpoint("GET", "/udf/history")
def get_history(request: ApiRequest) -> Any:
    """Bars."""
    query = parse_history(
        resolution=request.query("resolution"),
        first=request.query("from"),
        end=request.query("to"),
        count=request.query("countback"),
        now_ns=charts().now_ns(),
    )
    answer = query if isinstance(query, Refused) else charts().history(request.query("symbol"), query)
    return _told(answer, request)
