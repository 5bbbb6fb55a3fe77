"""docs/scaling.md: `make scaling` reckons it anew from what was measured; with `--count` deposits and messages too."""

import argparse
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from bench.capacity import Asked, Limit, Mix, Needs, crowd, limits, needs, read_counts, trades_a_part
from bench.costs import Phase
from bench.page import PAGE, read_parts, replace_part, table
from bench.quotas import QUOTAS, Quota

SCALING: Final = PAGE.with_name("scaling.md")
KEPT: Final = ("request ", "invocation ", "cpu ", "read ", "write ", "put units ")
# The busiest of so many products and customers has this part of all orders.
MIXES: Final[Mapping[int, Mix]] = {
    100: Mix(products=4, busiest_product=0.5, busiest_customer=0.1),
    10_000: Mix(products=100, busiest_product=0.2, busiest_customer=0.05),
    1_000_000: Mix(products=2_000, busiest_product=0.05, busiest_customer=0.01),
}

COUNTS: Final = """
Counted on {day} by `make scaling OPTIONS=--count` on a laptop cloud; a deposit is asked for twice until it is there,
and a message is what one listener more adds to a trade.

{table}
<!-- counted: {counted} -->
"""

NEEDS: Final = """
Every order is one request (no batches). Dollars are a month at that rate without a pause, list price, first tier.

{table}
"""

LIMITS: Final = """
### Which limit comes first, at {rate} orders a second

The rate of orders a second at which each is reached: {products} products, of which the busiest has {busiest} of all
orders, and the busiest customer {customer}. Bold ones are below the rate: these change first.

{table}
"""

QUOTAS_HEAD: Final = """
### The quotas

Defaults of us-east-1; look at your own account's under Service Quotas first.

{table}
"""


def main() -> None:
    """Write the page's parts."""
    parser = argparse.ArgumentParser(prog="bench.scaling", description=__doc__)
    parser.add_argument("--count", action="store_true", help="count deposits and messages on a laptop cloud again")
    parser.add_argument("--page", type=Path, default=SCALING)
    options = parser.parse_args()
    if options.count:
        from bench.beside import count_apart

        replace_part(options.page, "counts", counts_part(count_apart()))
    replace_part(options.page, "capacity", capacity_part(asked(PAGE, options.page)))
    print(f"Written: {options.page}")


def asked(benchmarks: Path, scaling: Path) -> Asked:
    """What was measured, from the two pages."""
    found = re.search(r"<!-- counted: (.*?) -->", read_parts(scaling)["counts"])
    if found is None:
        raise ValueError(f"{scaling.name} has no counts: make scaling OPTIONS=--count")
    deposit, message = (Phase(title, counts) for title, counts in json.loads(found[1]).items())
    return crowd(read_counts(read_parts(benchmarks)["trading"]), deposit, message)


def counts_part(phases: Sequence[Phase]) -> str:
    """The counted part: a table for people, and the same as JSON for the next reckoning."""
    counted = {
        phase.title: {
            name: round(amount, 4)
            for name, amount in sorted(phase.counts.items())
            if amount >= 0.0005 and name.startswith(KEPT)
        }
        for phase in phases
    }
    names = sorted({name for counts in counted.values() for name in counts})
    rows = [("asked for", *counted)]
    rows += [(name, *(f"{counts[name]:g}" if name in counts else "" for counts in counted.values())) for name in names]
    day = date.today().isoformat()  # noqa: DTZ011 - a day is enough.
    return COUNTS.format(day=day, table=table(rows).rstrip(), counted=json.dumps(counted))


def capacity_part(measured: Asked) -> str:
    """The reckoned part; the same measurements always give the same text."""
    parts = [NEEDS.format(table=table(_needs(measured)).rstrip())]
    for rate, mix in MIXES.items():
        rows = table(_limits(limits(measured, mix), rate)).rstrip()
        shares = {"busiest": f"{mix.busiest_product:.0%}", "customer": f"{mix.busiest_customer:.0%}"}
        parts.append(LIMITS.format(rate=f"{rate:,}", products=f"{mix.products:,}", table=rows, **shares))
    parts.append(QUOTAS_HEAD.format(table=table(_quotas(QUOTAS)).rstrip()))
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _needs(measured: Asked) -> Iterator[Sequence[str]]:
    found = {rate: needs(rate, measured, mix) for rate, mix in MIXES.items()}
    yield ("orders a second", *(f"{rate:,}" for rate in found))
    for title, figure in ROWS.items():
        yield (title, *(figure(each) for each in found.values()))
    yield ("dollars for a million orders", *(f"{_million(each, rate):.2f}" for rate, each in found.items()))
    yield ("trades in one transaction of settlement", *(str(trades_a_part(measured)) for _ in found))


def _million(each: Needs, rate: float) -> float:
    return each.dollars / (rate * 730 * 3600) * 1_000_000


def _count(amount: float) -> str:
    return f"{amount:,.0f}"


ROWS: Final[Mapping[str, Callable[[Needs], str]]] = {
    "API Gateway: requests a second": lambda each: _count(each.requests),
    "WebSocket posts a second": lambda each: _count(each.posts),
    "Lambda: functions at once": lambda each: _count(each.concurrency),
    "orders stream: shards": lambda each: _count(each.orders_shards),
    "executions stream: shards": lambda each: _count(each.executions_shards),
    "matcher tasks (4 vCPU), standbys included": lambda each: _count(each.tasks),
    "DynamoDB: write units a second": lambda each: _count(each.writes),
    "of them in the busiest table, with its indexes": lambda each: _count(max(each.table_writes.values())),
    "DynamoDB: read units a second": lambda each: _count(each.reads),
    "dollars a month, tables on demand": lambda each: _count(each.dollars),
    "dollars a month, tables provisioned and 70 % used": lambda each: _count(each.dollars_provisioned),
}


def _limits(found: Sequence[Limit], rate: float) -> Iterator[Sequence[str]]:
    yield "limit", "reached at", "what then"
    for limit in found:
        mark = "**" if limit.reached_at < rate else ""
        yield limit.quota.name, f"{mark}{_count(limit.reached_at)}{mark}", limit.what_then


def _quotas(found: Sequence[Quota]) -> Iterator[Sequence[str]]:
    yield "what", "figure", "", "raised by asking", "from", "looked at"
    for quota in found:
        kind = "assumed" if quota.assumed else "yes" if quota.raised_by_asking else "no"
        yield quota.name, f"{quota.figure:,.0f}", quota.unit, kind, quota.source, quota.seen.isoformat()


if __name__ == "__main__":
    main()
