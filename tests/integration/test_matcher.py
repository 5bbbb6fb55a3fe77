"""Matchers as processes on the laptop cloud: killed, stopped and told to end while orders flow."""

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exchange.audit import log_checks
from exchange.audit.model import Replayed, World
from exchange.audit.store import read_commands, read_executions, scan_stream
from exchange.aws.dynamodb import bind
from exchange.messages import (
    CancelReason,
    EventType,
    MalformedRecordError,
    ProductParameters,
    TimeInForce,
    encode_commands,
)

from infra.cli.release import unreleased
from infra.cli.saved import saved_markets
from matcher.engines import ProductEngines
from matcher.markets import Market
from matcher.quarantine import QuarantineBucket
from matcher.releases import ReleaseItem, ReleaseStore
from matcher.stream_reader import stream_record
from tests.fakes.consumers import Consumer
from tests.integration.matcher_cloud import PREFIX, Cloud, Matcher, start_cloud, wait_for
from tests.unit.matcher.worlds import flow, order

pytestmark = pytest.mark.cloud

NOISE_SECONDS = 3.0
EMPTY = World({}, (), {}, (), (), (), {}, {}, {}, {})
LOG_INVARIANTS = (
    log_checks.log_is_gapless,
    log_checks.epochs_rise,
    log_checks.replay_agrees,
    log_checks.snapshots_are_published,
    log_checks.commands_apply_once,
)
KILLS = int(os.environ.get("MATCHER_KILLS", "4"))
STOPS = int(os.environ.get("MATCHER_STOPS", "1"))
# A campaign goes in rounds, each on a cloud of its own that ends with its whole log replayed and compared.
ROUND_KILLS, ROUND_STOPS = 50, 25
PRODUCTS = ("ACME-USD", "BETA-USD")
OFTEN = {"LEASE_SECONDS": "1", "SNAPSHOT_SECONDS": "0.2", "SNAPSHOT_COMMANDS": "100"}


def flipped(data: bytes) -> bytes:
    """One bit of the byte in the middle, which is of an engine's state, is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def sealed(body: bytes) -> bytes:
    """A snapshot that says something else, with the digest that fits."""
    return body + hashlib.sha256(body).digest()


# What may become of a snapshot in its bucket.
DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "a flipped bit": flipped,
    "cut short": lambda data: data[: len(data) // 2],
    "another shard's": lambda data: sealed(data[:-32].replace(b"shardId-000000000000", b"shardId-000000000001")),
    "of a version that nobody knows": lambda data: sealed(data[:4] + (99).to_bytes(2, "little") + data[6:-32]),
}


@pytest.fixture
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    """A cloud of the test's own: what is killed here must not disturb others. Its parameter is how many shards."""
    cloud = start_cloud(tmp_path, shards=getattr(request, "param", 1))
    yield cloud
    cloud.stop()


@pytest.fixture
def matchers(cloud: Cloud, tmp_path: Path) -> Iterator[list[Matcher]]:
    """Two matchers that were not started yet; whatever is left of them is killed afterwards."""
    pair = [Matcher(cloud, tmp_path / f"matcher-{name}.log") for name in "ab"]
    yield pair
    for matcher in pair:
        matcher.kill()


class Flow:
    """Orders that arrive all the time, from a thread."""

    def __init__(self, cloud: Cloud, *, pause_seconds: float = 0.01) -> None:
        self._kinesis = cloud.client("kinesis")
        self._pause_seconds = pause_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._put_all, daemon=True)

    def __enter__(self) -> "Flow":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _put_all(self) -> None:
        first = 1
        while not self._ended.wait(self._pause_seconds):
            for product_id in PRODUCTS:
                put(self._kinesis, product_id, first, seed=first)
            first += 10


def put(kinesis: object, product_id: str, first: int, *, seed: int = 1, count: int = 10) -> None:
    """Put a record of orders."""
    data = encode_commands(product_id, flow(seed, count, first=first))
    kinesis.put_record(StreamName=f"{PREFIX}-orders", PartitionKey=product_id, Data=data)  # type: ignore[attr-defined]


def published(cloud: Cloud) -> Consumer:
    """What a consumer makes of the executions stream."""
    return Consumer().take((r["PartitionKey"], r["Data"]) for r in cloud.stream_records("executions"))


