"""What a newcomer does: up, demo, audit, down; and what must hold when the matcher is killed in the middle."""

import json
import time

import boto3
import pytest
from exchange.messages import Command, Op, encode_commands

from infra.local.clients import CREDENTIALS
from infra.local.settings import REGION
from tests.campaigns.test_nasdaq_day import DATA
from tests.e2e.conftest import CommandLine, figure

pytestmark = pytest.mark.cloud
AUDIT_HOLDS = "The audit holds"
ALL_AGREE = "Log, ledger, chain and banks agree"
PAYMENTS = (
    "deposit from the bank",
    "deposit that the bank took back",
    "withdrawal to the bank, approved",
    "deposit from the chain, reorganised",
    "the same deposit, in another block",
    "withdrawal to the chain, approved",
)


def test_a_flow_is_traded_settled_and_accounted_for(exchange: CommandLine) -> None:
    demo = exchange.run("demo", "--orders", "250", "--seed", "7", "--rate", "0")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert figure(demo.stdout, "orders sent") == 250
    assert figure(demo.stdout, "accepted") > 230
    assert figure(demo.stdout, "trades") > 10
    assert [title for title in PAYMENTS if title not in demo.stdout] == []
    assert AUDIT_HOLDS in demo.stdout
    assert ALL_AGREE in demo.stdout


def test_the_same_seed_may_be_sent_again_and_one_market_be_chosen(exchange: CommandLine) -> None:
    demo = exchange.run("demo", "--orders", "60", "--seed", "7", "--product", "EUR-USD", "--rate", "0", "--leave")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert figure(demo.stdout, "orders sent") == 60
    assert figure(demo.stdout, "left open") > 0


def test_a_matcher_that_is_killed_loses_and_doubles_nothing(exchange: CommandLine) -> None:
    killed: list[int] = []
    output: list[str] = []
    with exchange.start("demo", "--orders", "400", "--seed", "11", "--rate", "40") as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            output.append(line)
            # A line comes every few seconds while orders flow; the first two find the matcher busy.
            if " of 400" in line and len(killed) < 2 and not line.startswith("Orders: 400"):
                matcher = exchange.process("matcher")
                matcher.kill()
                matcher.wait(10)
                killed.append(matcher.pid)
                _wait_for_another(exchange, matcher.pid)
    text = "".join(output)
    assert demo.returncode == 0, text
    assert killed, text
    assert figure(text, "orders sent") == 400
    assert figure(text, "trades") > 10
    assert AUDIT_HOLDS in text


def _wait_for_another(exchange: CommandLine, pid: int) -> None:
    """Return when the keeper has started a matcher again."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        record = next((entry for entry in exchange.records() if entry.name == "matcher"), None)
        if record is not None and record.pid != pid and record.process():
            return
        time.sleep(0.1)
    pytest.fail("nobody started the matcher again")


def test_a_real_morning_is_replayed(exchange: CommandLine) -> None:
    if not DATA.is_file():
        pytest.skip(f"no NASDAQ day at {DATA}: it may not be published with the code")
    demo = exchange.run("demo", "--lobster", str(DATA), "--limit", "150")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "runs traded exactly as on NASDAQ" in demo.stdout
    assert AUDIT_HOLDS in demo.stdout


def test_the_audit_by_itself_agrees(exchange: CommandLine) -> None:
    audit = exchange.run("audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert AUDIT_HOLDS in audit.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--product", "XXX-YYY"), "There is no product XXX-YYY"),
        (("--lobster", "nowhere.zip"), "There is no file nowhere.zip"),
    ],
)
def test_what_can_not_be_done_is_said_in_a_sentence(
    exchange: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    demo = exchange.run("demo", *arguments)
    assert demo.returncode == 1
    assert said in demo.stdout
    assert "Traceback" not in demo.stdout + demo.stderr


def put(exchange: CommandLine, stream: str, product_id: str, data: bytes) -> None:
    """Put a record into a stream of this exchange."""
    stack = json.loads((exchange.home / "stack.json").read_text())
    kinesis = boto3.client(
        "kinesis",
        endpoint_url=stack["aws_endpoint_url"],
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    kinesis.put_record(StreamName=stack["streams"][stream], PartitionKey=product_id, Data=data)


def test_a_record_that_nobody_can_read_is_nothing_to_the_audit(exchange: CommandLine) -> None:
    put(exchange, "orders", "ACME-USD", b"poison")
    audit = exchange.run("audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert AUDIT_HOLDS in audit.stdout


def test_a_log_of_another_release_is_said_to_be_one(exchange: CommandLine) -> None:
    """The last test of this exchange: its matcher stops at rules that nobody knows."""
    switch = encode_commands("EUR-USD", [Command(Op.RULES_VERSION, b"rules-version-02", rules_version=2)])
    unknown = b"XEVT" + (99).to_bytes(2, "little") + bytes(90)
    for stream, data, said in (
        ("orders", switch, "the log asks for rules version 2"),
        ("executions", unknown, "version 99 "),
    ):
        put(exchange, stream, "EUR-USD", data)
        audit = exchange.run("audit", "--wait", "1")
        text = " ".join(audit.stdout.split())
        assert audit.returncode == 1
        assert said in text, text
        assert "Audit with a release that knows this version" in text
        assert "Traceback" not in audit.stdout + audit.stderr
