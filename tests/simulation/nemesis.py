"""What befalls the processes and what they left, now and then: kills, stops, torn snapshots, splits, deployments."""

from __future__ import annotations

import random
from typing import Final

from tests.simulation.cloud import Cloud
from tests.simulation.faults import Fault
from tests.simulation.matchers import LEASE_SECONDS, Matchers
from tests.simulation.scheduler import SECOND_NS, Process

LOOK_SECONDS: Final = 1.0
SERVICES: Final = ("dynamodb", "kinesis", "s3", "states", "sqs")


class Nemesis:
    """Looks every second."""

    def __init__(self, cloud: Cloud, matchers: Matchers) -> None:
        self._cloud = cloud
        self._matchers = matchers
        self._rng = random.Random(f"{cloud.plan.seed}/nemesis")
        self._process = Process("nemesis", cloud.scheduler)

    def start(self) -> None:
        """Begin."""
        self._cloud.scheduler.spawn(self._process, self._haunt)

    def stop(self) -> None:
        """End, and let go of what it holds. Whoever is stopped still is replaced, as a health check would."""
        self._process.kill()
        self._cloud.network.away.clear()
        for process in self._matchers.processes.values():
            if process.paused_until > self._cloud.scheduler.now_ns:
                process.kill()

    def _haunt(self) -> None:
        while True:
            self._cloud.scheduler.sleep(LOOK_SECONDS)
            self._trouble_matchers()
            self._trouble_services()
            self._trouble_snapshots()

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
        for fault, name in ((Fault.SHARD_SPLIT, "orders"), (Fault.EXECUTIONS_SPLIT, "executions")):
            open_shards = [shard for shard in self._cloud.kinesis.streams[name].shards if not shard.closed]
            if len(open_shards) < 4 and faults.hits(fault):
                shard = rng.choice(open_shards)
                middle = (shard.first_hash + shard.last_hash) // 2 + 1
                self._cloud.kinesis.split_shard(
                    StreamName=name, ShardToSplit=shard.shard_id, NewStartingHashKey=str(middle)
                )

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