def replayed(cloud: Cloud) -> Consumer:
    """What one undisturbed engine a product says to the orders stream."""
    consumer = Consumer()
    for product_id, market in undisturbed(cloud.stream_records("orders")).items():
        consumer.take((product_id, data) for data in market.drain(epoch=1))
    return consumer


def undisturbed(records: Iterable[dict[str, Any]]) -> dict[str, Market]:
    """One engine a product that nothing happens to, after all the records."""
    terms = {
        product_id: ProductParameters(product_id[:4], "USD", "0.001", "0.01", "0.001", "1000000", "1", "100", "0.5")
        for product_id in PRODUCTS
    }
    markets = {
        product_id: Market(product_id, ProductEngines().create(product_id, terms[product_id]))
        for product_id in PRODUCTS
    }
    # All is read before any is carried out: an iterator that waits for five minutes expires.
    for record in map(stream_record, list(records)):
        with suppress(MalformedRecordError):
            markets[record.partition_key].accept(record)
    return markets


def assert_nothing_lost_or_doubled(cloud: Cloud, *, epochs_are_lost: bool = False) -> Consumer:
    """Wait until all that was asked is answered, and compare the answers with the undisturbed ones."""
    expected = replayed(cloud).events
    follower, found = cloud.follow("executions"), Consumer()

    def all_answered() -> bool:
        found.take((record["PartitionKey"], record["Data"]) for record in follower.read())
        return all(len(found.events.get(p, [])) >= len(events) for p, events in expected.items())

    wait_for(all_answered, "not everything was answered")
    for product_id, events in expected.items():
        assert found.events[product_id][: len(events)] == events
    # Epochs are counted in the lease: where that went, they begin again, and R7 can't hold.
    assert [breach for breach in breaches_of(cloud) if not (epochs_are_lost and breach.startswith("R7 "))] == []
    return found


def breaches_of(cloud: Cloud) -> list[str]:
    """What the audit's invariants of the log say of this cloud, by name. Snapshots first: the log only grows."""
    saved = list(saved_markets(cloud.client("s3"), f"{PREFIX}-snapshots"))
    kinesis = cloud.client("kinesis")
    commands = read_commands(scan_stream(kinesis, f"{PREFIX}-orders"))
    executions = read_executions(scan_stream(kinesis, f"{PREFIX}-executions"))
    ends = {
        product_id: Replayed(market.sequence, market.chain_hash)
        for product_id, market in undisturbed(cloud.stream_records("orders")).items()
    }
    world = replace(EMPTY, executions=executions, commands=commands, replayed=ends, saved=saved)
    findings = [invariant(world) for invariant in LOG_INVARIANTS]
    looked_at = {finding.name for finding in findings if not finding.figure.startswith("0 ")}
    assert looked_at >= {"R1", "R3", "R5", "R7"}  # and R2, where the matcher came to save something
    return [f"{finding.name} {finding.claim}: {text}" for finding in findings for text in finding.breaches]


def rounds(total: int, largest: int) -> list[tuple[int, int]]:
    """The rounds of a campaign, each with its seed and its size: a total below one round is one."""
    return [(first, min(largest, total - first)) for first in range(0, total, largest)]


@pytest.mark.parametrize(("seed", "kills"), rounds(KILLS, ROUND_KILLS))
def test_kill_9_at_random_moments_loses_and_doubles_nothing(
    cloud: Cloud, matchers: list[Matcher], seed: int, kills: int
) -> None:
    rng = random.Random(20260101 + seed)
    matcher = matchers[0]
    matcher.settings = OFTEN
    with Flow(cloud):
        for _ in range(kills):
            matcher.start()
            wait_for(matcher.leads, "nobody leads")
            time.sleep(rng.uniform(0.0, 0.8))
            matcher.kill()
        matcher.start()
        wait_for(matcher.leads, "nobody leads")
    found = assert_nothing_lost_or_doubled(cloud)
    assert max(found.epochs["ACME-USD"]) > kills
    assert list(saved_markets(cloud.client("s3"), f"{PREFIX}-snapshots")), "R2 had nothing to look at"
    told(f"{seed + kills} kills of {KILLS}", found)


