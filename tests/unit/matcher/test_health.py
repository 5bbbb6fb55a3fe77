"""The health page answers what the container's check needs."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from matcher.health import HealthServer


class Page:
    """A served page whose report a test may change."""

    def __init__(self) -> None:
        self.healthy = True
        self.server = HealthServer(0, lambda: (self.healthy, {"role": "standby"}))
        self.server.start()

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{path}", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def page() -> Iterator[Page]:
    served = Page()
    yield served
    served.server.stop()


def test_healthy_is_200_and_says_the_role(page: Page) -> None:
    assert page.get("/health") == (200, {"role": "standby", "healthy": True})


def test_unhealthy_is_503(page: Page) -> None:
    page.healthy = False
    assert page.get("/health")[0] == 503


def test_there_is_nothing_else(page: Page) -> None:
    assert page.get("/")[0] == 404
