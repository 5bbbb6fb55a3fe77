"""B: what banks have for us is what the ledger says, to the last unit."""

from collections import Counter

from exchange.audit.model import Finding, World, finding
from exchange.ledger.model import custody_account

# Rails whose outside is held to the ledger otherwise, or that have none.
_ELSEWHERE = ("chain-", "bank-files", "profiles", "debts", "internal")


def custody_is_what_the_bank_has(world: World) -> Finding:
    """B1: custody at a bank is its last closing balance, with what may not be on a statement yet."""
    custody = _custody(world)
    breaches: list[str] = []
    for view in world.banks:
        has = custody[view.rail, view.asset]
        if has != view.units:
            breaches.append(f"{view.rail} {view.asset}: custody {has}, the bank {view.units}")
            breaches += [f"{view.rail} {view.asset}: {line}" for line in view.lines]
    return finding("B1", "custody at a bank is what its statements say", f"{len(world.banks)} accounts", breaches)


def custody_is_what_was_confirmed(world: World) -> Finding:
    """B2: custody on a rail without statements is what its provider confirmed, payment by payment."""
    confirmed: Counter[tuple[str, str]] = Counter()
    for row in world.transfers:
        if row.completed and not row.rail.startswith(_ELSEWHERE):
            confirmed[row.rail, row.asset] += -row.units if row.is_withdrawal else row.units
    custody = {key: units for key, units in _custody(world).items() if not key[0].startswith(_ELSEWHERE)}
    breaches = [
        f"{rail} {asset}: custody {custody.get((rail, asset), 0)}, confirmed {confirmed[rail, asset]}"
        for rail, asset in sorted(custody.keys() | confirmed.keys())
        if custody.get((rail, asset), 0) != confirmed[rail, asset]
    ]
    return finding("B2", "custody of a rail is what its provider confirmed", f"{len(confirmed)} rails", breaches)


def _custody(world: World) -> Counter[tuple[str, str]]:
    """What others hold for us, by rail and asset."""
    begin = custody_account("")
    found: Counter[tuple[str, str]] = Counter()
    for balance in world.balances:
        if balance.account.startswith(begin):
            found[balance.account.removeprefix(begin), balance.asset] -= balance.available + balance.held
    return found


__all__ = ["custody_is_what_the_bank_has", "custody_is_what_was_confirmed"]
