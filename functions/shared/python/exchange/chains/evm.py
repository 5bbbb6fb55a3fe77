"""An Ethereum chain through the JSON-RPC of any node."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from eth_utils.address import to_checksum_address
from requests import RequestException
from web3 import HTTPProvider, Web3
from web3.exceptions import BlockNotFound, Web3Exception

from exchange.chains.model import Block, Payment
from exchange.kernel.errors import UnavailableError

# web3 brings py_ecc, which raises this to 100,000: JSON nested so deep would then end the process, not raise an error.
sys.setrecursionlimit(1_000)
TIMEOUT_SECONDS = 8
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"  # Transfer(address,address,uint256)
_BALANCE_OF = "0x70a08231"  # balanceOf(address)
Answer = TypeVar("Answer")


class EvmNode:
    """A node. Payments are the coin that a transaction sends, and the `Transfer` logs of tokens of ERC-20.

    A coin that a contract sends on within a transaction is no payment here: it leaves neither value nor log.
    """

    def __init__(self, url: str) -> None:
        self._web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": TIMEOUT_SECONDS}))

    def chain_id(self) -> int:
        """Which chain this is. Raises UnavailableError."""
        return int(_asked(lambda: self._web3.eth.chain_id))

    def height(self) -> int:
        """The number of its newest block. Raises UnavailableError."""
        return int(_asked(self._web3.eth.get_block_number))

    def block(self, number: int) -> Block | None:
        """The block that it has at a height now. Raises UnavailableError."""
        try:
            found: Any = _asked(lambda: self._web3.eth.get_block(number))
        except BlockNotFound:
            return None
        return Block(int(found["number"]), _hex(found["hash"]), _hex(found["parentHash"]))

    def payments(self, block: Block) -> Sequence[Payment]:
        """What that very block pays to anybody. Raises UnavailableError, also where the node has dropped the block."""
        try:
            whole: Any = _asked(lambda: self._web3.eth.get_block(_hash(block), full_transactions=True))
            receipts: Any = _asked(lambda: self._web3.eth.get_block_receipts(_hash(block)))
        except BlockNotFound as error:
            raise UnavailableError(f"block {block.number} has left the chain") from error
        by_hash = {_hex(receipt["transactionHash"]): receipt for receipt in receipts}
        found: list[Payment] = []
        for transaction in whole["transactions"]:
            receipt = by_hash.get(_hex(transaction["hash"]))
            if receipt is None or _hex(receipt["blockHash"]) != block.hash:
                raise UnavailableError(f"block {block.number} has left the chain")
            found += _payments(transaction, receipt)
        return found

    def balance(self, address: str, contract: str, block: Block) -> int:
        """What an address has at a block, of the coin or of a token, in the chain's units. Raises UnavailableError."""
        holder: Any = to_checksum_address(address)
        if not contract:
            return int(_asked(lambda: self._web3.eth.get_balance(holder, block.number)))
        call: Any = {"to": to_checksum_address(contract), "data": _BALANCE_OF + address[2:].lower().rjust(64, "0")}
        return int.from_bytes(_asked(lambda: self._web3.eth.call(call, block.number)), "big")


def _payments(transaction: Mapping[str, Any], receipt: Mapping[str, Any]) -> Iterator[Payment]:
    name, failed = _hex(transaction["hash"]), not int(receipt["status"])
    if transaction.get("to") and int(transaction["value"]):
        yield Payment(name, 0, str(transaction["to"]).lower(), "", int(transaction["value"]), failed=failed)
    for position, log in enumerate(receipt["logs"], start=1):
        topics = [_hex(topic) for topic in log["topics"]]
        # Tokens of ERC-721 name the event alike, but their fourth topic is no amount.
        if len(topics) == 3 and topics[0] == TRANSFER and len(log["data"]) == 32:
            recipient, units = "0x" + topics[2][-40:], int.from_bytes(log["data"], "big")
            yield Payment(name, position, recipient, str(log["address"]).lower(), units, failed=failed)


def _asked(question: Callable[[], Answer]) -> Answer:
    try:
        return question()
    except BlockNotFound:
        raise
    except (Web3Exception, RequestException, OSError, ValueError) as error:
        raise UnavailableError(f"the chain's node: {type(error).__name__}") from error


def _hash(block: Block) -> Any:
    return block.hash


def _hex(value: Any) -> str:
    return "0x" + bytes(value).hex()