def told(done: str, found: Consumer) -> None:
    """A campaign's figures after a round that held, at once, for whoever watches it or ends it early."""
    events = sum(map(len, found.events.values()))
    print(f"{done}: {events:,} events as undisturbed, {found.repeated:,} said twice", flush=True)  # noqa: T201


def test_a_standby_takes_over_after_a_kill(cloud: Cloud, matchers: list[Matcher]) -> None:
    leader, standby = matchers
    leader.start()
    wait_for(leader.leads, "nobody leads")
    standby.start()
    wait_for(standby.stands_by, "nobody stands by")
    with Flow(cloud):
        wait_for(lambda: len(published(cloud).events) == len(PRODUCTS), "nothing is published")
        wait_for(lambda: any(s.get("position") for s in standby.shards().values()), "nobody follows")
        leader.kill()
        before = len(published(cloud).events["ACME-USD"])
        took = wait_for(lambda: len(published(cloud).events["ACME-USD"]) > before, "nobody takes over")
    print(f"taken over after {took:.1f} s")  # noqa: T201 - a figure to read
    # The lease's 3 seconds, a look at it, and publishing what was left; the rest is for a noisy machine.
    assert took < 5 + NOISE_SECONDS
    assert '"warm":true' in standby.log.read_text()
    assert_nothing_lost_or_doubled(cloud)


@pytest.mark.parametrize(("seed", "stops"), rounds(STOPS, ROUND_STOPS))
def test_a_leader_that_was_stopped_stands_by_when_it_wakes(
    cloud: Cloud, matchers: list[Matcher], seed: int, stops: int
) -> None:
    sleeper, heir = matchers
    for matcher in matchers:
        matcher.settings = {"LEASE_SECONDS": "1"}
    sleeper.start()
    wait_for(sleeper.leads, "nobody leads")
    heir.start()
    wait_for(heir.stands_by, "nobody stands by")
    with Flow(cloud):
        for _ in range(stops):
            time.sleep(0.3)
            sleeper.signal(signal.SIGSTOP)
            wait_for(heir.leads, "nobody takes over")
            time.sleep(0.3)
            sleeper.signal(signal.SIGCONT)
            wait_for(sleeper.stands_by, "the old leader goes on leading")
            assert heir.leads()
            sleeper, heir = heir, sleeper
    told(f"{seed + stops} stops of {STOPS}", assert_nothing_lost_or_doubled(cloud))


def test_a_lease_that_is_gone_from_the_table_costs_a_replay_and_nothing_else(
    cloud: Cloud, matchers: list[Matcher]
) -> None:
    # What a restore of the table to an earlier moment leaves: no lease, so neither epoch nor snapshot is known.
    matcher = matchers[0]
    matcher.settings = {"LEASE_SECONDS": "0.6", "SNAPSHOT_SECONDS": "0.2", "SNAPSHOT_COMMANDS": "100"}
    matcher.start()
    wait_for(matcher.leads, "nobody leads")
    with Flow(cloud):
        wait_for(lambda: bool(cloud.lease().get("snapshots")), "no snapshot was taken")
        lease = cloud.lease()
        cloud.client("dynamodb").delete_item(TableName=f"{PREFIX}-leases", Key={"shard": lease["shard"]})
        wait_for(lambda: bool(cloud.lease()), "nobody takes the lease again")
        wait_for(matcher.leads, "nobody leads")
        time.sleep(0.3)
    assert_nothing_lost_or_doubled(cloud, epochs_are_lost=True)


