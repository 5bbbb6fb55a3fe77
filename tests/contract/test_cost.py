"""The published idle cost adds up, and counts what the templates make."""

import re
from decimal import Decimal
from typing import Any

from infra.deploy.stages import read_stage
from tests.contract.cloud_definition import ROOT, nested_template, resources

PRODUCTS = 4


def _rows() -> dict[str, dict[int, Decimal]]:
    found = {}
    for line in (ROOT / "docs/cost.md").read_text().splitlines():
        cells = [cell.strip().strip("*") for cell in line.strip("|").split("|")]
        if len(cells) == 4 and re.fullmatch(r"[0-9.]+", cells[2]):
            found[cells[0]] = {1: Decimal(cells[2]), 2: Decimal(cells[3])}
    return found


def test_the_sum_is_the_sum() -> None:
    rows = _rows()
    total = rows.pop("Sum")
    assert len(rows) > 10
    for column in (1, 2):
        assert total[column] == sum(row[column] for row in rows.values())


def test_the_matcher_is_counted_as_it_is_deployed() -> None:
    for column, stage in ((1, "dev"), (2, "prod")):
        told = read_stage(stage).parameters
        tasks, cpu, memory = (int(told[f"Matcher{name}"]) for name in ("DesiredCount", "Cpu", "Memory"))
        hourly = Decimal(cpu) / 1024 * Decimal("0.04048") + Decimal(memory) / 1024 * Decimal("0.004445")
        expected = (tasks * hourly * 730).quantize(Decimal("0.01"))
        assert abs(_rows()["Matcher on Fargate"][column] - expected) <= Decimal("0.02")


def test_shards_and_their_readers_are_counted_as_they_are_deployed() -> None:
    hour = Decimal("0.015") * 730
    for column, stage in ((1, "dev"), (2, "prod")):
        told = read_stage(stage).parameters
        orders, executions = (int(told.get(f"{name}Shards", "1")) for name in ("Orders", "Executions"))
        readers = 2 * executions + (orders if told.get("MatcherFanOut") == "true" else 0)
        assert _rows()["Kinesis shards"][column] == (orders + executions) * hour
        assert _rows()["Enhanced fan-out"][column] == readers * hour


def test_keys_and_alarms_are_counted_as_they_are_deployed() -> None:
    assert _rows()["KMS keys"][1] == len(resources(nested_template("data"), "AWS::KMS::Key"))
    alarms = resources(nested_template("monitoring"), "AWS::CloudWatch::Alarm")
    # An alarm costs by the metrics that it looks at; a query looks at one of each product.
    metrics = sum(_metrics(alarm["Properties"]) for alarm in alarms.values())
    assert _rows()["Alarms"][1] == metrics * Decimal("0.10")


def _metrics(alarm: dict[str, Any]) -> int:
    if "Metrics" not in alarm:
        return 1
    return sum(1 for metric in alarm["Metrics"] if "MetricStat" in metric) or PRODUCTS
