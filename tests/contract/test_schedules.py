"""Every schedule of the template is run by the laptop's clock too, and stands in the table of docs/laptop.md."""

import importlib
import os
import re
from typing import Any

import pytest

from tests.contract.cloud_definition import ROOT, functions, resources, root_template

SCHEDULES = resources(root_template(), "AWS::Scheduler::Schedule")
PAGE = ROOT / "docs/laptop.md"
# What a schedule waits for that is not always on, in the words of the page.
OFF_UNLESS = {
    "": "",
    "ChainRail": "`ChainRail`: on a laptop always",
    "StripeRail": "`StripeRail`: `EXCHANGE_STRIPE=on`",
    "BankFilesRail": "`BankFilesRail`: `EXCHANGE_BANK_FILES=on`",
}


def row_of(properties: dict[str, Any]) -> tuple[str, str, str, str]:
    """A schedule's row: its name, when, the function that it wakes, and what it waits for."""
    name = properties["Name"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
    woken = properties["Target"]["Arn"]["Fn::GetAtt"][0]
    (function,) = [each.name for each in functions() if each.logical_id == woken]
    state = properties.get("State", {"Fn::If": ["", "ENABLED", "DISABLED"]})
    condition, *states = state["Fn::If"]
    assert states == ["ENABLED", "DISABLED"], name
    return name, properties["ScheduleExpression"], function, OFF_UNLESS[condition]


def rows() -> list[tuple[str, str, str, str]]:
    """Every schedule's row."""
    return sorted(row_of(resource["Properties"]) for resource in SCHEDULES.values())


def test_every_schedule_is_in_the_table_and_no_other() -> None:
    section = PAGE.read_text().split("## The clock", 1)[1].split("\n## ", 1)[0]
    found = re.findall(r"^\| `([a-z-]+)` \| `([^`]+)` \| `([a-z-]+)` \| (.*?) ?\|$", section, re.MULTILINE)
    assert found == rows()


def test_only_schedules_wake_functions_named_so_and_each_one_does() -> None:
    woken = [function for _, _, function, _ in rows()]
    assert sorted(woken) == sorted(each.name for each in functions() if each.name.endswith("-schedule"))


@pytest.mark.parametrize("expression", sorted({when for _, when, _, _ in rows()}))
def test_the_laptops_clock_reads_the_expression(expression: str) -> None:
    # One that it can't read it passes over in silence.
    os.environ.setdefault("MINISTACK_TEST_NO_AUTOSTART", "1")
    clock = importlib.import_module("ministack.services.eventbridge")
    assert clock._parse_rate_seconds(expression) or clock._parse_cron_fields(expression)
    assert not clock._parse_rate_seconds("rate(soon)")
    assert not clock._parse_cron_fields("cron(soon)")