@pytest.mark.parametrize(("stands_by", "damages"), [("cold", list(DAMAGES)), ("warm", ["a flipped bit"])])
def test_a_damaged_snapshot_is_passed_over_for_the_one_before_and_at_last_for_the_whole_log(
    cloud: Cloud, matchers: list[Matcher], stands_by: str, damages: list[str]
) -> None:
    matcher = matchers[0]
    matcher.settings = {**OFTEN, "FOLLOW_SECONDS": "0" if stands_by == "cold" else "0.1"}
    with Flow(cloud, pause_seconds=0.1):  # Saving may take a twentieth of a matcher's time: let it be quick.
        began_with(matcher)
        for damage in damages:
            newest, before, *_ = killed_behind_two_snapshots(cloud, matcher)
            cloud.spoil(newest, DAMAGES[damage])
            passed_over, went_on_behind = began_with(matcher)
            assert passed_over == [newest]
            assert went_on_behind == before.rpartition("/")[2] or stands_by == "warm"
        every = killed_behind_two_snapshots(cloud, matcher)
        for key in every:
            cloud.spoil(key, DAMAGES["cut short"])  # A bit that is flipped again would be as it was.
        passed_over, went_on_behind = began_with(matcher)
        assert passed_over == every
        assert not went_on_behind or stands_by == "warm"
    assert_nothing_lost_or_doubled(cloud)


def killed_behind_two_snapshots(cloud: Cloud, matcher: Matcher) -> list[str]:
    """Kill a leader once the two newest snapshots are its own; what it leaves, newest first."""
    own = f"/{cloud.epoch():010d}/"
    wait_for(lambda: sum(own in key for key in cloud.kept_snapshots()) > 1, "no snapshots are taken", seconds=90)
    matcher.kill()
    return cloud.kept_snapshots()


def began_with(matcher: Matcher) -> tuple[list[str], str]:
    """Start it, wait until it leads, and tell what its log says: the snapshots that it passed over, and from where it
    leads. Who stands by cold leads from the snapshot that it took; who has followed meanwhile, from further on.
    """
    behind = len(matcher.log.read_text()) if matcher.log.exists() else 0
    matcher.start()
    wait_for(lambda: bool(matcher.said("resumed", since=behind)), "nobody leads")
    [resumed] = matcher.said("resumed", since=behind)
    passed_over = matcher.said("a snapshot can't be read: trying the one before it", since=behind)
    assert {line["level"] for line in passed_over} <= {"ERROR"}
    return list(dict.fromkeys(line["key"] for line in passed_over)), resumed["position"]


def test_sigterm_ends_in_order_and_the_next_one_leads_at_once(cloud: Cloud, matchers: list[Matcher]) -> None:
    leader, standby = matchers
    leader.start()
    wait_for(leader.leads, "nobody leads")
    standby.start()
    wait_for(standby.stands_by, "nobody stands by")
    with Flow(cloud):
        time.sleep(0.5)
        leader.signal(signal.SIGTERM)
        assert leader.wait() == 0
        took = wait_for(standby.leads, "nobody takes over")
    assert took < 1.5
    assert "snapshots" in cloud.lease()
    found = assert_nothing_lost_or_doubled(cloud)
    # In order: the next reign begins where the last one ended, so nothing was published twice.
    assert found.epochs["ACME-USD"] == sorted(found.epochs["ACME-USD"])
    assert found.repeated == 0


