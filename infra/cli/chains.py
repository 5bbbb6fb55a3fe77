"""Listing a chain: its terms, the key that addresses come from, and the block that watching begins at."""

import secrets
from typing import Any

from exchange.aws.dynamodb import bind
from exchange.chains.evm import EvmNode
from exchange.chains.keys import ACCOUNT_PATH, ExtendedPrivateKey
from exchange.chains.model import Listing, Token
from exchange.chains.store import ChainItem, ChainStore
from exchange.kernel.errors import require
from web3 import HTTPProvider, Web3

from infra.local import chain_node
from infra.local.clients import CREDENTIALS
from infra.local.laptop import Laptop

CHAIN = "ethereum"
SEED_BYTES = 64
# Few, so that nobody waits long at a demonstration; on a real chain 12 and 32 are usual.
CONFIRMATIONS, UNLOCK_CONFIRMATIONS = 3, 6
TOKEN_ASSET, TOKEN_SCALE, TOKEN_DECIMALS, TOKEN_SUPPLY = "BTC", 8, 18, 21_000_000
MIN_UNITS = {"ETH": 10_000, TOKEN_ASSET: 1_000}


def list_chain(laptop: Laptop) -> dict[str, Any]:
    """Put a token on the laptop's chain and list it with the chain's own coin. Returns what stack.json says of it."""
    bind(ChainItem, laptop.outputs["ChainsTable"])
    meta: Any = ChainItem.Meta
    meta.host = laptop.settings.endpoint_url
    meta.aws_access_key_id = CREDENTIALS["AWS_ACCESS_KEY_ID"]
    meta.aws_secret_access_key = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    contract = deploy_token(laptop.settings.chain_url)
    listing = Listing(
        chain=CHAIN,
        chain_id=chain_node.CHAIN_ID,
        confirmations=CONFIRMATIONS,
        unlock_confirmations=UNLOCK_CONFIRMATIONS,
        tokens=(
            Token("ETH", 8, 18, deposit_min_units=MIN_UNITS["ETH"]),
            Token(TOKEN_ASSET, TOKEN_SCALE, TOKEN_DECIMALS, contract, deposit_min_units=MIN_UNITS[TOKEN_ASSET]),
        ),
    )
    open_chain(listing, laptop.settings.chain_url, kms=laptop.client("kms"), key_id=laptop.outputs["DepositSeedKeyArn"])
    return {"chain": CHAIN, "node_url": laptop.settings.chain_url, "tokens": {"ETH": "", TOKEN_ASSET: contract}}


def open_chain(listing: Listing, node_url: str, *, kms: Any, key_id: str) -> None:
    """List a chain from its newest block on. Its seed is made here, once, and leaves this function only sealed."""
    node = EvmNode(node_url)
    require(node.chain_id() == listing.chain_id, f"the node is on chain {node.chain_id()}, not {listing.chain_id}")
    start = node.block(node.height())
    require(start is not None, "the node has no newest block")
    seed = secrets.token_bytes(SEED_BYTES)
    public_key = ExtendedPrivateKey.from_seed(seed).descend(ACCOUNT_PATH).public()
    sealed = kms.encrypt(KeyId=key_id, Plaintext=seed, EncryptionContext={"chain": listing.chain})["CiphertextBlob"]
    if start is not None:
        ChainStore().open(listing, public_key=public_key.text, sealed_seed=bytes(sealed), start=start)


def deploy_token(node_url: str) -> str:
    """A token of ERC-20 on the laptop's chain, all of it owned by the node's first account. Returns its address."""
    web3 = Web3(HTTPProvider(node_url))
    owner, compiled = web3.eth.accounts[0], chain_node.token_contract()
    factory = web3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
    supply = TOKEN_SUPPLY * 10**TOKEN_DECIMALS
    sent = factory.constructor("Demo Bitcoin", TOKEN_ASSET, supply, owner).transact({"from": owner})
    receipt = web3.eth.wait_for_transaction_receipt(sent)
    return str(receipt["contractAddress"]).lower()
