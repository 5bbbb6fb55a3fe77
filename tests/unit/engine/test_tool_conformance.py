"""`python -m matcher` as others call it, held to the reference engine line by line of the contract's tool section."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from exchange.kernel.money import format_units
from exchange.messages import (
    CancelReason,
    ChangeReason,
    Command,
    DoneReason,
    Event,
    EventType,
    Op,
    OrderType,
    RejectReason,
    Side,
    StopKind,
    encode_commands,
)

from bench.engines.flow import PARAMETERS, PRODUCT, PRODUCT_ID, mix
from bench.engines.json_flow import lines as json_lines
from matcher.engine.reference import Engine as ReferenceEngine

ROOT = Path(__file__).parents[3]
COMMANDS = mix(11, 2_500)
LINES = list(json_lines(COMMANDS))
TOLD = re.compile(r"replayed (\d+) commands into (\d+) events in (\d+\.\d+) s \((\d+) commands/s\)")
MEMORY_SLACK_KIB = 6_000
# Runs the tool and tells the most memory it had.
# The most that the program itself held: what getrusage says counts the process that it was forked from too.
MEASURED = """
import sys
from matcher.__main__ import main
code = main(sys.argv[1:])
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True)
class Run:
    """What a process did."""

    code: int
    output: bytes
    error: str


@dataclass(frozen=True)
class Tool:
    """The tool, with a folder for its files."""

    folder: Path

    def file(self, name: str, data: bytes | Sequence[bytes]) -> str:
        """Write a file of bytes or lines."""
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else b"".join(data))
        return str(path)

    def command(self, verb: str, *arguments: str, module: Sequence[str] = ("-m", "matcher")) -> list[str]:
        """Its command line."""
        product = {"product_id": PRODUCT_ID, **{name: text for name, text in asdict(PARAMETERS).items() if text}}
        path = self.file("product.json", json.dumps(product).encode())
        return [sys.executable, *module, verb, "--product", path, *arguments]

    def __call__(self, verb: str, *arguments: str, stdin: bytes = b"", hash_seed: str = "random") -> Run:
        """Run it to its end."""
        done = subprocess.run(
            self.command(verb, *arguments), input=stdin, capture_output=True, check=False, cwd=ROOT, env=told(hash_seed)
        )
        return Run(done.returncode, done.stdout, done.stderr.decode())


def told(hash_seed: str = "random") -> dict[str, str]:
    """Its environment."""
    return {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT}:{ROOT}/functions/shared/python"}


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool(tmp_path)


@pytest.fixture(scope="module")
def expected() -> list[list[dict[str, Any]]]:
    """For each command, the events as the contract writes them, made from the reference engine's own answers."""
    engine = ReferenceEngine(PRODUCT)
    answers = [engine.apply(command) for command in COMMANDS]
    return [[as_contract(event) for event in answer.events] if answer else [] for answer in answers]


def as_contract(event: Event) -> dict[str, Any]:
    """One event as the contract's table has it."""
    kind = EventType(event.type).name.lower()
    head = {"type": kind, "sequence": event.sequence, "product_id": PRODUCT_ID, "time_ns": event.time_ns}
    return head | dict(fields_of(event))


def fields_of(event: Event) -> Iterator[tuple[str, Any]]:
    """What an event says beyond what all say."""
    if event.type not in (EventType.MATCH, EventType.PHASE, EventType.AUCTION):
        yield "order_id", f"{event.order_id:016x}"
    if event.type in (EventType.RECEIVED, EventType.OPEN, EventType.MATCH):
        yield "side", Side(event.side).name.lower()
    yield from SAYS[event.type](event)


def fields_of_received(event: Event) -> Iterator[tuple[str, Any]]:
    """What a received says."""
    yield "account_id", f"a{event.account_id:x}"
    yield "order_type", OrderType(event.order_type).name.lower()
    if event.order_type == OrderType.LIMIT:
        yield "price", format_units(event.price, 2)
    yield ("funds", format_units(event.funds, 5)) if event.by_funds else ("size", format_units(event.size, 3))


def fields_of_match(event: Event) -> Iterator[tuple[str, Any]]:
    """What a match says."""
    yield "trade_id", event.trade_id
    yield "maker_order_id", f"{event.maker_order_id:016x}"
    yield "taker_order_id", f"{event.order_id:016x}"
    yield "price", format_units(event.price, 2)
    yield "size", format_units(event.size, 3)


def fields_of_done(event: Event) -> Iterator[tuple[str, Any]]:
    """What a done says."""
    yield "reason", DoneReason(event.done_reason).name.lower()
    if event.by_funds:
        yield "remaining_funds", format_units(event.remaining_funds, 5)
    else:
        yield "remaining_size", format_units(event.remaining_size, 3)
    if event.reason:
        yield "cancel_reason", CancelReason(event.reason).name.lower()


