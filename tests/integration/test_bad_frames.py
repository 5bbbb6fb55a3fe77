"""Hostile frames through the real socket: each gets an error in words, the connection lives on, nothing changes."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import pytest
from exchange.feeds.sockets import FRAMES_BURST_MAX
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.integration.conftest import RunningLaptop, audited
from tests.integration.hostile_frames import Frame, credentials, malformed, shapes, signed, subscribe
from tests.integration.test_bad_input import Enemy

pytestmark = pytest.mark.cloud
FRAMES_MIN = 150
# A connection has a burst of 50 frames.
FRAMES_A_CONNECTION = 40
AT_ONCE = 4
SECONDS_MAX = 90
Make = Callable[[str], dict[str, str]]


async def answer(connection: ClientConnection) -> dict[str, Any]:
    """The next message."""
    told: dict[str, Any] = json.loads(await asyncio.wait_for(connection.recv(), SECONDS_MAX))
    return told


async def send_all(url: str, frames: Sequence[Frame]) -> list[str]:
    """What was answered otherwise than it must be, on one connection that must outlive it all."""
    wrong: list[str] = []
    async with connect(url, max_size=None) as connection:
        for frame in frames:
            try:
                await connection.send(frame.data)
                told = await answer(connection)
            except (TimeoutError, ConnectionClosed) as error:
                return [*wrong, f"{frame}: {error!r}"]
            worded = told.get("type") == "error" and told.get("message") and told.get("reason")
            if not worded or told.get("code") not in frame.codes:
                wrong.append(f"{frame}: {str(told)[:200]}, not {sorted(frame.codes)}")
        await connection.send(subscribe(channels=["status"]))
        if (await answer(connection))["type"] != "status":
            wrong.append("a good frame after them was not understood")
    return wrong


def wrongs(url: str, frames: Iterable[Frame]) -> list[str]:
    """The same of all frames, on as many connections as they need."""

    async def run() -> list[str]:
        free = asyncio.Semaphore(AT_ONCE)

        async def one(batch: Sequence[Frame]) -> list[str]:
            async with free:
                return await send_all(url, batch)

        found = await asyncio.gather(*(one(batch) for batch in batches(frames)))
        return [wrong for batch in found for wrong in batch]

    return asyncio.run(run())


def batches(frames: Iterable[Frame]) -> list[tuple[Frame, ...]]:
    """Frames by connection."""
    rest = iter(frames)
    return list(iter(lambda: tuple(itertools.islice(rest, FRAMES_A_CONNECTION)), ()))


def test_every_hostile_frame_is_refused_in_words_and_changes_nothing(laptop: RunningLaptop, newcomer: Make) -> None:
    users = [newcomer("mallet"), newcomer("trent")]
    enemies = [Enemy(laptop, user) for user in users]
    before = [enemy.sees() for enemy in enemies]
    frames = [*malformed(), *shapes(), *credentials(*users)]
    assert len(frames) >= FRAMES_MIN
    wrong = wrongs(laptop.stack["websocket_url"], frames)
    assert not wrong, f"{len(wrong)} of {len(frames)}\n" + "\n".join(wrong)
    assert [enemy.sees() for enemy in enemies] == before
    audited(laptop)


def test_a_signed_frame_that_is_repeated_earns_nothing_twice(laptop: RunningLaptop, newcomer: Make) -> None:
    user = newcomer("peggy")

    async def replay() -> None:
        frame = signed(user)
        async with connect(laptop.stack["websocket_url"]) as first, connect(laptop.stack["websocket_url"]) as second:
            for connection in (first, first, second):
                await connection.send(frame)
                told = await answer(connection)
                assert told == {
                    **told,
                    "type": "subscriptions",
                    "channels": [{"name": "user", "product_ids": ["BTC-USD"]}],
                }

    asyncio.run(replay())


def test_a_flood_ends_the_flooder_alone(laptop: RunningLaptop) -> None:
    async def flood() -> None:
        async with connect(laptop.stack["websocket_url"]) as quiet, connect(laptop.stack["websocket_url"]) as loud:
            await quiet.send(subscribe(channels=["heartbeat"]))
            with pytest.raises(ConnectionClosed):
                await shout(loud)
            beats = [told async for told in heartbeats(quiet, 3)]
            assert len(beats) == 3

    asyncio.run(flood())


def test_frames_sent_all_at_once_are_all_answered_up_to_the_burst(laptop: RunningLaptop) -> None:
    async def burst() -> None:
        async with connect(laptop.stack["websocket_url"]) as connection:
            frames = [subscribe(channels=["rumours"]) for _ in range(FRAMES_BURST_MAX)]
            await asyncio.gather(*(connection.send(frame) for frame in frames))
            told = [await answer(connection) for _ in frames]
            assert {one.get("code") for one in told} == {"FEED_CHANNEL_UNKNOWN"}, told

    asyncio.run(burst())


async def shout(connection: ClientConnection) -> None:
    """Send as fast as can be, then listen, until the connection is ended."""
    for _ in range(1_000):
        await connection.send(subscribe(channels=["rumours"]))
        await asyncio.sleep(0)
    while True:
        await answer(connection)


async def heartbeats(connection: ClientConnection, count: int) -> AsyncIterator[dict[str, Any]]:
    """The next heartbeats."""
    while count:
        told = await answer(connection)
        if told["type"] == "heartbeat":
            count -= 1
            yield told


def test_a_message_larger_than_any_frame_may_be_ends_the_connection_with_its_reason(laptop: RunningLaptop) -> None:
    async def send() -> None:
        async with connect(laptop.stack["websocket_url"]) as connection:
            await connection.send("x" * 200_000)
            with pytest.raises(ConnectionClosed) as ended:
                await answer(connection)
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.code == 1009

    asyncio.run(send())
