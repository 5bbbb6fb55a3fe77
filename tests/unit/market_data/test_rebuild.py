"""The kept market against its log: compared, corrupted, rebuilt, with trading going on meanwhile."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from exchange.aws.dynamodb import connection
from exchange.market_data.bars import MINUTE_NS
from exchange.market_data.items import BookItem, CandlesItem, TickerItem, TradeItem
from exchange.market_data.model import SequenceGapError
from exchange.market_data.rebuild import MarketMovesError, compare, rebuild
from exchange.market_data.rewriting import MarketDataRewriter
from exchange.market_data.service import MarketFold, StreamRecord
from exchange.market_data.store import MarketDataWriter
from exchange.messages import EventRecord, Side, decode_events

from tests.fakes.market_data import RecordingFeed, ToyMarket

pytestmark = pytest.mark.usefixtures("tables")
NAME = "ACME-USD"


def busy(moves: int = 90) -> ToyMarket:
    market, random = ToyMarket(), Random(11)
    for _ in range(moves):
        market.wait(random.choice([0, 0, 1, 40, 300]) * MINUTE_NS)
        if market.resting and random.random() < 0.2:
            market.cancel(random.choice(market.resting).order_id)
        else:
            market.place(random.choice(list(Side)), random.randint(95, 105), random.randint(1, 9))
    return market


def fold_of(datas: Iterable[bytes], fold: MarketFold | None = None) -> MarketFold:
    fold = fold or MarketFold(MarketDataWriter(connection()), RecordingFeed())
    for data in datas:
        fold.fold([StreamRecord(NAME, data)])
    return fold


def log_of(datas: Iterable[bytes]) -> Callable[[], list[EventRecord]]:
    return lambda: [decode_events(data) for data in datas]


def rows(client: Any) -> dict[str, Any]:
    """Every item but events, which are cut as batches happened to be; editions apart."""
    found = client.scan(TableName="market_data")["Items"]
    kept = {row["item"]["S"]: row for row in found if not row["item"]["S"].startswith("events#")}
    kept["ticker"].pop("edition")
    kept["book"].pop("data")
    return kept


def test_what_the_fold_wrote_is_what_the_log_says() -> None:
    datas = busy().encoded(9)
    fold_of(datas)
    outcome = compare(NAME, log_of(datas), MarketDataRewriter(connection()))
    assert outcome.differences == []
    assert outcome.counts["events"] == decode_events(datas[-1]).last_sequence
    assert outcome.counts["trades"] > 20
    assert outcome.counts["candles"] > 20


def test_a_rebuild_ends_in_equal_items_whatever_was_broken(tables: Any) -> None:
    market = busy()
    datas, store = market.encoded(9), MarketDataRewriter(connection())
    fold_of(datas)
    before, events = rows(tables), store.events(NAME, first=1, last=10**6)
    book = TickerItem.get(NAME, "ticker")
    book.bid += 1
    book.save()
    TradeItem.get(NAME, "trade#0000000000000003").delete()
    page = next(iter(CandlesItem.query(NAME, CandlesItem.item.startswith("candles#00060"))))
    CandlesItem(NAME, "candles#00060#00000007", data=page.data).save()
    page.data = next(iter(CandlesItem.query(NAME, CandlesItem.item.startswith("candles#03600")))).data
    page.save()
    wrong = compare(NAME, log_of(datas), store).differences
    assert [line.split(" ", 1)[1] for line in wrong] == [
        "trade#0000000000000003 is missing",
        f"{page.item} is kept otherwise",
        "ticker is kept otherwise",
        "candles#00060#00000007 is not in the log",
    ]
    rebuild(NAME, log_of(datas), store)
    assert compare(NAME, log_of(datas), store).differences == []
    assert rows(tables) == before
    assert store.events(NAME, first=1, last=10**6) == events
    assert store.position(NAME).edition == 1


def test_a_market_that_was_lost_is_found_missing_and_made_anew(tables: Any) -> None:
    datas, store = busy().encoded(9), MarketDataRewriter(connection())
    fold_of(datas)
    before = rows(tables)
    for model in (TickerItem, BookItem):
        for item in model.query(NAME, model.item.between("book", "ticker")):
            model(NAME, item.item).delete()
    assert compare(NAME, log_of(datas), store).differences
    rebuild(NAME, log_of(datas), store)
    assert rows(tables) == before


def test_a_fold_that_holds_a_state_from_before_the_rebuild_goes_on_from_after_it() -> None:
    datas, store = busy().encoded(9), MarketDataRewriter(connection())
    half = len(datas) // 2
    fold = fold_of(datas[:half])
    rebuild(NAME, log_of(datas[:half]), store)
    fold_of(datas[half:], fold)
    assert store.position(NAME).edition == 1
    assert compare(NAME, log_of(datas), store).differences == []


def test_a_rebuild_catches_up_with_trading_that_goes_on() -> None:
    datas, store = busy().encoded(4), MarketDataRewriter(connection())
    fold, readings = fold_of(datas[:10]), iter([10, 10, 14, 20])
    ends = iter([12, 14, 20, 20])

    def log() -> list[EventRecord]:
        read = next(readings)
        for data in datas[:read]:
            fold.fold([StreamRecord(NAME, data)])
        records = [decode_events(data) for data in datas[:read]]
        fold_of(datas[: next(ends)], fold)  # What comes while the log is read.
        return records

    outcome = rebuild(NAME, log, store)
    assert outcome.sequence == decode_events(datas[19]).last_sequence
    fold_of(datas, fold)
    assert compare(NAME, log_of(datas), store).differences == []


def test_a_market_that_never_rests_is_not_compared() -> None:
    datas, store = busy().encoded(8), MarketDataRewriter(connection())
    fold, position = fold_of(datas[:1]), iter(range(1, 100))

    def log() -> list[EventRecord]:
        fold_of([datas[next(position)]], fold)
        return [decode_events(data) for data in datas]

    with pytest.raises(MarketMovesError):
        compare(NAME, log, store)


def test_a_log_that_lost_its_beginning_rebuilds_nothing(tables: Any) -> None:
    datas, store = busy().encoded(8), MarketDataRewriter(connection())
    fold_of(datas)
    before = rows(tables)
    with pytest.raises(SequenceGapError):
        rebuild(NAME, log_of(datas[1:]), store)
    assert rows(tables) == before
