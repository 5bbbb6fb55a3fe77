"""Sweeping: what customers sent to their addresses goes to the hot wallet; where a token needs gas, that is sent first.

What may be swept is what the ledger says lies at an address, not what a node says: dust, unlisted tokens and what is
not yet deep enough stay where they are. It is taken off in the same write that asks for the sweep, its fee included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from exchange.chains.departures import (
    GAS_DENOMINATOR,
    GAS_NUMERATOR,
    Departure,
    Fees,
    Purpose,
    Unswept,
    asked_unswept,
    house_departure,
    reserve_for,
)
from exchange.chains.model import Listing, Place, Token
from exchange.kernel.clock import Clock
from exchange.kernel.money import divide_up

SWEEPS_PER_RUN = 20
OPEN_MAX = 1_000


class Carrier(Protocol):
    """What is asked of a chain to plan a sweep."""

    def fees(self) -> Fees:
        """What a unit of gas costs now."""
        ...

    def gas(self, departure: Departure) -> int | None:
        """How many units of gas a payment needs; None where it would be refused."""
        ...


class Departures(Protocol):
    """Where sweeps are asked for, and what may be swept is kept."""

    def open(self, chain: str, place: Place, *, limit: int) -> Sequence[Departure]:
        """Those out of a place that are not closed."""
        ...

    def next_nonce(self, chain: str, address: str) -> int:
        """The nonce that the next departure of an address gets."""
        ...

    def unswept(self, chain: str) -> Mapping[str, Mapping[str, int]]:
        """What may be swept, by address and contract, in our units."""
        ...

    def ask(self, departure: Departure, unswept: Unswept) -> bool:
        """Put a departure that is due; False where there is one of its name, or too little to sweep."""
        ...


@dataclass(frozen=True, slots=True)
class _Lying:
    """What lies at an address, in our units by contract, and the nonce that its next payment gets."""

    address: str
    nonce: int
    units: Mapping[str, int]

    @property
    def coin_units(self) -> int:
        """What it has to pay fees with."""
        return self.units.get("", 0)


def ask_for_sweeps(
    listing: Listing, *, carrier: Carrier, departures: Departures, clock: Clock, note: Callable[[str], None]
) -> int:
    """Ask for the sweeps that are worth it, or for the gas that they need first; return for how many was asked.

    Raises:   OutageError; asking again asks for nothing twice.
    """
    fees, chain = carrier.fees(), listing.chain
    # Nonces are read before the open ones: what a nonce names can't be asked for twice.
    lying = [
        _Lying(address, departures.next_nonce(chain, address), units)
        for address, units in departures.unswept(chain).items()
        if _worth(listing, units)
    ]
    busy = {each.sender for each in departures.open(chain, Place.ADDRESSES, limit=OPEN_MAX)}
    hot = departures.open(chain, Place.HOT, limit=OPEN_MAX)
    busy |= {each.recipient for each in hot if each.purpose is Purpose.GAS}
    asked = 0
    for each in [each for each in lying if each.address not in busy][:SWEEPS_PER_RUN]:
        token = _worth(listing, each.units)[0]
        planned = _plan(listing, token, each, carrier=carrier, fees=fees, at_ns=clock.now_ns())
        if isinstance(planned, str):
            note(planned)
        elif planned is not None:
            asked += departures.ask(planned, asked_unswept(planned))
    return asked


def _worth(listing: Listing, units: Mapping[str, int]) -> list[Token]:
    """The tokens that are worth a sweep, the coin last: the others need it for their fees."""
    worth = [token for token in listing.tokens if units.get(token.contract, 0) >= max(token.sweep_min_units, 1)]
    return sorted(worth, key=lambda token: not token.contract)


def _plan(
    listing: Listing, token: Token, lying: _Lying, *, carrier: Carrier, fees: Fees, at_ns: int
) -> Departure | str | None:
    """The sweep of a token, or the gas that it lacks; None where the fee leaves too little; text for a person."""

    def sweep(units: int, reserve_units: int = 0) -> Departure:
        return house_departure(
            listing,
            Purpose.SWEEP,
            token,
            name=f"{lying.address}:{lying.nonce}",
            sender=lying.address,
            recipient=listing.hot_address,
            units=units,
            at_ns=at_ns,
            reserve_units=reserve_units,
        )

    units = lying.units[token.contract] // token.step_units * token.step_units
    # Of the coin itself a part is asked about: with all of it nothing would be left for the fee.
    needed = carrier.gas(sweep(units if token.contract else token.step_units))
    if needed is None:
        return f"{token.asset} at {lying.address} can't be swept: the chain would refuse it"
    reserve = reserve_for(divide_up(needed * GAS_NUMERATOR, GAS_DENOMINATOR), fees, listing)
    if token.contract:
        return sweep(units, reserve) if lying.coin_units >= reserve else _gas(listing, lying, reserve, at_ns=at_ns)
    rest = (units - reserve) // token.step_units * token.step_units
    return sweep(rest, reserve) if rest >= token.sweep_min_units else None


def _gas(listing: Listing, lying: _Lying, reserve: int, *, at_ns: int) -> Departure:
    """Coin for a sweep, a quarter more than it lacks now. Named by what is there already, so that more can be asked for
    where it has become dearer meanwhile, and the same is not asked for twice."""
    coin = listing.coin
    lacking = divide_up((reserve - lying.coin_units) * 5, 4)
    return house_departure(
        listing,
        Purpose.GAS,
        coin,
        name=f"{lying.address}:{lying.nonce}:{lying.coin_units}",
        sender=listing.hot_address,
        recipient=lying.address,
        units=divide_up(lacking, coin.step_units) * coin.step_units,
        at_ns=at_ns,
    )