def test_a_poison_record_is_kept_and_its_product_paused_until_released(
    cloud: Cloud, matchers: list[Matcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    matcher = matchers[0].start()
    kinesis = cloud.client("kinesis")
    put(kinesis, "ACME-USD", 1)
    kinesis.put_record(StreamName=f"{PREFIX}-orders", PartitionKey="ACME-USD", Data=b"poison")
    put(kinesis, "BETA-USD", 1)

    def shard() -> dict[str, Any]:
        return next(iter(matcher.shards().values()), {})

    wait_for(lambda: "ACME-USD" in shard().get("paused", {}), "the product is not paused")
    wait_for(lambda: "BETA-USD" in published(cloud).events, "the other product does not go on")
    kept = cloud.client("s3").list_objects_v2(Bucket=f"{PREFIX}-quarantine")["Contents"]
    body = cloud.client("s3").get_object(Bucket=f"{PREFIX}-quarantine", Key=kept[0]["Key"])["Body"].read()
    assert body == b"poison"

    put(kinesis, "ACME-USD", 100)
    paused_at = shard()["paused"]["ACME-USD"]
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, cloud.environment[name])
    bind(ReleaseItem, f"{PREFIX}-leases")
    quarantine, releases = QuarantineBucket(cloud.client("s3"), f"{PREFIX}-quarantine"), ReleaseStore()
    assert unreleased("ACME-USD", quarantine, releases) == [paused_at]
    releases.release("ACME-USD", paused_at)
    assert unreleased("ACME-USD", quarantine, releases) == []
    wait_for(lambda: not shard()["paused"], "the release is not heard of")
    wait_for(lambda: any(e.order_id >= 100 for e in published(cloud).events["ACME-USD"]), "it does not go on")
    assert_nothing_lost_or_doubled(cloud)


def test_an_unknown_version_ends_the_process_with_a_failure(cloud: Cloud, matchers: list[Matcher]) -> None:
    matcher = matchers[0].start()
    kinesis = cloud.client("kinesis")
    put(kinesis, "ACME-USD", 1)
    data = b"XCMD" + (99).to_bytes(2, "little") + bytes(26)
    kinesis.put_record(StreamName=f"{PREFIX}-orders", PartitionKey="ACME-USD", Data=data)
    assert matcher.wait() == 1
    assert published(cloud).events.keys() == {"ACME-USD"}


def test_a_subscription_reads_what_polling_would(cloud: Cloud, matchers: list[Matcher]) -> None:
    kinesis = cloud.client("kinesis")
    arn = kinesis.describe_stream(StreamName=f"{PREFIX}-orders")["StreamDescription"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="matcher")["Consumer"]["ConsumerARN"]
    matcher = matchers[0]
    matcher.settings = {"ENHANCED_FAN_OUT_CONSUMER_ARN": consumer, "LEASE_SECONDS": "1"}
    matcher.start()
    wait_for(matcher.leads, "nobody leads")
    with Flow(cloud):
        wait_for(lambda: len(published(cloud).events) == len(PRODUCTS), "nothing is published")
        matcher.kill()
        matcher.start()
        wait_for(matcher.leads, "nobody leads")
    assert_nothing_lost_or_doubled(cloud)
    matcher.signal(signal.SIGTERM)
    assert matcher.wait() == 0


def test_an_order_expires_by_the_tick_though_nobody_trades(cloud: Cloud, matchers: list[Matcher]) -> None:
    matcher = matchers[0]
    matcher.settings = {"TICK_SECONDS": "0.2"}
    matcher.start()
    wait_for(matcher.leads, "nobody leads")
    expire_time_ns = time.time_ns() + 1_500_000_000
    expiring = replace(order(1), time_in_force=TimeInForce.GTT, expire_time_ns=expire_time_ns)
    data = encode_commands("ACME-USD", [expiring])
    cloud.client("kinesis").put_record(StreamName=f"{PREFIX}-orders", PartitionKey="ACME-USD", Data=data)

    def expired() -> bool:
        events = published(cloud).events.get("ACME-USD", [])
        return bool(events) and events[-1].type == EventType.DONE

    wait_for(expired, "it does not expire")
    last = published(cloud).events["ACME-USD"][-1]
    assert last.reason == CancelReason.EXPIRED
    assert last.time_ns >= expire_time_ns


@pytest.mark.parametrize("cloud", [2], indirect=True)
def test_each_process_leads_a_shard_and_follows_the_other_s(cloud: Cloud, matchers: list[Matcher]) -> None:
    for matcher in matchers:
        matcher.settings = {"LEASE_SECONDS": "1.5", "FOLLOW_SECONDS": "0.1"}
        matcher.start()
    dead, heir = matchers
    with Flow(cloud):
        wait_for(lambda: all(roles(matcher) == ["leader", "standby"] for matcher in matchers), "shares are not fair")
        wait_for(lambda: all(is_warm(matcher) for matcher in matchers), "the other's shard is not followed")
        wait_for(lambda: len(published(cloud).events) == len(PRODUCTS), "nothing is published")
        dead.kill()
        wait_for(lambda: roles(heir) == ["leader", "leader"], "the dead one's shard is not led")
    assert_nothing_lost_or_doubled(cloud)
    assert '"warm":true' in heir.log.read_text()


def roles(matcher: Matcher) -> list[str]:
    """What a matcher is to each shard."""
    return sorted(shard["role"] for shard in matcher.shards().values())


def is_warm(matcher: Matcher) -> bool:
    """Whether a matcher has read what the other leads."""
    return any(shard["role"] == "standby" and shard.get("position") for shard in matcher.shards().values())
