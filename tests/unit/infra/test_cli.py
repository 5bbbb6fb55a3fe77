"""The command line where nothing runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.main import app


def _run(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments, env={"EXCHANGE_HOME": str(home), "CLOUD": "", "COLUMNS": "200"})
    return result.exit_code, result.output


def test_help_names_the_commands(tmp_path: Path) -> None:
    code, text = _run(tmp_path, "--help")
    assert code == 0
    assert {"up", "down", "status", "logs"} <= set(text.split())


def test_status_where_nothing_runs_says_how_to_start(tmp_path: Path) -> None:
    code, text = _run(tmp_path, "status")
    assert code == 1
    assert "make up" in text


def test_down_where_nothing_runs_is_harmless(tmp_path: Path) -> None:
    code, text = _run(tmp_path, "down")
    assert code == 0
    assert text.endswith("Nothing was running.\n")


def test_what_a_dead_start_left_behind_does_not_count_as_running(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"ports": {}}', encoding="utf-8")
    record = {"name": "cloud", "pid": 2**22 + 1, "started": 1.0, "log": "x"}
    (tmp_path / "processes.json").write_text(json.dumps([record]), encoding="utf-8")
    code, text = _run(tmp_path, "status")
    assert code == 1
    assert "ended" in text
    _run(tmp_path, "down")
    assert list(tmp_path.iterdir()) == []


def test_logs_of_something_unknown_names_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "logs" / "functions").mkdir(parents=True)
    (tmp_path / "logs" / "functions" / "exchange-local-trading-api.log").write_text("one\ntwo\n")
    code, text = _run(tmp_path, "logs", "trading")
    assert code == 1
    assert "trading-api" in text
    assert _run(tmp_path, "logs", "trading-api", "--lines", "1") == (0, "two\n")


def test_an_impossible_port_is_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["up"], env={"EXCHANGE_HOME": str(tmp_path), "EXCHANGE_PORT": "x"})
    assert result.exit_code == 1
    assert result.output.strip() == "EXCHANGE_PORT=x is no port: use a number from 1 to 65535."


ABOUT_A_STACK = [
    *("fees", "books", "reconcile", "debts", "bank", "chains", "operator", "settlement", "rebuild"),
    *("release ACME-USD", "phase ACME-USD halted"),
]


@pytest.mark.parametrize("command", ABOUT_A_STACK)
def test_a_command_where_nothing_runs_says_how_to_start_or_to_name_a_stack(tmp_path: Path, command: str) -> None:
    code, text = _run(tmp_path, *command.split())
    assert code == 1
    assert "make up" in text
    assert "--stack" in text


def test_a_stack_in_no_region_is_asked_for_its_region(tmp_path: Path) -> None:
    told = {"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_CONFIG_FILE": str(tmp_path / "none")}
    result = CliRunner().invoke(app, ["books", "--stack", "x"], env={**told, "EXCHANGE_HOME": str(tmp_path)})
    assert result.exit_code == 1
    assert "AWS_REGION" in result.output
