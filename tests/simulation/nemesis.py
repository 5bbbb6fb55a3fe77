"""What befalls the processes and what they left, now and then: kills, stops, torn snapshots, splits, deployments."""

from __future__ import annotations

import random
from functools import partial
from typing import Final

from exchange.aws.kinesis import StreamWriter
from exchange.kernel.errors import OutageError

from tests.simulation.cloud import BUCKET, Cloud
from tests.simulation.faults import Fault
from tests.simulation.matchers import LEASE_SECONDS, Matchers
from tests.simulation.releases import saved_markets, switch_record
from tests.simulation.scheduler import SECOND_NS, Process

LOOK_SECONDS: Final = 1.0
ROLLED_OUT_AGAIN: Final = 0.1  # how likely at each look, where a release was taken back
SERVICES: Final = ("dynamodb", "kinesis", "s3", "states", "sqs")
# What may be throttled while all else goes on: one table's writes, one stream's, the starting of machines.
OPERATIONS: Final = (
    (("dynamodb", "TransactWriteItems"),),
    (("dynamodb", "UpdateItem"),),
    (("kinesis", "PutRecord"), ("kinesis", "PutRecords")),
    (("states", "StartExecution"),),
)


class Nemesis:
    """Looks every second."""

    def __init__(self, cloud: Cloud, matchers: Matchers) -> None:
        self._cloud = cloud
        self._matchers = matchers
        self._rng = random.Random(f"{cloud.plan.seed}/nemesis")
        self._process = Process("nemesis", cloud.scheduler)
        self._operator = Process("operator", cloud.scheduler)
        self._operator.mortal = False
        self._switched: set[str] = set()

    def start(self) -> None:
        """Begin. What is to be taken back has just been rolled out."""
        if Fault.RELEASE_TAKEN_BACK in self._cloud.faults.rates:
            self._matchers.begin_with_next_release()
        self._cloud.scheduler.spawn(self._process, self._haunt)

    def stop(self) -> None:
        """End, and let go of what it holds. Whoever is stopped still is replaced, as a health check would.

        Where rules were switched, the roll-out that knows them is finished.
        """
        self._process.kill()
        self._cloud.network.away.clear()
        self._cloud.network.busy.clear()
        for process in self._matchers.processes.values():
            if process.paused_until > self._cloud.scheduler.now_ns:
                process.kill()
        if self._switched:
            self._matchers.roll_forward()

    def _haunt(self) -> None:
        while True:
            self._cloud.scheduler.sleep(LOOK_SECONDS)
            self._trouble_matchers()
            self._trouble_services()
            self._trouble_snapshots()
            self._switch_rules()
            self._take_release_back()

    def _trouble_matchers(self) -> None:
        faults, rng = self._cloud.faults, self._rng
        for number, process in list(self._matchers.processes.items()):
            if not process.alive:
                continue
            if faults.hits(Fault.MATCHER_KILLED):
                process.kill()
            elif faults.hits(Fault.MATCHER_PAUSED):
                process.pause(LEASE_SECONDS * rng.uniform(0.8, 2.5))
            elif faults.hits(Fault.RELEASE_CHANGED):
                self._matchers.change_release(number)

    def _trouble_services(self) -> None:
        faults, rng, scheduler = self._cloud.faults, self._rng, self._cloud.scheduler
        if faults.hits(Fault.OUTAGE):
            self._cloud.network.away[rng.choice(SERVICES)] = scheduler.now_ns + int(rng.uniform(0.5, 15.0) * SECOND_NS)
        if faults.hits(Fault.THROTTLED_FOR_A_WHILE):
            until, share = scheduler.now_ns + int(rng.uniform(0.5, 15.0) * SECOND_NS), rng.choice((0.5, 0.9))
            self._cloud.network.busy.update(dict.fromkeys(rng.choice(OPERATIONS), (until, share)))
        self._split_shards()

    def _split_shards(self) -> None:
        faults, rng = self._cloud.faults, self._rng
        for fault, name in ((Fault.SHARD_SPLIT, "orders"), (Fault.EXECUTIONS_SPLIT, "executions")):
            open_shards = [shard for shard in self._cloud.kinesis.streams[name].shards if not shard.closed]
            if len(open_shards) < 4 and faults.hits(fault):
                shard = rng.choice(open_shards)
                middle = (shard.first_hash + shard.last_hash) // 2 + 1
                self._cloud.kinesis.split_shard(
                    StreamName=name, ShardToSplit=shard.shard_id, NewStartingHashKey=str(middle)
                )
                if name == "orders" and faults.hits(Fault.KILLED_AT_SPLIT):
                    # Who starts then finds the parent not read to its end and its children beside it.
                    for process in self._matchers.processes.values():
                        process.kill()

    def _switch_rules(self) -> None:
        product_id = self._rng.choice(sorted(self._cloud.plan.products))
        if product_id in self._switched:
            return
        # Where the next release was rolled out to all, its rules follow at once.
        if Fault.RELEASE_TAKEN_BACK in self._cloud.faults.rates or self._cloud.faults.hits(Fault.RULES_SWITCHED):
            self._switched.add(product_id)
            self._cloud.scheduler.spawn(self._operator, partial(self._insist_on_rules, product_id))

    def _take_release_back(self) -> None:
        """Regret the next release when there are snapshots under its rules already; later, think better of it."""
        faults = self._cloud.faults
        if Fault.RELEASE_TAKEN_BACK not in faults.rates:
            return
        if not self._matchers.runs_next_release:
            if self._rng.random() < ROLLED_OUT_AGAIN:
                self._matchers.roll_forward()
        elif self._are_next_rules_saved() and faults.hits(Fault.RELEASE_TAKEN_BACK):
            self._matchers.take_back()

    def _are_next_rules_saved(self) -> bool:
        objects = self._cloud.s3.objects.items()
        saved = (saved_markets(key, data) for (bucket, key), (data, _) in objects if bucket == BUCKET)
        return any(engine.follows_next_rules for markets in saved for engine in markets.values())

    def _insist_on_rules(self, product_id: str) -> None:
        stream = StreamWriter(self._cloud.kinesis, "orders")
        while True:
            try:
                stream.put(product_id=product_id, data=switch_record(product_id))
            except OutageError:
                self._cloud.scheduler.sleep(1.0)
            else:
                return

    def _trouble_snapshots(self) -> None:
        faults, rng, objects = self._cloud.faults, self._rng, self._cloud.s3.objects
        keys = sorted(key for key in objects if key[0] == "snapshots")
        if not keys:
            return
        for fault in (Fault.SNAPSHOT_CUT, Fault.SNAPSHOT_CHANGED, Fault.SNAPSHOT_GONE):
            if faults.hits(fault):
                key = rng.choice(keys[-3:])
                data, metadata = objects.get(key, (b"", {}))
                if not data:
                    continue
                at = rng.randrange(len(data))
                if fault is Fault.SNAPSHOT_CUT:
                    objects[key] = (data[:at], metadata)
                elif fault is Fault.SNAPSHOT_CHANGED:
                    objects[key] = (data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :], metadata)
                else:
                    del objects[key]
