"""`exchange chains`: list a chain, and show where what it holds for us lies: the ledger's word beside the node's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from exchange.aws.dynamodb import bind, connection
from exchange.chains.departure_store import DepartureStore
from exchange.chains.evm import EvmNode
from exchange.chains.evm_wallet import KmsKey
from exchange.chains.model import Listing, Place, Token
from exchange.chains.nodes import ChainNodes
from exchange.chains.store import ChainItem, ChainStore
from exchange.instruments.store import InstrumentItem, InstrumentStore
from exchange.kernel.errors import OutageError
from exchange.kernel.money import format_units
from exchange.ledger.store import BalanceItem
from rich.console import Console
from rich.table import Table
from web3 import HTTPProvider, Web3

from infra.cli.chain_terms import ChainTermsError, read_terms
from infra.cli.chains import open_chain
from infra.cli.stack import StackError, StackOption, open_stack

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where an exchange is: what its stack says, and where the nodes of its chains answer."""

    outputs: Mapping[str, str]
    nodes: ChainNodes


def chains(
    terms: Annotated[Path | None, typer.Option("--list", help="A chain to list, or to list anew; TOML.")] = None,
    stack: StackOption = "",
    node_url: Annotated[str, typer.Option(help="With --list: the JSON-RPC of its node; it is kept as a secret.")] = "",
    chain: Annotated[str, typer.Option(help="Which chain to show; without it every one.")] = "",
    mine: Annotated[int, typer.Option(help="On this laptop: let so many blocks pass first.")] = 0,
) -> None:
    """Show what addresses, hot and cold wallet of the chains have, and what is under way; or list a chain."""
    try:
        found = _deployment(stack)
        for model, table in ((ChainItem, "Chains"), (InstrumentItem, "Instruments"), (BalanceItem, "Balances")):
            bind(model, found.outputs[f"{table}Table"])
        if mine and not stack:
            for url in [found.nodes.url(chain)] if chain else found.nodes.urls().values():
                Web3(HTTPProvider(url)).provider.make_request("anvil_mine", [hex(mine)])  # type: ignore[arg-type]
        if terms is not None:
            _list(terms, node_url, found)
            return
        for listing in _listings(chain):
            _show(listing, found)
    except (BotoCoreError, ClientError, OutageError, ChainTermsError, StackError, OSError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _deployment(stack: str) -> Deployment:
    outputs = open_stack(stack).outputs
    return Deployment(outputs, ChainNodes(boto3.client("secretsmanager"), outputs["ChainNodesArn"]))


def _listings(chain: str) -> list[Listing]:
    found = [listing for listing in ChainStore().listings() if chain in {"", listing.chain}]
    if not found:
        raise ChainTermsError(f"{chain or 'no chain'} is not listed; list it with --list FILE")
    return found


def _list(path: Path, node_url: str, found: Deployment) -> None:
    kms = boto3.client("kms")
    hot_address = KmsKey(kms, found.outputs["HotWalletKeyArn"]).address
    listing = read_terms(path, InstrumentStore().assets(), hot_address=hot_address)
    open_chain(listing, node_url or found.nodes.url(listing.chain), kms=kms, key_id=found.outputs["DepositSeedKeyArn"])
    if node_url:
        found.nodes.put(listing.chain, node_url)
    console.print(f"{listing.chain} is listed. Its hot wallet is {hot_address}: send it coin for fees.")


def _show(listing: Listing, found: Deployment) -> None:
    url = found.nodes.urls().get(listing.chain)
    node = EvmNode(url) if url else None
    store, tip = ChainStore(), ChainStore().cursor(listing.chain).tip
    console.print(f"{listing.chain}, read to block {tip.number}")
    table = Table("place", "asset", "ledger", "node", "limits", box=None, header_style="bold", pad_edge=False)
    addresses = store.addresses(listing.chain)
    for place in Place:
        own = [address for address in addresses if listing.place_of(address) is place]
        for token in listing.tokens:
            there = sum(node.balance(address, token.contract, tip) for address in own) if node else None
            told = format_units(there, token.decimals) if there is not None else "?"
            limits = _limits(token) if place is Place.HOT else ""
            table.add_row(place, token.asset, format_units(_booked(listing, place, token), token.scale), told, limits)
    console.print(table)
    console.print(
        f"hot {listing.hot_address or 'none'}   cold {listing.cold_address or 'none'}   {len(addresses)} in all"
    )
    departures = DepartureStore(connection())
    for place in (Place.HOT, Place.ADDRESSES):
        for departure in departures.open(listing.chain, place, limit=50):
            amount = format_units(departure.units, _scale(listing, departure.asset))
            console.print(f"{departure.progress:7} {departure.departure_id}: {amount} {departure.asset}", markup=False)


def _booked(listing: Listing, place: Place, token: Token) -> int:
    for item in BalanceItem.query(listing.custody(place), BalanceItem.asset == token.asset, consistent_read=True):
        return -((item.available or 0) + (item.held or 0))
    return 0


def _limits(token: Token) -> str:
    most = format_units(token.hot_max_units, token.scale) if token.hot_max_units else "any"
    return f"{format_units(token.hot_min_units, token.scale)} to {most}"


def _scale(listing: Listing, asset: str) -> int:
    token = listing.token_of(asset)
    return token.scale if token else 0
