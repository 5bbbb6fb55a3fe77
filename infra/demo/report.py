"""What a run prints at its end."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from infra.demo.accounting import AccountLine, AssetLine, amount
from infra.demo.client import Traffic
from infra.demo.desk import Ending, Tally
from infra.demo.money import Shown
from infra.demo.replay import Comparison

FAULTS_SHOWN_MAX = 10


def show_orders(console: Console, tally: Tally, traffic: Traffic, ending: Ending) -> None:
    """Orders sent, what was said to them, and how they ended."""
    grid = Table.grid(padding=(0, 2))
    rate = f", {tally.sent / tally.seconds:,.0f} a second" if tally.seconds else ""
    grid.add_row("orders sent", f"{tally.sent:,}", f"in {tally.seconds:,.1f} s{rate}; {traffic.requests:,} requests")
    grid.add_row("  accepted", f"{len(tally.accepted):,}", _listed(ending.statuses))
    grid.add_row("  refused", f"{tally.refused.total():,}", _listed(dict(tally.refused.most_common())))
    if tally.unknown:
        grid.add_row("  unknown", f"{len(tally.unknown):,}", "")
    grid.add_row("cancels sent", f"{tally.cancels:,}", f"{tally.cancels_late:,} came too late")
    if tally.repeats:
        grid.add_row("sent twice", f"{tally.repeats:,}", f"{len(tally.doubled)} made a second order")
    if traffic.repeated:
        grid.add_row("tried again", f"{traffic.repeated:,}", f"{traffic.asked:,} unknown outcomes asked for")
    if ending.live:
        grid.add_row("left open", f"{ending.live:,}", "")
    console.print(grid)


def _listed(counts: object) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in dict(counts).items())  # type: ignore[call-overload]


def show_trades(console: Console, trades: int, fills: int) -> None:
    """Trades, and both of their sides in the customers' fills."""
    console.print(f"trades        {trades:,}; settled: {fills:,} fills in the customers' accounts")


def show_accounts(console: Console, lines: Sequence[AccountLine]) -> None:
    """Each balance, and whether the fills explain it."""
    table = Table("customer", "asset", box=None, header_style="bold", pad_edge=False)
    for title in ("before", "after", "change", "by its fills", "unexplained"):
        table.add_column(title, justify="right")
    for line in lines:
        if line.before == line.after and not line.by_fills:
            continue
        table.add_row(
            line.customer,
            line.asset,
            amount(line.before),
            amount(line.after),
            amount(line.after - line.before),
            amount(line.by_fills),
            _verdict(line.unexplained),
        )
    console.print(table)


def show_assets(console: Console, lines: Sequence[AssetLine]) -> None:
    """Each asset over all customers: what was there is there, or was paid in fees."""
    table = Table("asset", box=None, header_style="bold", pad_edge=False)
    for title in ("all before", "all after", "fee income", "missing"):
        table.add_column(title, justify="right")
    for line in lines:
        table.add_row(line.asset, amount(line.before), amount(line.after), amount(line.fees), _verdict(line.missing))
    console.print(table)


def show_money(console: Console, shown: Sequence[Shown]) -> None:
    """Each payment, what became of it, and whether its transfer explains what it moved."""
    table = Table("payment", "asset", "what became of it", box=None, header_style="bold", pad_edge=False)
    for title in ("moved", "unexplained"):
        table.add_column(title, justify="right")
    for each in shown:
        table.add_row(each.title, each.asset, each.story, amount(each.moved), _verdict(each.unexplained))
    console.print(table)


def _verdict(difference: int) -> str:
    return f"[red]{amount(difference)}[/]" if difference else "[green]0[/]"


def show_comparison(console: Console, found: Comparison, kinds: str) -> None:
    """How the replay's executions compare with NASDAQ's."""
    console.print(f"rows          {kinds}")
    same = found.runs - len(found.differing)
    console.print(f"executions    {same:,} of {found.runs:,} runs traded exactly as on NASDAQ, {found.shares:,} shares")
    show_faults(console, found.differing)


def show_faults(console: Console, faults: Sequence[str]) -> None:
    """What is wrong, the first of it in full."""
    for fault in faults[:FAULTS_SHOWN_MAX]:
        console.print(fault, style="red", markup=False)
    if len(faults) > FAULTS_SHOWN_MAX:
        console.print(f"... and {len(faults) - FAULTS_SHOWN_MAX} more", style="red")