def fields_of_change(event: Event) -> Iterator[tuple[str, Any]]:
    """What a change says."""
    yield "reason", ChangeReason(event.reason).name.lower()
    if event.by_funds:
        yield "old_funds", format_units(event.old_funds, 5)
        yield "new_funds", format_units(event.new_funds, 5)
    else:
        yield "old_size", format_units(event.old_size, 3)
        yield "new_size", format_units(event.new_size, 3)
    if event.old_price:
        yield "old_price", format_units(event.old_price, 2)
        yield "new_price", format_units(event.new_price, 2)


SAYS: dict[int, Callable[[Event], Iterable[tuple[str, Any]]]] = {
    EventType.RECEIVED: fields_of_received,
    EventType.REJECTED: lambda event: [
        ("command", Op(event.op).name.lower()),
        ("reason", RejectReason(event.reason).name.lower()),
    ],
    EventType.ACTIVATE: lambda event: [
        ("stop", StopKind(event.stop).name.lower()),
        ("stop_price", format_units(event.stop_price, 2)),
    ],
    EventType.TRIGGERED: lambda event: [],
    EventType.OPEN: lambda event: [
        ("price", format_units(event.price, 2)),
        ("remaining_size", format_units(event.size, 3)),
    ],
    EventType.MATCH: fields_of_match,
    EventType.CHANGE: fields_of_change,
    EventType.DONE: fields_of_done,
}


def parsed(output: bytes) -> list[dict[str, Any]]:
    """Every line as an object."""
    return [json.loads(line) for line in output.splitlines()]


def test_every_command_causes_the_events_of_the_reference_engine(
    tool: Tool, expected: list[list[dict[str, Any]]]
) -> None:
    wanted = [event for events in expected for event in events]
    from_file = tool("replay", tool.file("c.jsonl", LINES))
    from_stdin = tool("replay", stdin=b"".join(LINES))
    assert (from_file.code, from_file.error) == (0, "")
    assert from_stdin == from_file
    assert parsed(from_file.output) == wanted
    assert {event["type"] for event in wanted} >= {"received", "rejected", "activate", "triggered", "open", "match"}
    assert [event["sequence"] for event in wanted] == list(range(1, len(wanted) + 1))


def test_decimals_carry_no_exponent_and_no_needless_zero(tool: Tool) -> None:
    output = tool("replay", stdin=b"".join(LINES)).output.decode()
    decimals = re.findall(r'"(?:price|size|funds|remaining_\w+|old_\w+|new_\w+|stop_price)":"([^"]*)"', output)
    assert len(decimals) > 1_000
    assert all(re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", text) for text in decimals)
    assert "null" not in output


@pytest.mark.parametrize(
    ("before", "wrong"),
    [
        (0, b"\n"),
        (1, b"{\n"),
        (1_023, b'{"type":"tick","time_ns":NaN}\n'),
        (1_024, b'"\xff"\n'),
        (1_025, b'{"type":"tick","time_ns":"1"}\n'),
        (2_500, b'{"type":"cancel","time_ns":1,"order_id":7}\n'),
    ],
)
def test_a_malformed_line_is_named_and_what_came_before_it_is_written(
    tool: Tool, expected: list[list[dict[str, Any]]], before: int, wrong: bytes
) -> None:
    path, saved = tool.file("c.jsonl", [*LINES[:before], wrong, *LINES]), tool.folder / "saved"
    run = tool("replay", "--snapshot-out", str(saved), path)
    assert run.code == 2
    assert run.error.startswith(f"line {before + 1}: ")
    assert parsed(run.output) == [event for events in expected[:before] for event in events]
    assert not saved.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("replay", "{folder}/none.jsonl"), "error: "),
        (("replay", "--journal", "{folder}/none.journal"), "error: "),
        (("replay", "--resume", "{folder}/none", "{folder}/c.jsonl"), "error: "),
        (("replay", "--journal", "{folder}/c.jsonl"), "error: "),
        (("pack", "{folder}/none.jsonl"), "error: "),
    ],
)
def test_a_file_that_is_missing_or_something_else_is_exit_1(tool: Tool, arguments: tuple[str, ...], words: str) -> None:
    tool.file("c.jsonl", LINES[:3])
    run = tool(arguments[0], *(argument.format(folder=tool.folder) for argument in arguments[1:]))
    assert (run.code, run.output if arguments[0] == "replay" else b"") == (1, b"")
    assert run.error.startswith(words)


def test_no_input_is_valid_input(tool: Tool) -> None:
    assert tool("replay") == Run(0, b"", "")
    assert tool("replay", "--hash").output.decode().strip() == hashlib.sha256().hexdigest()


