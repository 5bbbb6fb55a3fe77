"""What holds for every test: each has a name of its own. And how long `make fuzz` asks."""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# No test asserts a time: what takes a moment longer on a busy machine has failed nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse two tests of one id: xdist would run one of them and call both passed."""
    twice = [name for name, times in Counter(item.nodeid for item in items).items() if times > 1]
    if twice:
        raise pytest.UsageError(f"{len(twice)} ids stand for more than one test each: {', '.join(twice[:5])}")
