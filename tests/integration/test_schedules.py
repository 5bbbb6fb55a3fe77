"""The laptop's clock: it has every schedule of the template, and what is due wakes its function."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from exchange.kernel.clock import iso_utc

from tests.contract.test_schedules import rows
from tests.integration.conftest import RunningLaptop

pytestmark = pytest.mark.cloud
Eventually = Callable[[Callable[[], Any]], Any]


def test_the_laptop_has_every_schedule_and_each_wakes_its_function(laptop: RunningLaptop) -> None:
    scheduler, stack = laptop.client("scheduler"), laptop.stack["stack_name"]
    found = {}
    for listed in scheduler.list_schedules()["Schedules"]:
        each = scheduler.get_schedule(Name=listed["Name"])
        found[each["Name"]] = (each["State"], each["ScheduleExpression"], each["Target"]["Arn"].rpartition(":")[2])
    # Both rails are on here, and a chain is followed.
    assert found == {f"{stack}-{name}": ("ENABLED", when, f"{stack}-{function}") for name, when, function, _ in rows()}


def test_what_is_due_wakes_its_function(laptop: RunningLaptop, eventually: Eventually) -> None:
    scheduler, dynamodb = laptop.client("scheduler"), laptop.client("dynamodb")
    like = scheduler.get_schedule(Name=f"{laptop.stack['stack_name']}-closing")
    closings = laptop.stack["tables"]["closings"]

    def closed() -> int:
        return int(dynamodb.scan(TableName=closings, Select="COUNT", ConsistentRead=True)["Count"])

    before, name = closed(), f"once-{uuid.uuid4().hex}"
    scheduler.create_schedule(
        Name=name,
        ScheduleExpression=f"at({iso_utc(time.time_ns())[:19]})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": like["Target"]["Arn"],
            "RoleArn": like["Target"]["RoleArn"],
            "Input": json.dumps({"now": True}),
        },
    )
    eventually(lambda: closed() > before)

    def gone() -> bool:
        try:
            scheduler.get_schedule(Name=name)
        except ClientError as error:
            return bool(error.response["Error"]["Code"] == "ResourceNotFoundException")
        return False

    eventually(gone)
