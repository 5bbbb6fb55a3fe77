"""Two workers of one shard at once, on transactions that are atomic: the tables end as if there had been one."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from exchange.aws.dynamodb import connection
from exchange.kernel.errors import OutageError
from exchange.market_data.items import TickerItem, TradeItem
from exchange.market_data.model import MarketState
from exchange.market_data.service import BatchError, MarketFold, StreamRecord
from exchange.market_data.snapshot import encode_state
from exchange.market_data.store import MarketDataStore, MarketDataWriter, bind_market_data
from exchange.market_data.ticker import Ticker
from exchange.messages import Side

from tests.fakes.market_data import RecordingFeed, ToyMarket
from tests.integration.matcher_cloud import Cloud, start_cloud

pytestmark = pytest.mark.cloud
TRIES_MAX = 50


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = start_cloud(Path(tmp_path_factory.mktemp("cloud")))
    try:
        yield cloud
    finally:
        cloud.stop()


@pytest.fixture
def _tables(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in cloud.environment.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    bind_market_data("race-market_data")
    TickerItem.create_table(wait=True, billing_mode="PAY_PER_REQUEST")
    yield
    TickerItem.delete_table()


def busy_market() -> ToyMarket:
    market, random = ToyMarket(), Random(7)
    for _ in range(120):
        if market.resting and random.random() < 0.3:
            market.cancel(random.choice(market.resting).order_id)
        else:
            market.place(random.choice(list(Side)), random.randint(95, 105), random.randint(1, 9))
    return market


@pytest.mark.usefixtures("_tables")
def test_two_workers_at_once_end_as_one() -> None:
    market = busy_market()
    batches = [[StreamRecord(market.product_id, data)] for data in market.encoded(3)]

    def work(seed: int) -> int:
        fold, random, failures = MarketFold(MarketDataWriter(connection()), RecordingFeed()), Random(seed), 0
        for number in range(len(batches)):
            again = batches[max(0, number - random.randint(0, 2)) : number + 1]
            for _ in range(TRIES_MAX):
                try:
                    fold.fold([record for batch in again for record in batch])
                    break
                except (BatchError, OutageError):
                    failures += 1
        return failures

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (1, 2)))
    alone = MarketState.genesis(market.product_id)
    told = [event for record in market.records() for event in alone.apply_record(record)]
    store = MarketDataWriter(connection())
    assert encode_state(store.load(market.product_id)) == encode_state(alone)
    ticker = store.ticker(market.product_id, now_ns=alone.time_ns)
    assert ticker is not None
    assert ticker.bars.day(alone.time_ns) == alone.bars.day(alone.time_ns)
    assert replace(ticker, bars=alone.bars) == Ticker.of(alone)
    assert store.events(market.product_id, first=1, last=alone.sequence) == told
    assert MarketDataStore().trades(market.product_id, limit=1000, before=None, after=None) == market.trades[::-1]
    kept = [item.item for item in TradeItem.query(market.product_id, TradeItem.item.startswith("trade#"))]
    assert len(kept) == len(set(kept)) == len(market.trades)
