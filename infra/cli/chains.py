"""Listing a chain: its terms, the keys behind its addresses, and the block that watching begins at."""

import secrets
import time
from dataclasses import replace
from typing import Any

from exchange.aws.dynamodb import bind, connection
from exchange.chains.departure_store import DepartureStore
from exchange.chains.evm import EvmNode
from exchange.chains.evm_wallet import KmsKey
from exchange.chains.keys import ACCOUNT_PATH, ExtendedPrivateKey
from exchange.chains.model import Listing, Token
from exchange.chains.nodes import ChainNodes
from exchange.chains.store import ChainItem, ChainStore
from exchange.kernel.errors import require
from web3 import HTTPProvider, Web3

from infra.cli.chain_terms import ChainTermsError
from infra.local import chain_node
from infra.local.clients import CREDENTIALS
from infra.local.laptop import Laptop

CHAIN = "ethereum"
SEED_BYTES = 64
# Few, so that nobody waits long at a demonstration; on a real chain 12 and 32 are usual.
CONFIRMATIONS, UNLOCK_CONFIRMATIONS = 3, 6
TOKEN_ASSET, TOKEN_SCALE, TOKEN_DECIMALS, TOKEN_SUPPLY = "BTC", 8, 18, 21_000_000
# What the laptop's chain has of each asset: the house's own coins at the hot wallet, and the limits of that, in units.
ETH = Token(
    "ETH",
    8,
    18,
    deposit_min_units=10_000,
    withdrawal_min_units=100_000,
    hot_min_units=10**8,
    hot_max_units=500 * 10**8,
    sweep_min_units=1_000_000,
)
TOKEN = Token(
    TOKEN_ASSET,
    TOKEN_SCALE,
    TOKEN_DECIMALS,
    deposit_min_units=1_000,
    withdrawal_min_units=10_000,
    network_fee_units=5_000,
    gas=65_000,
    hot_min_units=10**7,
    hot_max_units=50 * 10**8,
    sweep_min_units=10_000,
)
HOT_FUNDS = {"ETH": 100, TOKEN_ASSET: 20}
# On a real chain, an address whose key is in a safe. Nobody has this one's; the laptop's node lets a test act for it.
COLD_ADDRESS = "0xc01dc01dc01dc01dc01dc01dc01dc01dc01dc01d"
RAISE_AFTER_SECONDS, FEE_MAX = 15, 500 * 10**9


def list_chain(laptop: Laptop) -> dict[str, Any]:
    """Put a token on the laptop's chain and list it with the chain's own coin. Returns what stack.json says of it."""
    bind(ChainItem, laptop.outputs["ChainsTable"])
    meta: Any = ChainItem.Meta
    meta.host = laptop.settings.endpoint_url
    meta.aws_access_key_id = CREDENTIALS["AWS_ACCESS_KEY_ID"]
    meta.aws_secret_access_key = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    web3, kms = Web3(HTTPProvider(laptop.settings.chain_url)), laptop.client("kms")
    contract = deploy_token(web3)
    listing = Listing(
        chain=CHAIN,
        chain_id=chain_node.CHAIN_ID,
        confirmations=CONFIRMATIONS,
        unlock_confirmations=UNLOCK_CONFIRMATIONS,
        tokens=(ETH, replace(TOKEN, contract=contract)),
        hot_address=KmsKey(kms, laptop.outputs["HotWalletKeyArn"]).address,
        cold_address=COLD_ADDRESS,
        raise_after_seconds=RAISE_AFTER_SECONDS,
        fee_max=FEE_MAX,
    )
    nodes = ChainNodes(laptop.client("secretsmanager"), laptop.outputs["ChainNodesArn"])
    nodes.put(CHAIN, laptop.settings.chain_url)
    open_chain(listing, laptop.settings.chain_url, kms=kms, key_id=laptop.outputs["DepositSeedKeyArn"])
    fund_hot_wallet(web3, listing)
    listed = {
        "chain": CHAIN,
        "node_url": laptop.settings.chain_url,
        "tokens": {token.asset: token.contract for token in listing.tokens},
        "hot_address": listing.hot_address,
        "cold_address": listing.cold_address,
    }
    return {"chain": listed}


def open_chain(listing: Listing, node_url: str, *, kms: Any, key_id: str) -> None:
    """List a chain from its newest block on. Its seed is made here, once, and leaves this function only sealed.

    Raises:   ChainTermsError where the same chain is listed by another name: one hot wallet would have two counters of
              nonces, and what it receives would be booked twice. InvariantError for the node of another chain.
    """
    for other in ChainStore().listings():
        if other.chain_id == listing.chain_id and other.chain != listing.chain:
            raise ChainTermsError(f"chain_id: {listing.chain_id} is listed already, as {other.chain}")
    node = EvmNode(node_url)
    node.require_on(listing)
    start = node.block(node.height())
    require(start is not None, "the node has no newest block")
    seed = secrets.token_bytes(SEED_BYTES)
    public_key = ExtendedPrivateKey.from_seed(seed).descend(ACCOUNT_PATH).public()
    sealed = kms.encrypt(KeyId=key_id, Plaintext=seed, EncryptionContext={"chain": listing.chain})["CiphertextBlob"]
    if start is not None:
        ChainStore().open(listing, public_key=public_key.text, sealed_seed=bytes(sealed), start=start)
    # Customers are quoted from the first moment on; the payer keeps it fresh.
    DepartureStore(connection()).note_fees(listing.chain, node.fees(), at_ns=time.time_ns())


def fund_hot_wallet(web3: Any, listing: Listing) -> None:
    """What the house puts in of its own, from the node's first account, as deep as it takes to be believed."""
    owner, hot = web3.eth.accounts[0], web3.to_checksum_address(listing.hot_address)
    abi = chain_node.token_contract()["abi"]
    for token in listing.tokens:
        amount = HOT_FUNDS[token.asset] * 10**token.decimals
        if token.contract:
            at = web3.to_checksum_address(token.contract)
            web3.eth.contract(address=at, abi=abi).functions.transfer(hot, amount).transact({"from": owner})
        else:
            web3.eth.send_transaction({"from": owner, "to": hot, "value": amount})
    web3.provider.make_request("anvil_mine", [hex(listing.unlock_confirmations)])


def deploy_token(web3: Any) -> str:
    """A token of ERC-20 on the laptop's chain, all of it owned by the node's first account. Returns its address."""
    owner, compiled = web3.eth.accounts[0], chain_node.token_contract()
    factory = web3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
    supply = TOKEN_SUPPLY * 10**TOKEN_DECIMALS
    sent = factory.constructor("Demo Bitcoin", TOKEN_ASSET, supply, owner).transact({"from": owner})
    receipt = web3.eth.wait_for_transaction_receipt(sent)
    return str(receipt["contractAddress"]).lower()
