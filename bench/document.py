"""The trading part of docs/benchmarks.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from bench.costs import BILL, MILLION, Phase, dollars_a_million
from bench.load import Run, median_of, percentile
from bench.market_data import Rebuilt, section
from bench.page import table

HEAD = """
## Trading on a laptop

Made by `make bench`, which starts a laptop cloud of its own. {machine}. Measured on {day}.
"""

SPEED = """

Each client is a customer of its own who sends the next order when the last is answered. Each order is a limit order
that takes from a large resting one, so each is a trade with two fills that must be settled. Medians of {runs} runs of
{orders} orders; percentiles over all orders of these runs. The clients run on the same cores as the exchange.

- *accepted*: from POST to its answer: signature, checks, hold and order in one transaction, command on Kinesis.
- *settled*: from POST until `GET /orders/{{id}}` says so, asked every {poll} ms in runs of their own, since asking
  takes processor time too.
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


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured."""

    machine: str
    runs: Mapping[int, Sequence[Run]]
    latencies: Mapping[int, Sequence[float]]
    phases: Sequence[Phase]
    orders: int
    poll_seconds: float
    rebuilt: Rebuilt


def document(measured: Measured) -> str:
    """The whole part."""
    runs = len(next(iter(measured.runs.values())))
    poll = round(measured.poll_seconds * 1000)
    parts = [HEAD.format(machine=measured.machine, day=date.today().isoformat())]  # noqa: DTZ011 - a day is enough.
    parts.append(SPEED.format(runs=runs, orders=measured.orders, poll=poll))
    parts.append(table(_speed(measured)))
    parts.append(_limits(measured))
    parts.append(section(measured.rebuilt))
    parts.append(COST)
    parts.append(table(_requests(measured.phases)))
    parts.append(CAPACITY)
    parts.append(table(_units(measured.phases)))
    parts.append(BILL_HEAD)
    parts.append(table(_bill(measured.phases)))
    parts.append(_kinds(measured.phases))
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _speed(measured: Measured) -> Iterator[Sequence[str]]:
    yield "clients", "accepted a second", "settled a second", "accepted p50", "p99", "settled p50", "p99"
    for clients, runs in measured.runs.items():
        accepted = [seconds for run in runs for seconds in run.accepted_seconds]
        settled = measured.latencies[clients]
        yield (
            str(clients),
            f"{median_of(runs, lambda run: run.accepted_rate):.0f}",
            f"{median_of(runs, lambda run: run.settled_rate):.0f}",
            *(f"{percentile(accepted, percent) * 1000:.0f} ms" for percent in (50, 99)),
            *(f"{percentile(settled, percent) * 1000:.0f} ms" for percent in (50, 99)),
        )


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
