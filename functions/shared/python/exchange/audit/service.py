"""Check every invariant, in the order an auditor would."""

from collections.abc import Callable, Iterator
from typing import Final

from exchange.audit import (
    act_checks,
    award_checks,
    bank_checks,
    bust_checks,
    chain_checks,
    client_checks,
    closing_checks,
    ledger_checks,
    log_checks,
    statement_checks,
    trade_checks,
)
from exchange.audit.model import Finding, World

Check = Callable[[World], Finding]

# What holds after every step, whatever is under way. What it reads is written together, or one before the other.
ALWAYS: Final[tuple[Check, ...]] = (
    ledger_checks.zero_sum,
    ledger_checks.batches_sum_to_zero,
    ledger_checks.no_negatives,
    ledger_checks.journal_explains_balances,
    ledger_checks.journal_is_chained,
    closing_checks.closed_is_closed,
    act_checks.acts_are_chained,
    award_checks.awards_are_earned,
    ledger_checks.transfers_are_posted,
    ledger_checks.paid_once,
    ledger_checks.held_is_owed,
    ledger_checks.holds_end_with_orders,
    trade_checks.fills_are_exact,
    trade_checks.trades_keep_limits,
    trade_checks.quantities_add_up,
    trade_checks.done_is_final,
    trade_checks.settled_whole,
    log_checks.snapshots_are_published,
    log_checks.log_is_gapless,
    log_checks.commands_apply_once,
    client_checks.one_intent_one_effect,
    client_checks.reads_move_forward,
)
# What holds once nothing is under way any more.
QUIET: Final[tuple[Check, ...]] = (
    statement_checks.statements_are_the_journal,
    chain_checks.custody_is_what_was_moved,
    chain_checks.chains_have_what_came_and_stayed,
    chain_checks.nonces_are_used_once,
    bank_checks.custody_is_what_the_bank_has,
    bank_checks.custody_is_what_was_confirmed,
    bank_checks.custody_is_what_the_provider_has,
    bank_checks.under_way_is_what_was_paid_out,
    ledger_checks.custody_is_outside,
    trade_checks.orders_follow_the_log,
    trade_checks.trades_settled_once,
    bust_checks.busts_are_opposites,
    log_checks.epochs_rise,
    log_checks.replay_agrees,
    log_checks.accepted_is_published,
    log_checks.everybody_has_caught_up,
    client_checks.rejected_means_never,
    client_checks.unknown_is_unknown,
    client_checks.cancels_end_orders,
)
CHECKS: Final = ALWAYS + QUIET


def check(world: World, *, quiet: bool = True) -> Iterator[Finding]:
    """What each invariant says of the world, one after the other; of a world that is not quiet, those of every step."""
    for invariant in CHECKS if quiet else ALWAYS:
        yield invariant(world)
