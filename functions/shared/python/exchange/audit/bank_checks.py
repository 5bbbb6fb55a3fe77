"""B: what banks have for us is what the ledger says, to the last unit."""

from collections import Counter
from collections.abc import Sequence

from exchange.audit.model import BankView, Finding, World, finding
from exchange.breaks.wording import off_by
from exchange.ledger.model import custody_account
from exchange.payments.payouts import UNDER_WAY, Payout

# Rails whose outside is held to the ledger otherwise, or that have none.
_ELSEWHERE = ("chain-", "bank-files", "profiles", "debts", "internal", UNDER_WAY)


def custody_is_what_the_bank_has(world: World) -> Finding:
    """B1: custody at a bank is its last closing balance, with what may not be on a statement yet."""
    breaches = _held_against(world.banks, world)
    return finding("B1", "custody at a bank is what its statements say", f"{len(world.banks)} accounts", breaches)


def custody_is_what_the_provider_has(world: World) -> Finding:
    """B3: custody at a provider that can be asked is what it says that it holds for us."""
    breaches, figure = _held_against(world.providers, world), f"{len(world.providers)} balances"
    return finding("B3", "custody at a provider is the balance that it tells", figure, breaches)


def under_way_is_what_was_paid_out(world: World) -> Finding:
    """B4: what has left Stripe and is not at the bank is what the payouts between say."""
    custody = _custody(world)
    wanted: Counter[str] = Counter()
    for payout in world.payouts:
        wanted[payout.asset] += payout.under_way_units
    known = wanted.keys() | {asset for rail, asset in custody if rail == UNDER_WAY}
    breaches: list[str] = []
    for asset in sorted(known):
        has = custody.get((UNDER_WAY, asset), 0)
        if has != wanted[asset]:
            lines = [_told(each) for each in world.payouts if each.asset == asset]
            told = f"{has} under way, payouts {wanted[asset]}"
            breaches.append(off_by(f"{UNDER_WAY} {asset}", has - wanted[asset], told, lines))
    return finding("B4", "what is under way is what was paid out", f"{len(world.payouts)} payouts", breaches)


def _told(payout: Payout) -> str:
    place = "at the bank" if payout.arrived else "not at the bank"
    return f"payout {payout.payout_id}: {payout.amount}, {payout.stage.value}, {place}"


def _held_against(views: Sequence[BankView], world: World) -> list[str]:
    custody = _custody(world)
    return [
        off_by(f"{view.rail} {view.asset}", has - view.units, f"custody {has}, the bank {view.units}", view.lines)
        for view in views
        if (has := custody[view.rail, view.asset]) != view.units
    ]


def custody_is_what_was_confirmed(world: World) -> Finding:
    """B2: custody on a rail without statements is what its provider confirmed, payment by payment."""
    confirmed: Counter[tuple[str, str]] = Counter()
    payments: Counter[tuple[str, str]] = Counter()
    for row in world.transfers:
        if row.completed and not row.rail.startswith(_ELSEWHERE):
            confirmed[row.rail, row.asset] += -row.units if row.is_withdrawal else row.units
            payments[row.rail, row.asset] += 1
    custody = {key: units for key, units in _custody(world).items() if not key[0].startswith(_ELSEWHERE)}
    breaches = []
    for key in sorted(custody.keys() | confirmed.keys()):
        has = custody.get(key, 0)
        if has != confirmed[key]:
            told = f"custody {has}, {payments[key]} payments confirm {confirmed[key]}"
            breaches.append(off_by(f"{key[0]} {key[1]}", has - confirmed[key], told))
    return finding("B2", "custody of a rail is what its provider confirmed", f"{len(confirmed)} rails", breaches)


def _custody(world: World) -> Counter[tuple[str, str]]:
    """What others hold for us, by rail and asset."""
    begin = custody_account("")
    found: Counter[tuple[str, str]] = Counter()
    for balance in world.balances:
        if balance.account.startswith(begin):
            found[balance.account.removeprefix(begin), balance.asset] -= balance.available + balance.held
    return found


__all__ = [
    "custody_is_what_the_bank_has",
    "custody_is_what_the_provider_has",
    "custody_is_what_was_confirmed",
    "under_way_is_what_was_paid_out",
]
