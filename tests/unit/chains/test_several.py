"""Several chains in one stack: which one is meant, where each one's node answers, and a run for each."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from exchange.audit.store import read_chains
from exchange.aws.dynamodb import bind
from exchange.chains.choosing import chosen
from exchange.chains.departures import Mined, Version
from exchange.chains.fanning import run_each
from exchange.chains.model import Block, Place, Token
from exchange.chains.nodes import ChainNodes
from exchange.chains.store import ChainItem, ChainStore
from exchange.kernel.errors import Code, Refused, UnavailableError
from moto import mock_aws

from tests.fakes.chains import FakeNode
from tests.fakes.paying import LISTING
from tests.fakes.tables import create_tables
from tests.fakes.wallets import Cuts

NO_NETWORK = EndpointConnectionError(endpoint_url="https://aws")
OTHER = replace(LISTING, chain="otherchain", chain_id=2, tokens=(Token("ETH", 8, 18), Token("USDC", 6, 6, "0xcc")))
BOTH = (LISTING, OTHER)


class SeenNode(FakeNode):
    """A node that has the newest block that was read."""

    def block(self, number: int) -> Block | None:
        return Block(number, f"0x{number:02x}")

    def balance(self, address: str, contract: str, block: Block | None) -> int:
        return 5

    def mined(self, versions: Sequence[Version]) -> Mined | None:
        return None


class HangingNode(SeenNode):
    """It answers the first question, and no other."""

    def balance(self, address: str, contract: str, block: Block | None) -> int:
        raise UnavailableError("the chain's node: ReadTimeout")


class Secret:
    """A client of Secrets Manager with one secret."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_secret_value(self, **_: str) -> dict[str, str]:
        if not self.text:
            raise NO_NETWORK
        return {"SecretString": self.text}

    def put_secret_value(self, **asked: str) -> None:
        self.text = asked["SecretString"]


class Invoker:
    """A client of Lambda that can't wake some runs."""

    def __init__(self, *lost: str) -> None:
        self.lost = lost
        self.woken: list[Any] = []

    def invoke(self, **asked: Any) -> None:
        chain = json.loads(asked.pop("Payload"))["chain"]
        if chain in self.lost:
            raise NO_NETWORK
        self.woken.append((chain, asked))


def refusal(asset: str, network: str = "") -> Refused:
    found = chosen(asset, network, BOTH)
    assert isinstance(found, Refused)
    return found


def test_the_only_chain_that_has_an_asset_need_not_be_named() -> None:
    assert chosen("USDC", "", BOTH) is OTHER
    assert chosen("ETH", "", (LISTING,)) is LISTING


def test_a_named_chain_is_meant_and_no_other_in_its_place() -> None:
    assert chosen("ETH", OTHER.chain, BOTH) is OTHER
    told = refusal("USDC", LISTING.chain)
    assert (told.code, told.message) == (Code.CHAIN_NOT_LISTED, "network: USDC is not on this one; it is on otherchain")


def test_an_asset_of_several_chains_is_asked_for_by_network() -> None:
    told = refusal("ETH")
    assert (told.code, told.message) == (
        Code.REQUEST_FIELD_INVALID,
        f"network: ETH is on several, name one of {OTHER.chain}, {LISTING.chain}",
    )


@pytest.mark.parametrize("network", ["", OTHER.chain])
def test_what_is_on_no_chain_is_told_so(network: str) -> None:
    assert refusal("GBP", network).code is Code.CHAIN_NOT_LISTED


def test_a_node_is_put_beside_the_others_and_a_new_address_serves_at_once() -> None:
    nodes = ChainNodes(Secret("{}"), "arn")
    with pytest.raises(UnavailableError, match="one has no node: exchange chains --list FILE --node-url URL"):
        nodes.url("one")
    nodes.put("one", "http://1")
    nodes.put("two", "http://2")
    nodes.put("one", "http://3")
    assert nodes.urls() == {"one": "http://3", "two": "http://2"}
    assert nodes.url("one") == "http://3"


@pytest.mark.parametrize("text", ["", "not JSON", "[]"])
def test_a_secret_that_cannot_be_read_is_an_outage(text: str) -> None:
    with pytest.raises(UnavailableError, match="the chains' nodes: "):
        ChainNodes(Secret(text), "arn").url("one")


def test_each_chain_gets_a_run_of_its_own_that_nobody_waits_for() -> None:
    invoker = Invoker()
    assert run_each([LISTING, OTHER], "watcher", invoker) == [LISTING.chain, OTHER.chain]
    asked = {"FunctionName": "watcher", "InvocationType": "Event"}
    assert invoker.woken == [(LISTING.chain, asked), (OTHER.chain, asked)]


def test_a_run_that_could_not_be_woken_keeps_none_from_its_own_and_is_told() -> None:
    invoker = Invoker(LISTING.chain)
    with pytest.raises(UnavailableError, match=f"not woken: {LISTING.chain}"):
        run_each([LISTING, OTHER], "watcher", invoker)
    assert [chain for chain, _ in invoker.woken] == [OTHER.chain]


@pytest.fixture
def listed() -> Iterator[ChainStore]:
    """Both chains, listed."""
    with mock_aws():
        create_tables("chains")
        bind(ChainItem, "chains")
        store = ChainStore()
        for listing in BOTH:
            store.open(listing, public_key="xpub", sealed_seed=b"sealed", start=Block(7, "0x07"))
        yield store


def test_what_chains_there_are_is_what_was_listed(listed: ChainStore) -> None:
    assert listed.listings() == [OTHER, LISTING]
    assert listed.listing(OTHER.chain) == OTHER
    assert listed.listing("#listings") is None
    anew = replace(OTHER, confirmations=3)
    listed.open(anew, public_key="another", sealed_seed=b"another", start=Block(9, "0x09"))
    assert listed.listings() == [anew, LISTING]
    assert (listed.public_key(OTHER.chain), listed.cursor(OTHER.chain).tip) == ("xpub", Block(7, "0x07"))


def test_a_chain_whose_node_hangs_in_the_middle_is_told_and_the_other_is_read(listed: ChainStore) -> None:
    nodes = {LISTING.chain: SeenNode(Cuts()), OTHER.chain: HangingNode(Cuts())}
    told = {view.listing.chain: view for view in read_chains(nodes.__getitem__)}
    assert told[OTHER.chain].reason == "its node does not answer: the chain's node: ReadTimeout"
    assert not told[OTHER.chain].on_chain
    read = told[LISTING.chain]
    assert (read.reason, read.on_chain[Place.HOT, ""]) == ("", 5)


def test_a_chain_without_a_node_is_told_too(listed: ChainStore) -> None:
    nodes = ChainNodes(Secret("{}"), "arn")

    def node_of(chain: str) -> SeenNode:
        nodes.url(chain)
        return SeenNode(Cuts())

    assert all("has no node" in view.reason for view in read_chains(node_of))
