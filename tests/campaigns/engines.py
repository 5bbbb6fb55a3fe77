"""Random commands through both engines: `python -m tests.campaigns.engines --commands 10000000`.

Work is cut into stripes, each with a seed, a kind of flow and a product of its own, run by several processes. A stripe
that differs is cut down to the shortest prefix that does, and then to the commands in it that matter; what is printed
replays it. A run that was stopped goes on with `--first` at the stripe it names.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Final

from exchange.messages import Command, ProductParameters, encode_commands

from matcher.engine import ProductSpec
from matcher.engine.fast.engine import IS_COMPILED
from matcher.engine.fast.engine import Engine as FastEngine
from matcher.engine.reference import Engine as ReferenceEngine
from tests.properties.engine_flow import ODD_LOT_PRODUCT, PRODUCT, Flow

STRIPE: Final = 20_000
RECORD: Final = 500
_DEEP: Final = ProductSpec.from_parameters(
    "DEEP-USD", ProductParameters("DEEP", "USD", "0.1", "0.01", "0.1", "1000", "1", "10.00", "")
)
_PRODUCTS: Final = (PRODUCT, ODD_LOT_PRODUCT, PRODUCT, _DEEP)

# Whether two engines differ after these commands.
Differs = Callable[[ProductSpec, Sequence[Command]], bool]


@dataclass(frozen=True, slots=True)
class Difference:
    """The commands after which the engines of a stripe say different things, and those of them that matter."""

    stripe: int
    prefix: int
    commands: list[Command]

    def __str__(self) -> str:
        shown = "\n".join(f"    {command}" for command in self.commands)
        return (
            f"stripe {self.stripe} differs at its command {self.prefix}; these are enough:\n{shown}\n"
            f"again: python -m tests.campaigns.engines --first {self.stripe} --commands {STRIPE}"
        )


def product_of(stripe: int) -> ProductSpec:
    """The product that a stripe trades."""
    return _PRODUCTS[stripe % len(_PRODUCTS)]


def flow_of(stripe: int) -> Flow:
    """The commands of a stripe: one in eight is of gateways that never lie, one in four of a deep book."""
    return Flow(Random(stripe), hostile=stripe % 8 != 0, is_deep=product_of(stripe) is _DEEP)


def run_stripe(stripe: int, count: int) -> Difference | None:
    """Send a stripe through both engines, a record at a time; at half time each goes on from the other's snapshot."""
    product, flow = product_of(stripe), flow_of(stripe)
    reference, fast = ReferenceEngine(product), FastEngine(product)
    done = 0
    while done < count:
        commands = _commands(flow, min(RECORD, count - done))
        record = encode_commands(product.product_id, commands)
        if fast.apply_record(record) != reference.apply_record(record):
            return find(stripe, done + len(commands), differ)
        done += len(commands)
        if done == count or done * 2 // RECORD == count // RECORD:
            ours, theirs = fast.snapshot(), reference.snapshot()
            if ours != theirs:
                return find(stripe, done, differ)
            fast, reference = FastEngine.restore(theirs), ReferenceEngine.restore(ours)
    return None


def _commands(flow: Flow, count: int) -> list[Command]:
    return [flow.command() for _ in range(count)]


def differ(product: ProductSpec, commands: Sequence[Command]) -> bool:
    """Whether the engines differ in an answer or in the state that is left."""
    reference, fast = ReferenceEngine(product), FastEngine(product)
    if any(fast.apply_packed(command) != reference.apply_packed(command) for command in commands):
        return True
    return fast.snapshot() != reference.snapshot()


def find(stripe: int, count: int, differs: Differs) -> Difference:
    """Cut a stripe that differs within `count` commands down."""
    product = product_of(stripe)
    commands = _commands(flow_of(stripe), count)
    least, most = 0, count
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if differs(product, commands[:middle]) else (middle + 1, most)
    kept = commands[:most]
    size = len(kept) // 2
    while size:
        start = 0
        while start < len(kept):
            shorter = kept[:start] + kept[start + size :]
            if differs(product, shorter):
                kept = shorter
            else:
                start += size
        size //= 2
    return Difference(stripe, most, kept)


def campaign(first: int, commands: int, processes: int, say: Callable[[str], None]) -> Difference | None:
    """Run stripes from `first` on until `commands` were compared; the first difference ends it."""
    stripes = range(first, first - (-commands // STRIPE))
    sizes = [min(STRIPE, commands - STRIPE * index) for index in range(len(stripes))]
    started = time.monotonic()
    with ProcessPoolExecutor(processes) as executor:
        for stripe, size, found in zip(stripes, sizes, executor.map(run_stripe, stripes, sizes), strict=True):
            if found is not None:
                executor.shutdown(cancel_futures=True)
                return found
            if (stripe - first + 1) % 25 == 0 or size < STRIPE:
                seconds = time.monotonic() - started
                say(f"stripes {first} to {stripe}: no difference after {seconds:.0f} s")
    say(f"{commands} commands in {len(stripes)} stripes from {first} on: no difference")
    return None


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Random commands through both engines.")
    parser.add_argument("--commands", type=int, default=1_000_000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first stripe, which is its seed too")
    parser.add_argument("--processes", type=int, default=2, help="how many stripes at a time")
    options = parser.parse_args()
    say(f"the fast engine is {'compiled' if IS_COMPILED else 'interpreted'}")
    found = campaign(options.first, options.commands, options.processes, say)
    if found is not None:
        say(str(found))
    return int(found is not None)


def say(text: str) -> None:
    """Tell who watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
