"""The replay tool, as it is called: files and lines in, lines and exit codes out."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from matcher.__main__ import main

ROOT = Path(__file__).parents[3]
PRODUCT = {
    "product_id": "ACME-USD",
    "base_currency": "ACME",
    "quote_currency": "USD",
    "base_increment": "0.001",
    "quote_increment": "0.01",
    "base_min_size": "0.001",
    "base_max_size": "1000000",
    "min_market_funds": "1",
    "reference_price": "100.00",
    "price_band": "0.10",
}
BUY = {"type": "place", "time_ns": 1, "order_id": "a", "account_id": "alice", "side": "buy", "order_type": "limit"}
BUY |= {"price": "100", "size": "1"}


class Tool:
    """The tool in a folder of its own."""

    def __init__(self, folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        self.folder = folder
        self._capture = capfdbinary
        self.product = self.write("product.json", json.dumps(PRODUCT).encode())

    def write(self, name: str, data: bytes) -> str:
        """Put a file into the folder."""
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def __call__(self, *arguments: str) -> tuple[int, bytes, str]:
        """Run it; return exit code, standard output and standard error."""
        code = main([arguments[0], "--product", self.product, *arguments[1:]])
        output = self._capture.readouterr()
        return code, output.out, output.err.decode()


@pytest.fixture
def tool(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Tool:
    return Tool(tmp_path, capfdbinary)


def lines_of(*commands: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(command).encode() + b"\n" for command in commands)


def random_lines(seed: int, count: int) -> list[bytes]:
    """Lines with every kind of id, some values that no order may carry, and every command."""
    random = Random(seed)
    lines: list[bytes] = []
    for number in range(1, count + 1):
        order_id = random.choice((str(number), f"order {number}", f"ордер-{number}"))
        draw = random.random()
        command: dict[str, Any] = {"time_ns": number // 2}
        if draw < 0.6:
            command |= {"type": "place", "order_id": order_id, "account_id": random.choice(("7", "bob", "ünï"))}
            command |= {"side": random.choice(("buy", "sell")), "order_type": "limit"}
            command |= {"price": random.choice(("100", "100.01", "99.99", "0", "100.001", "999999999999999999"))}
            command |= {"size": random.choice(("1", "2.5", "0.0001", "0", "999999999999999999.5"))}
            if random.random() < 0.2:
                command |= {"stop": "entry", "stop_price": random.choice(("100", "0", "100.001"))}
                command |= random.choice(({}, {"trail_amount": random.choice(("0.5", "0", "0.001", "100"))}))
                if lines and random.random() < 0.5:
                    command |= {"oco_order_id": json.loads(random.choice(lines[-8:])).get("order_id", "x")}
            elif random.random() < 0.3:
                command |= {"display_size": random.choice(("0.5", "0", "0.0001"))}
        elif draw < 0.7:
            command |= {"type": "place", "order_id": order_id, "account_id": "eve", "side": "sell"}
            command |= {"order_type": "market", "funds": random.choice(("50", "0", "1.001", "0.5"))}
        elif draw < 0.85 and lines:
            other = json.loads(random.choice(lines))
            command |= {"type": "cancel", "order_id": other.get("order_id", "x")}
        elif draw < 0.95 and lines:
            other = json.loads(random.choice(lines))
            command |= {
                "type": "amend",
                "order_id": other.get("order_id", "x"),
                "size": random.choice(("3", "0", "0.1")),
            }
            command |= random.choice(({}, {"price": "99.98"}, {"price": "0.001"}))
        else:
            command |= random.choice(({"type": "tick"}, {"type": "cancel_all", "account_id": "bob"}))
        lines.append(json.dumps(command, ensure_ascii=False).encode() + b"\n")
    return lines


def test_no_input_is_valid_input(tool: Tool) -> None:
    assert tool("replay", tool.write("none.jsonl", b"")) == (0, b"", "")


def test_events_are_lines_of_decimal_strings(tool: Tool) -> None:
    sell = BUY | {"order_id": "b", "account_id": "bob", "side": "sell", "price": "99.90", "size": "0.250"}
    code, output, _ = tool("replay", tool.write("c.jsonl", lines_of(BUY, sell)))
    events = [json.loads(line) for line in output.splitlines()]
    assert code == 0
    head = {"product_id": "ACME-USD", "time_ns": 1}
    assert events[0] == head | {
        "type": "received", "sequence": 1, "order_id": "a", "account_id": "alice", "side": "buy",
        "order_type": "limit", "price": "100", "size": "1",
    }  # fmt: skip
    assert events[3] == head | {
        "type": "match", "sequence": 4, "trade_id": 1, "maker_order_id": "a", "taker_order_id": "b", "side": "buy",
        "price": "100", "size": "0.25",
    }  # fmt: skip
    assert events[4] == head | {
        "type": "done", "sequence": 5, "order_id": "b", "reason": "filled", "remaining_size": "0",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"   ",
        b"[]",
        b"nonsense",
        b"null",
        b'{"type":"tick","time_ns":NaN}',
        b'{"type":"tick"}',
        b'{"type":"tick","time_ns":null}',
        b'{"type":"tick","time_ns":true}',
        b'{"type":"tick","time_ns":1.0}',
        b'{"type":"tick","time_ns":-1}',
        b'{"type":"tick","time_ns":9223372036854775808}',
        b'{"type":"tick","time_ns":"1"}',
        b'{"type":"dance","time_ns":1}',
        b'{"type":["tick"],"time_ns":1}',
        b'{"time_ns":1}',
        b'\xef\xbb\xbf{"type":"tick","time_ns":1}',
        b'{"type":"cancel","time_ns":1,"order_id":"\xff"}',
        b'{"type":"cancel","time_ns":1,"order_id":""}',
        b'{"type":"cancel","time_ns":1,"order_id":7}',
        b'{"type":"cancel","time_ns":1}',
        b'{"type":"cancel_all","time_ns":1,"account_id":null}',
        b'{"type":"phase","time_ns":1,"phase":"lunch"}',
        b'{"type":"phase","time_ns":1}',
        b'{"type":"amend","time_ns":1,"order_id":"a"}',
        b'{"type":"amend","time_ns":1,"order_id":"a","size":1}',
        b"[" * 100_000,
        b'{"type":"tick","time_ns":' + b"9" * 5000 + b"}",
    ],
)
def test_a_malformed_line_stops_the_run(tool: Tool, line: bytes) -> None:
    good = lines_of({"type": "phase", "time_ns": 1, "phase": "auction"})
    snapshot = tool.folder / "snapshot"
    path = tool.write("c.jsonl", good + line + b"\n" + good)
    code, output, error = tool("replay", "--snapshot-out", str(snapshot), path)
    assert (code, output.count(b"\n")) == (2, 1)
    assert error.startswith("line 2: ")
    assert error.count("\n") == 1
    assert not snapshot.exists()
    assert tool("pack", path)[0] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"side": None},
        {"side": "BUY"},
        {"order_type": "stop"},
        {"price": None},
        {"size": None},
        {"price": 100},
        {"size": "1e3"},
        {"size": "+1"},
        {"size": "-1"},
        {"size": " 1"},
        {"size": "1."},
        {"size": ".5"},
        {"size": "\u0661"},
        {"size": "1\n"},
        {"size": "1" * 19},
        {"size": "0." + "1" * 19},
        {"funds": "10"},
        {"time_in_force": "gtc"},
        {"time_in_force": "GTT"},
        {"expire_time_ns": 5},
        {"time_in_force": "GTT", "expire_time_ns": True},
        {"post_only": "true"},
        {"post_only": 1},
        {"post_only": True, "time_in_force": "IOC"},
        {"post_only": True, "time_in_force": "FOK"},
        {"post_only": True, "stop": "loss", "stop_price": "1"},
        {"stop": "loss"},
        {"stop_price": "1"},
        {"stop": "up", "stop_price": "1"},
        {"self_trade_prevention": "DC"},
        {"display_size": "1", "time_in_force": "IOC"},
        {"trail_amount": "1"},
        {"trail_amount": 1, "stop": "loss", "stop_price": "99"},
        {"trail_amount": "1.", "stop": "loss", "stop_price": "99"},
        {"trail_amount": "1", "stop": "loss"},
        {"oco_order_id": ""},
        {"oco_order_id": 7},
        {"oco_order_id": "b", "time_in_force": "IOC"},
        {"oco_order_id": "b", "time_in_force": "FOK"},
        {"oco_order_id": "b", "order_type": "market", "price": None},
        {"order_type": "market"},
        {"order_type": "market", "price": None, "funds": "1"},
        {"order_type": "market", "price": None, "size": None},
        {"order_type": "market", "price": None, "display_size": "1"},
        {"order_type": "market", "price": None, "post_only": True},
    ],
)
def test_fields_that_cannot_stand_together_are_malformed(tool: Tool, change: dict[str, Any]) -> None:
    code, output, error = tool("replay", tool.write("c.jsonl", lines_of(BUY | change)))
    assert (code, output) == (2, b"")
    assert error.startswith("line 1: ")


def test_null_is_absent_and_unknown_fields_are_ignored(tool: Tool) -> None:
    odd = BUY | {"funds": None, "stop": None, "post_only": None, "time_in_force": None, "colour": [1.5, None]}
    plain, strange = tool.write("p.jsonl", lines_of(BUY)), tool.write("s.jsonl", lines_of(odd))
    assert tool("replay", plain)[:2] == tool("replay", strange)[:2]
    assert tool("replay", strange)[0] == 0


def test_an_unknown_field_may_hold_a_number_of_any_length(tool: Tool) -> None:
    line = b'{"type":"tick","time_ns":1,"colour":' + b"9" * 5000 + b"}"
    assert tool("replay", tool.write("c.jsonl", line)) == (0, b"", "")


def test_the_last_line_needs_no_end(tool: Tool) -> None:
    whole = tool("replay", tool.write("c.jsonl", lines_of(BUY)))
    assert tool("replay", tool.write("d.jsonl", lines_of(BUY).rstrip())) == whole


def test_a_journal_replays_to_the_same_lines(tool: Tool) -> None:
    lines = random_lines(1, 2500)
    path = tool.write("c.jsonl", b"".join(lines))
    code, expected, _ = tool("replay", path)
    packed_code, journal, _ = tool("pack", path)
    assert (code, packed_code) == (0, 0)
    journal_path = tool.write("c.journal", journal)
    code, output, error = tool("replay", "--journal", journal_path)
    assert (code, output) == (0, expected)
    told = re.fullmatch(r"replayed (\d+) commands into (\d+) events in [0-9.]+ s \((\d+) commands/s\)\n", error)
    assert told is not None
    assert told.groups()[:2] == (str(len(lines)), str(expected.count(b"\n")))
    reasons = {json.loads(line).get("reason") for line in expected.splitlines()}
    assert {"invalid_size", "invalid_price", "invalid_funds", "duplicate_order_id", "unknown_order"} & reasons


def test_several_journals_are_one_after_the_other(tool: Tool) -> None:
    lines = random_lines(2, 400)
    _, expected, _ = tool("replay", tool.write("c.jsonl", b"".join(lines)))
    paths = []
    for number, part in enumerate((lines[:150], lines[150:])):
        _, journal, _ = tool("pack", tool.write("part.jsonl", b"".join(part)))
        paths.append(tool.write(f"{number}.journal", journal))
    assert tool("replay", "--journal", *paths)[1] == expected
    assert tool("replay", "--journal", paths[0], "--journal", paths[1])[1] == expected


def test_the_hash_is_of_the_packed_events_whatever_they_were_read_from(tool: Tool) -> None:
    path = tool.write("c.jsonl", b"".join(random_lines(3, 800)))
    _, journal, _ = tool("pack", path)
    journal_path = tool.write("c.journal", journal)
    code, from_lines, _ = tool("replay", "--hash", path)
    _, from_journal, _ = tool("replay", "--hash", "--journal", journal_path)
    assert code == 0
    assert from_lines == from_journal
    assert re.fullmatch(rb"[0-9a-f]{64}\n", from_lines)
    assert tool("replay", "--hash", tool.write("none.jsonl", b""))[1].strip() == hashlib.sha256().hexdigest().encode()


@pytest.mark.parametrize("cut", [0, 1, 250, 500])
@pytest.mark.parametrize("hashing", [[], ["--hash"]], ids=["lines", "hash"])
def test_a_snapshot_and_the_rest_are_the_whole(tool: Tool, cut: int, hashing: list[str]) -> None:
    lines = random_lines(4, 500)
    _, expected, _ = tool("replay", tool.write("c.jsonl", b"".join(lines)))
    first, rest = tool.write("a.jsonl", b"".join(lines[:cut])), tool.write("b.jsonl", b"".join(lines[cut:]))
    snapshot, again = str(tool.folder / "snapshot"), str(tool.folder / "again")
    code, head, _ = tool("replay", "--snapshot-out", snapshot, *hashing, first)
    assert code == 0
    code, tail, _ = tool("replay", "--resume", snapshot, rest)
    assert code == 0
    assert expected.endswith(tail)
    if not hashing:
        assert head + tail == expected
    tool("replay", "--resume", snapshot, "--snapshot-out", again, tool.write("none.jsonl", b""))
    assert Path(again).read_bytes() == Path(snapshot).read_bytes()


def test_a_damaged_snapshot_is_refused(tool: Tool) -> None:
    snapshot = tool.folder / "snapshot"
    tool("replay", "--snapshot-out", str(snapshot), tool.write("c.jsonl", lines_of(BUY)))
    whole = snapshot.read_bytes()
    none = tool.write("none.jsonl", b"")
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        for data in (bytes(damaged), whole[:position]):
            code, output, error = tool("replay", "--resume", tool.write("damaged", data), none)
            assert (code, output) == (1, b"")
            assert error.startswith("error: ")


def test_a_snapshot_of_another_product_is_refused(tool: Tool) -> None:
    snapshot = str(tool.folder / "snapshot")
    tool("replay", "--snapshot-out", snapshot, tool.write("c.jsonl", lines_of(BUY)))
    tool.write("product.json", json.dumps(PRODUCT | {"quote_increment": "0.1"}).encode())
    assert tool("replay", "--resume", snapshot, tool.write("none.jsonl", b""))[0] == 1


@pytest.mark.parametrize("missing", ["product", "commands", "journal", "resume"])
def test_a_file_that_is_not_there_is_said_so(tool: Tool, missing: str) -> None:
    commands = tool.write("c.jsonl", b"")
    absent = str(tool.folder / "absent")
    if missing == "product":
        tool.product = absent
        arguments = [commands]
    else:
        arguments = {"commands": [absent], "journal": ["--journal", absent], "resume": ["--resume", absent]}[missing]
    code, output, error = tool("replay", *arguments)
    assert (code, output) == (1, b"")
    assert error.startswith("error: ")


@pytest.mark.parametrize(
    "change",
    [{"base_increment": "0"}, {"base_increment": 1}, {"product_id": ""}, {"product_id": "Ä"}, {"price_band": "x"}],
)
def test_a_product_that_is_none_is_refused(tool: Tool, change: dict[str, Any]) -> None:
    tool.write("product.json", json.dumps(PRODUCT | change).encode())
    code, _, error = tool("replay", tool.write("c.jsonl", b""))
    assert code == 1
    assert error.startswith("error: ")


def test_a_damaged_journal_is_refused(tool: Tool) -> None:
    _, journal, _ = tool("pack", tool.write("c.jsonl", lines_of(BUY)))
    for position in range(len(journal)):
        damaged = bytearray(journal)
        damaged[position] ^= 255
        code, _, error = tool("replay", "--journal", tool.write("damaged", bytes(damaged)))
        assert code == 1, position
        assert error.startswith("error: ")


def test_ids_come_back_as_they_were_written(tool: Tool) -> None:
    names = ["7", "007", "0", "-1", "9" * 30, "a b", 'quote"', "Ω", "\ud800", "4611686018427387904", " "]
    commands = [BUY | {"order_id": name, "account_id": name} for name in names]
    path = tool.write("c.jsonl", lines_of(*commands))
    _, output, _ = tool("replay", path)
    received = [json.loads(line) for line in output.splitlines() if b'"received"' in line]
    assert [event["order_id"] for event in received] == names
    assert [event["account_id"] for event in received] == names
    _, journal, _ = tool("pack", path)
    assert tool("replay", "--journal", tool.write("c.journal", journal))[1] == output


@pytest.mark.parametrize(
    ("redirection", "told"),
    [
        (">/dev/full", "error: No space left on device\n"),
        (">&-", "error: standard input and output must be open; /dev/null will do\n"),
        ("<&-", "error: standard input and output must be open; /dev/null will do\n"),
        ("| true", ""),
    ],
)
@pytest.mark.parametrize("verb", ["replay", "pack"])
def test_output_that_cannot_be_written_is_said_so(tool: Tool, verb: str, redirection: str, told: str) -> None:
    path = tool.write("c.jsonl", b"".join(random_lines(6, 3000)))
    tool_line = [sys.executable, "-m", "matcher", verb, "--product", tool.product, path]
    run = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$@" {redirection}', "bash", *tool_line],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/functions/shared/python"},
    )
    assert (run.returncode, run.stderr.decode()) == (1, told)


def test_every_process_writes_the_same_bytes(tool: Tool) -> None:
    path = tool.write("c.jsonl", b"".join(random_lines(5, 600)))
    _, expected, _ = tool("replay", path)
    for seed in ("0", "1", "4242"):
        run = subprocess.run(
            [sys.executable, "-m", "matcher", "replay", "--product", tool.product, path],
            capture_output=True,
            check=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT}/functions/shared/python"},
        )
        assert run.stdout == expected
