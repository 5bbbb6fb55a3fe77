"""The trading part of docs/benchmarks.md."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bench.costs import BILL, MILLION, Phase, dollars_a_million
from bench.load import Run, median_of, percentile
from bench.market_data import Rebuilt, section
from bench.page import table
from bench.sockets import Delays

HEAD = """
## Trading on a laptop

Made by `make bench`, which starts a laptop cloud of its own. {machine}. Measured on {day}, in {minutes:.0f} minutes.
"""

SPEED = """

Each client is a customer of its own who sends the next order when the last is answered. Each order is a limit order
that takes from a large resting one, so each is a trade with two fills that must be settled. Medians of {runs} runs of
{orders} orders; percentiles over all orders of these runs. The clients run on the same cores as the exchange.

- *accepted*: from POST to its answer: signature, checks, hold and order in one transaction, command on Kinesis.
- *settled*: from POST until `GET /orders/{{id}}` says so, asked every {poll} ms in runs of their own, since asking
  takes processor time too.
"""

SOCKETS = """
From a trade to its message on the WebSocket's `matches`: {trades} trades one after the other, one listener. The trade's
own time is that of its command on the orders stream, by the same clock.
"""

LIMITS = """
What limits it: processor time. With {clients} clients these used, in cores:

{table}

{verdict}
On AWS these are services of their own that scale by themselves; there the limits of one market are its Kinesis shard
(1,000 records a second, or with batches over 10,000 orders) and its one matcher.
"""

COST = """
### What an order asks of AWS

Counted from the real calls of functions, matcher and gateway, all of which go through one counter
(`bench/counting_cloud.py`); what goes on when nobody trades is subtracted (it is in [cost.md](cost.md)). One order at a
time, so nothing is batched, but in the last column: there the streams deliver many orders to one invocation. A trade is
an order that rests and one that takes.
"""

CAPACITY = """
DynamoDB's capacity units by table, `indexes` being what its global secondary indexes add. A transaction's writes count
twice.
"""

BILL_HEAD = """
### Dollars for a million orders

List prices of us-east-1, no free tier, on-demand tables, x86. Amounts are those of one order; the sum is of a million.

- Lambda's GB seconds: processor seconds as measured here at 1,769 MB a processor, 5 ms of waiting for each request to
  DynamoDB, Kinesis and KMS at 1 GB, and the wait for the settlement machine at 0.5 GB.
- Logs: 600 bytes an invocation. Traces: 5 in 100. Storage is not in it.
"""


Figures = Mapping[str, Any]  # by name; rates a second, delays in milliseconds
KINDS = ("accepted", "settled")
PERCENTS = (50, 99)


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured."""

    machine: str
    runs: Mapping[int, Sequence[Run]]
    latencies: Mapping[int, Sequence[float]]
    delays: Delays
    phases: Sequence[Phase]
    orders: int
    poll_seconds: float
    rebuilt: Rebuilt
    seconds: float  # how long all of it took


def figures_of(text: str) -> Figures:
    """The figures that a part of the page was made with; none in a part that has none."""
    found = re.search(r"<!-- figures: (.*?) -->", text)
    return json.loads(found.group(1)) if found else {}


def document(measured: Measured, before: Figures) -> str:
    """The whole part. `before` are the figures of the part that it takes the place of."""
    runs = len(next(iter(measured.runs.values())))
    poll = round(measured.poll_seconds * 1000)
    parts = [HEAD.format(machine=measured.machine, day=_today(), minutes=measured.seconds / 60)]
    parts.append(SPEED.format(runs=runs, orders=measured.orders, poll=poll))
    now = _figures(measured)
    parts.append(table(_speed(now, before)))
    parts.append(SOCKETS.format(trades=len(measured.delays.from_trade)))
    parts.append(table(_sockets(now, before)))
    parts.append(_limits(measured))
    parts.append(section(measured.rebuilt))
    parts.append(COST)
    parts.append(table(_requests(measured.phases)))
    parts.append(CAPACITY)
    parts.append(table(_units(measured.phases)))
    parts.append(BILL_HEAD)
    parts.append(table(_bill(measured.phases)))
    parts.append(_kinds(measured.phases))
    parts.append(f"<!-- figures: {json.dumps(now)} -->")
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _figures(measured: Measured) -> Figures:
    figures: dict[str, float | str] = {"day": _today()}
    for clients, runs in measured.runs.items():
        accepted = [seconds for run in runs for seconds in run.accepted_seconds]
        settled = measured.latencies[clients]
        figures |= {
            f"{clients} accepted": median_of(runs, lambda run: run.accepted_rate),
            f"{clients} settled": median_of(runs, lambda run: run.settled_rate),
            **{f"{clients} accepted p{percent}": percentile(accepted, percent) * 1000 for percent in PERCENTS},
            **{f"{clients} settled p{percent}": percentile(settled, percent) * 1000 for percent in PERCENTS},
        }
    for name, seconds in (("trade", measured.delays.from_trade), ("order", measured.delays.from_order)):
        figures |= {f"message after {name} p{percent}": percentile(seconds, percent) * 1000 for percent in PERCENTS}
    return {name: figure if isinstance(figure, str) else round(figure, 1) for name, figure in figures.items()}


