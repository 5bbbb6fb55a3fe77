"""What a worker answers reaches who asked, whole, however long it is."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from infra.local.function_pool import Pool
from infra.local.function_worker import FunctionSpec

HANDLER = "def handler(event, context):\n    return {'number': event['number'], 'text': 'x' * event['length']}\n"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    (tmp_path / "long_answers.py").write_text(HANDLER, encoding="utf-8")
    pool = Pool(
        FunctionSpec(
            name="long-answers",
            arn="arn:aws:lambda:us-east-1:000000000000:function:long-answers",
            version="$LATEST",
            handler="long_answers.handler",
            timeout_seconds=30,
            memory_mb=128,
            code_directory=str(tmp_path),
            layer_directories=(),
            environment={},
            log_path=str(tmp_path / "log"),
        ),
        size_max=1,
    )
    yield pool
    pool.close()


def test_long_answers_come_whole_and_to_who_asked(pool: Pool) -> None:
    """libuv makes a watched pipe non-blocking: half an answer was taken for a crash, its rest for the next answer."""

    async def ask(number: int) -> tuple[object, int]:
        event = {"number": number, "length": 400_000}
        answer = await pool.invoke_async(event, request_id=str(number), arn="", trace_id=None)
        return answer["result"]["number"], len(answer["result"]["text"])

    async def ask_all() -> list[tuple[object, int]]:
        return [await ask(number) for number in range(40)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask_all()) == [(number, 400_000) for number in range(40)]


def test_a_worker_whose_pipe_broke_off_is_never_leased_again(pool: Pool) -> None:
    first = pool.invoke({"number": 1, "length": 1}, request_id="1", arn="", trace_id=None)
    worker = pool.idle[0]
    threading.Timer(0.05, worker.process.kill).start()
    worker.process.join(5)
    lost = pool.invoke({"number": 2, "length": 1}, request_id="2", arn="", trace_id=None)
    again = pool.invoke({"number": 3, "length": 1}, request_id="3", arn="", trace_id=None)
    assert first["result"]["number"] == 1
    assert lost["error"]["errorType"] == "Runtime.ExitError"
    assert again["result"]["number"] == 3