def test_parts_replayed_one_after_the_other_are_the_whole(tool: Tool) -> None:
    """Events and saved states alike, wherever the input is cut, whether it comes as lines or packed."""
    cuts = [0, 1, 700, 1_024, 2_000, 2_500]
    whole = tool("replay", "--snapshot-out", str(tool.folder / "whole"), stdin=b"".join(LINES))
    output = b""
    arguments: tuple[str, ...] = ()
    for start, end in pairwise(cuts):
        part, saved = tool.file("part.jsonl", LINES[start:end]), str(tool.folder / f"saved{end}")
        packed = tool.file("part.journal", tool("pack", part).output)
        run = tool("replay", *arguments, "--snapshot-out", saved, part)
        again = tool("replay", *arguments, "--snapshot-out", saved + "j", "--journal", packed)
        assert (run.code, again.code) == (0, 0)
        assert again.output == run.output
        assert Path(saved + "j").read_bytes() == Path(saved).read_bytes()
        output += run.output
        arguments = ("--resume", saved)
    assert output == whole.output
    assert Path(saved).read_bytes() == (tool.folder / "whole").read_bytes()


def test_every_process_writes_the_same_bytes_and_saves_the_same_state(tool: Tool) -> None:
    path = tool.file("c.jsonl", LINES)
    found = set()
    for seed in ("0", "1", "31337"):
        saved = tool.folder / f"saved{seed}"
        run = tool("replay", "--snapshot-out", str(saved), path, hash_seed=seed)
        packed = tool("pack", path, hash_seed=seed)
        found.add((run.code, run.output, saved.read_bytes(), packed.output))
    assert len(found) == 1


def test_packed_commands_replay_to_the_hash_of_the_reference_engine_s_events(tool: Tool) -> None:
    engine, commands = ReferenceEngine(PRODUCT), []
    lines = [
        b'{"type":"place","time_ns":%d,"order_id":"%d","account_id":"%d","side":"%s","order_type":"limit",'
        b'"price":"100.0%d","size":"1"}\n' % (number, number, number % 5 + 1, side, number % 4)
        for number, side in enumerate([b"buy", b"sell", b"buy", b"sell"] * 60, start=1)
    ]
    for number, side in enumerate([Side.BUY, Side.SELL] * 120, start=1):
        commands.append(Command(
            Op.PLACE, order_id=number, account_id=number % 5 + 1, side=side, order_type=OrderType.LIMIT,
            time_in_force=1, self_trade_prevention=1, price=10_000 + number % 4, size=1_000, time_ns=number,
        ))  # fmt: skip
    digest = hashlib.sha256(engine.apply_record(encode_commands(PRODUCT_ID, commands)).data).hexdigest()
    path = tool.file("c.jsonl", lines)
    journal = tool.file("c.journal", tool("pack", path).output)
    run = tool("replay", "--journal", journal, "--hash")
    assert run.output.decode() == tool("replay", "--hash", path).output.decode() == digest + "\n"
    done = TOLD.fullmatch(run.error.splitlines()[-1])
    assert done is not None
    count, events, seconds, rate = done.groups()
    assert (int(count), int(events)) == (len(lines), engine.sequence)
    assert float(seconds) > 0
    assert int(rate) > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of a process as Linux tells it")
@pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer holds freed memory back to check it"
)
def test_memory_does_not_grow_with_the_input(tool: Tool) -> None:
    peaks = []
    for count in (20_000, 120_000):
        lines = [b'{"type":"cancel","time_ns":%d,"order_id":"x%d"}\n' % (number, number) for number in range(count)]
        path = tool.file(f"{count}.jsonl", lines)
        with (tool.folder / "out").open("wb") as output:
            run = subprocess.run(
                tool.command("replay", path, module=("-c", MEASURED)),
                stdout=output, stderr=subprocess.PIPE, check=True, cwd=ROOT, env=told(),
            )  # fmt: skip
        peaks.append(int(run.stderr.split()[-1]))
    assert peaks[1] < peaks[0] + MEMORY_SLACK_KIB


def test_events_come_while_the_input_still_flows(tool: Tool) -> None:
    with subprocess.Popen(
        tool.command("replay"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=told()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(LINES[:1_030]))
        process.stdin.flush()
        first = json.loads(process.stdout.readline())
        process.stdin.close()
        process.stdout.read()
    assert first["sequence"] == 1
    assert process.returncode == 0


def test_a_reader_that_leaves_is_no_defect(tool: Tool) -> None:
    path = tool.file("c.jsonl", LINES)
    with subprocess.Popen(
        tool.command("replay", path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=told()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
    assert error == b""
    assert process.returncode == 1
