"""Check every invariant, in the order an auditor would."""

from collections.abc import Callable, Iterator

from exchange.audit import chain_checks, closing_checks, ledger_checks, log_checks, statement_checks, trade_checks
from exchange.audit.model import Finding, World

CHECKS: tuple[Callable[[World], Finding], ...] = (
    ledger_checks.zero_sum,
    ledger_checks.batches_sum_to_zero,
    ledger_checks.no_negatives,
    ledger_checks.journal_explains_balances,
    ledger_checks.journal_is_chained,
    statement_checks.statements_are_the_journal,
    closing_checks.closed_is_closed,
    ledger_checks.transfers_are_posted,
    ledger_checks.held_is_owed,
    ledger_checks.holds_end_with_orders,
    chain_checks.custody_is_what_was_credited,
    chain_checks.chains_have_what_arrived,
    trade_checks.fills_are_exact,
    trade_checks.trades_keep_limits,
    trade_checks.done_is_final,
    trade_checks.trades_settled_once,
    log_checks.log_is_gapless,
    log_checks.epochs_rise,
    log_checks.replay_agrees,
    log_checks.accepted_is_published,
    log_checks.everybody_has_caught_up,
)


def check(world: World) -> Iterator[Finding]:
    """What each invariant says of the world, one after the other."""
    for invariant in CHECKS:
        yield invariant(world)