def _speed(now: Figures, before: Figures) -> Iterator[Sequence[str]]:
    yield "clients", "accepted a second", "settled a second", "accepted p50", "p99", "settled p50", "p99"
    for clients in [name.split()[0] for name in now if name.endswith(" accepted")]:
        for title, figures in ((clients, now), (f"{clients}, on {before.get('day')}", before)):
            if f"{clients} accepted" in figures:
                yield (
                    title,
                    *(f"{figures[f'{clients} {kind}']:.0f}" for kind in KINDS),
                    *(f"{figures[f'{clients} {kind} p{percent}']:.0f} ms" for kind in KINDS for percent in PERCENTS),
                )


def _sockets(now: Figures, before: Figures) -> Iterator[Sequence[str]]:
    yield "until the message", "p50", "p99"
    for name, words in (("trade", "from the trade"), ("order", "from the sending of the order")):
        for title, figures in ((words, now), (f"{words}, on {before.get('day')}", before)):
            if f"message after {name} p50" in figures:
                yield title, *(f"{figures[f'message after {name} p{percent}']:.0f} ms" for percent in PERCENTS)


def _today() -> str:
    return date.today().isoformat()  # noqa: DTZ011 - a day is enough.


def _limits(measured: Measured) -> str:
    clients, runs = max(measured.runs.items())
    names = runs[0].busy
    shares = {name: median_of(runs, lambda run, name=name: run.busy[name]) for name in names}  # type: ignore[misc]
    ranked = sorted(shares.items(), key=lambda entry: -entry[1])
    rows = [("process", "cores"), *((name, f"{share:.2f}") for name, share in ranked)]
    rows.append(("**sum**", f"**{sum(shares.values()):.2f}**"))
    most, second = ranked[0][0], ranked[1][0]
    verdict = f"Most of it is {most}, then {second}."
    return LIMITS.format(clients=clients, table=table(rows).rstrip(), verdict=verdict)


def _requests(phases: Sequence[Phase]) -> Iterator[Sequence[str]]:
    yield ("requests", *(phase.title for phase in phases))
    names = sorted({name for phase in phases for name in phase.counts if name.startswith(("request ", "invocation "))})
    for name in names:
        shown = name.replace("request TrentService", "request KMS").replace(
            "request AWSStepFunctions", "request States"
        )
        amounts = [_amount(phase.counts.get(name, 0.0)) for phase in phases]
        if any(amounts):
            yield (shown.removeprefix("request "), *amounts)
    for name in sorted({name for phase in phases for name in phase.counts if name.startswith("cpu ")}):
        shares = [_amount(phase.counts.get(name, 0.0) * 1000) for phase in phases]
        if any(shares):
            yield (f"processor ms of {name.removeprefix('cpu ')}", *shares)


def _units(phases: Sequence[Phase]) -> Iterator[Sequence[str]]:
    yield ("units", *(phase.title for phase in phases))
    for name in sorted({name for phase in phases for name in phase.counts if name.startswith(("write ", "read "))}):
        yield (name, *(_amount(phase.counts.get(name, 0.0)) for phase in phases))
    for kind in ("write", "read"):
        yield (f"**all {kind}**", *(f"**{_amount(phase.sum(f'{kind} '))}**" for phase in phases))


def _bill(phases: Sequence[Phase]) -> Iterator[Sequence[str]]:
    yield ("what", "price", *(phase.title for phase in phases))
    for line in BILL:
        amounts = [line.amount(phase) for phase in phases]
        yield (
            line.what,
            line.price,
            *(f"{_fine(amount)} = {amount * line.dollars * MILLION:.2f}" for amount in amounts),
        )
    yield ("**a million**", "", *(f"**{dollars_a_million(phase):.2f}**" for phase in phases))


def _kinds(phases: Sequence[Phase]) -> str:
    rests, cancelled, takes, _ = (dollars_a_million(phase) for phase in phases)
    return (
        f"\nSo a million orders that rest and are cancelled cost {rests + cancelled:.2f} dollars, and a million "
        f"trades, each of an order that rested and one that took, {rests + takes:.2f}; in a crowd less.\n"
    )


def _amount(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value >= 0.005 else ""


def _fine(value: float) -> str:
    return f"{value:.2g}" if value < 0.1 else _amount(value)
