"""Tables restored to moments that differ have part of a transaction: the audit names it, whichever part it is."""

import random

import pytest

from tests.simulation.run import Simulation


class Torn(Simulation):
    """A run in which, once everything has ended and agreed, some tables lose their part of the last transaction."""

    torn: tuple[str, ...] = ()
    named: frozenset[str] = frozenset()

    def _count(self) -> None:
        super()._count()
        assert not self.verdict.breaches
        before = next(c for c in reversed(self.cloud.dynamodb.last_commits) if len({name for name, _ in c}) > 1)
        tables = sorted({name for name, _ in before})
        draw = random.Random(f"{self.plan.seed}/torn")
        self.torn = tuple(draw.sample(tables, draw.randint(1, len(tables) - 1)))
        self.cloud.dynamodb.tear([place for place in before if place[0] in self.torn], before)
        self._check(quiet=True)
        self.named = frozenset(breach.invariant for breach in self.verdict.breaches)
        self.verdict.breaches.clear()


@pytest.mark.parametrize("seed", range(1, 41))
def test_a_torn_transaction_is_named(seed: int) -> None:
    simulation = Torn(seed)
    simulation.run()
    assert simulation.named, simulation.torn
