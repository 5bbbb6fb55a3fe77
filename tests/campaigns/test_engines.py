"""A slice of the campaign over random commands, and that it finds and shows what differs."""

from collections.abc import Sequence

from exchange.messages import Command, Op

from matcher.engine import ProductSpec
from tests.campaigns.engines import STRIPE, find, flow_of, product_of, run_stripe

STRIPES = 5


def test_a_hundred_thousand_random_commands_give_no_difference() -> None:
    found = [run_stripe(stripe, STRIPE) for stripe in range(1, STRIPES + 1)]
    assert not list(filter(None, found))


def test_a_difference_is_cut_down_to_the_commands_that_matter() -> None:
    def third_mass_cancel(_: ProductSpec, commands: Sequence[Command]) -> bool:
        return sum(command.op == Op.CANCEL_ALL for command in commands) >= 3

    found = find(1, 2_000, third_mass_cancel)
    flow = flow_of(1)
    prefix = [flow.command() for _ in range(found.prefix)]
    assert third_mass_cancel(product_of(1), prefix)
    assert not third_mass_cancel(product_of(1), prefix[:-1])
    assert [command.op for command in found.commands] == [Op.CANCEL_ALL] * 3
    assert "--first 1" in str(found)
