"""What boto3 says and is asked, at the edges of the loop."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from dateutil import tz  # type: ignore[import-untyped]
from exchange.kernel.errors import OutcomeUnknownError, UnavailableError

from matcher.fan_out import FanOutReader
from matcher.lease import LeaseLostError
from matcher.patience import Patience
from matcher.publisher import PUT_RECORDS_MAX, Publisher, StreamSink
from matcher.shards import ShardList
from matcher.stream_reader import PollingReader, stream_record
from tests.fakes.clocks import VirtualClock
from tests.fakes.kinesis import FakeSink

ARRIVAL = dt.datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=dt.UTC)


def failure(code: str) -> ClientError:
    """What boto3 raises for an answer that is an error."""
    return ClientError({"Error": {"Code": code, "Message": ""}}, "operation")


def answer(number: int, arrival: dt.datetime = ARRIVAL) -> dict[str, Any]:
    """A record as boto3 returns it."""
    return {
        "SequenceNumber": str(number),
        "ApproximateArrivalTimestamp": arrival,
        "PartitionKey": "ACME-USD",
        "Data": b"x",
    }


@dataclass
class ScriptedKinesis:
    """Answers one after the other; an exception is raised."""

    answers: list[Any]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, operation: str) -> Any:
        """Any operation."""

        def ask(**request: Any) -> Any:
            self.asked.append((operation, request))
            reply = self.answers.pop(0)
            if isinstance(reply, Exception):
                raise reply
            return reply

        return ask


@dataclass
class Fence:
    """Holds for so many questions."""

    left: int = 1000

    def require(self) -> None:
        """Raises LeaseLostError at last."""
        self.left -= 1
        if self.left < 0:
            raise LeaseLostError("over")


def test_arrival_is_milliseconds_whatever_the_time_zone_and_the_float() -> None:
    zones = (dt.UTC, tz.gettz("Europe/Berlin"), tz.gettz("America/New_York"), tz.tzlocal())
    # The second pass of an hour that clocks repeat in autumn, and a float's last digit off.
    for stamp in (1_792_890_000.123, 1_792_893_600.123, 1_792_893_600.1230001, 1_711_846_800.999):
        expected = round(stamp * 1000) * 1_000_000
        for zone in zones:
            assert stream_record(answer(1, dt.datetime.fromtimestamp(stamp, zone))).arrival_ns == expected


def test_polling_starts_where_it_is_told_and_follows_the_iterators() -> None:
    kinesis = ScriptedKinesis(
        [
            {"ShardIterator": "i1"},
            {"Records": [answer(5)], "NextShardIterator": "i2", "MillisBehindLatest": 7},
            {"Records": [], "NextShardIterator": None, "MillisBehindLatest": 0},
        ]
    )
    reader = PollingReader(kinesis, "orders", "s", after="4")
    first, second, third = reader.read(), reader.read(), reader.read()
    assert [record.sequence_number for record in first.records] == ["5"]
    assert first.behind_milliseconds == 7
    assert (second.is_end, third.is_end) == (True, True)
    assert kinesis.asked[0][1]["StartingSequenceNumber"] == "4"
    assert [request.get("ShardIterator") for _, request in kinesis.asked] == [None, "i1", "i2"]


def test_polling_seeks_again_behind_what_it_has_read_when_the_iterator_is_worth_nothing() -> None:
    kinesis = ScriptedKinesis(
        [
            {"ShardIterator": "i1"},
            {"Records": [answer(5)], "NextShardIterator": "i2"},
            failure("ExpiredIteratorException"),
            {"ShardIterator": "i3"},
            {"Records": [answer(6)], "NextShardIterator": "i4"},
        ]
    )
    reader = PollingReader(kinesis, "orders", "s", after=None)
    reader.read()
    with pytest.raises(UnavailableError):
        reader.read()
    assert reader.read().records[0].sequence_number == "6"
    assert kinesis.asked[0][1]["ShardIteratorType"] == "TRIM_HORIZON"
    assert kinesis.asked[3][1]["StartingSequenceNumber"] == "5"


def test_a_network_failure_keeps_the_iterator() -> None:
    kinesis = ScriptedKinesis(
        [{"ShardIterator": "i1"}, ReadTimeoutError(endpoint_url="x"), {"Records": [], "NextShardIterator": "i2"}]
    )
    reader = PollingReader(kinesis, "orders", "s", after="4")
    with pytest.raises(UnavailableError):
        reader.read()
    reader.read()
    assert [request.get("ShardIterator") for _, request in kinesis.asked] == [None, "i1", "i1"]


def test_the_list_of_shards_is_read_to_its_last_page() -> None:
    def page(number: int, **more: str) -> dict[str, Any]:
        hashes = {"StartingHashKey": "0", "EndingHashKey": "9"}
        return {"ShardId": f"s{number}", "HashKeyRange": hashes, **more}

    kinesis = ScriptedKinesis(
        [
            {"Shards": [page(1)], "NextToken": "more"},
            {"Shards": [page(2, ParentShardId="s1", AdjacentParentShardId="s0")]},
        ]
    )
    first, second = ShardList(kinesis, "orders").read()
    assert (first.shard_id, first.parents, first.last_hash) == ("s1", (), 9)
    assert second.parents == ("s1", "s0")
    assert kinesis.asked[1][1] == {"NextToken": "more"}


def test_one_record_a_product_and_request_in_their_order() -> None:
    sink = FakeSink()
    publisher = Publisher(sink, Patience(Fence(), VirtualClock().sleep))
    publisher.publish({"A": [b"1", b"2", b"3"], "B": [b"1"], "C": [b"1", b"2"]})
    assert sink.published == [("A", b"1"), ("B", b"1"), ("C", b"1"), ("A", b"2"), ("C", b"2"), ("A", b"3")]


def test_a_refused_record_goes_before_the_next_of_its_product() -> None:
    sink = FakeSink(refusals=[2, 1])
    publisher = Publisher(sink, Patience(Fence(), VirtualClock().sleep))
    publisher.publish({"A": [b"1", b"2"], "B": [b"1", b"2"], "C": [b"1"]})
    for product_id, count in {"A": 2, "B": 2, "C": 1}.items():
        assert [data for name, data in sink.published if name == product_id] == [b"1", b"2"][:count]


def test_requests_stay_within_the_limits_of_kinesis() -> None:
    sink = FakeSink()
    output = {f"P{number}": [b"x"] for number in range(2 * PUT_RECORDS_MAX + 1)}
    Publisher(sink, Patience(Fence(), VirtualClock().sleep)).publish(output)
    assert len(sink.published) == len(output)


def test_nothing_is_put_once_the_fence_has_fallen() -> None:
    sink = FakeSink(refusals=[1, 1, 1, 1])
    with pytest.raises(LeaseLostError):
        Publisher(sink, Patience(Fence(left=2), VirtualClock().sleep)).publish({"A": [b"1"]})
    assert sink.published == []


def test_the_sink_tells_which_records_were_refused_and_what_is_uncertain() -> None:
    kinesis = ScriptedKinesis(
        [
            {"SequenceNumber": "1"},
            {"FailedRecordCount": 1, "Records": [{"SequenceNumber": "2"}, {"ErrorCode": "Throttled"}]},
            ReadTimeoutError(endpoint_url="x"),
        ]
    )
    sink = StreamSink(kinesis, "executions")
    assert sink.put([("A", b"1")]) == []
    assert sink.put([("A", b"1"), ("B", b"2")]) == [("B", b"2")]
    with pytest.raises(OutcomeUnknownError):
        sink.put([("A", b"1")])
    assert [operation for operation, _ in kinesis.asked] == ["put_record", "put_records", "put_record"]


class Subscription:
    """An event stream: what it yields, and what breaks it."""

    def __init__(self, events: list[Any]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield {"SubscribeToShardEvent": event}

    def close(self) -> None:
        """Nothing is open."""


def pushed(*numbers: int, children: bool = False) -> dict[str, Any]:
    """An event of a subscription."""
    event: dict[str, Any] = {"Records": [answer(number) for number in numbers], "MillisBehindLatest": 3}
    return event | ({"ChildShards": [{"ShardId": "c"}]} if children else {})


def test_a_subscription_that_ends_or_breaks_is_taken_up_behind_its_last_record() -> None:
    kinesis = ScriptedKinesis(
        [
            {"EventStream": Subscription([pushed(), pushed(1, 2)])},
            {"EventStream": Subscription([pushed(3), OSError("gone")])},
            failure("ResourceInUseException"),
            {"EventStream": Subscription([pushed(4), pushed(5, children=True)])},
        ]
    )
    reader = FanOutReader(kinesis, "arn", "s", after=None, wait_seconds=5, sleep=lambda _: None)
    numbers, outages, is_end = [], 0, False
    while not is_end:
        try:
            batch = reader.read()
        except UnavailableError:
            outages += 1
            continue
        numbers += [int(record.sequence_number) for record in batch.records]
        is_end = batch.is_end
    reader.close()
    assert numbers == [1, 2, 3, 4, 5]
    assert outages == 2
    assert reader.read().is_end
    starts = [request["StartingPosition"].get("SequenceNumber") for _, request in kinesis.asked]
    assert starts == [None, "2", "3", "3"]


def test_a_defect_of_the_receiving_thread_reaches_the_loop() -> None:
    kinesis = ScriptedKinesis([{"EventStream": Subscription([{"Records": "nonsense"}])}])
    reader = FanOutReader(kinesis, "arn", "s", after=None, wait_seconds=5, sleep=lambda _: None)
    with pytest.raises(TypeError):
        reader.read()
