"""An Ethereum chain through the JSON-RPC of any node."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from eth_utils.address import to_checksum_address
from requests import RequestException
from web3 import HTTPProvider, Web3
from web3.exceptions import BlockNotFound, ContractLogicError, TransactionNotFound, Web3Exception, Web3RPCError
from web3.providers.rpc.utils import ExceptionRetryConfiguration

from exchange.chains.departures import Departure, Fees, Mined, Version
from exchange.chains.evm_wallet import call_of
from exchange.chains.model import Block, Listing, Payment
from exchange.kernel.errors import UnavailableError, require

# web3 brings py_ecc, which raises this to 100,000: JSON nested so deep would then end the process, not raise an error.
sys.setrecursionlimit(1_000)
TIMEOUT_SECONDS = 8
# web3 would ask five times: for 40 seconds where a node hangs, in each of a reconciliation's looks.
ATTEMPTS = 2
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"  # Transfer(address,address,uint256)
_BALANCE_OF = "0x70a08231"  # balanceOf(address)
# How far back the state is asked for: nodes that keep no archive know the newest 128 blocks.
NONCE_BLOCKS_MAX = 120
_OUT_OF_REACH = (Web3Exception, RequestException, OSError, ValueError)
Answer = TypeVar("Answer")


class EvmNode:
    """A node. Payments are the coin that a transaction sends, and the `Transfer` logs of tokens of ERC-20.

    A coin that a contract sends on within a transaction is no payment here: it leaves neither value nor log.
    """

    def __init__(self, url: str) -> None:
        twice = ExceptionRetryConfiguration(errors=(RequestException,), retries=ATTEMPTS)
        options = {"timeout": TIMEOUT_SECONDS}
        self._web3 = Web3(HTTPProvider(url, request_kwargs=options, exception_retry_configuration=twice))

    def chain_id(self) -> int:
        """Which chain this is. Raises UnavailableError."""
        return int(_asked(lambda: self._web3.eth.chain_id))

    def require_on(self, listing: Listing) -> None:
        """Nothing that a node of another chain says counts. Raises InvariantError where it is one; UnavailableError."""
        found = self.chain_id()
        require(found == listing.chain_id, f"the node of {listing.chain} is on chain {found}, not {listing.chain_id}")

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

    def balance(self, address: str, contract: str, block: Block | None) -> int:
        """What an address has at a block, or now, of the coin or of a token. Raises UnavailableError."""
        holder: Any = to_checksum_address(address)
        at: Any = block.number if block else "latest"
        if not contract:
            return int(_asked(lambda: self._web3.eth.get_balance(holder, at)))
        call: Any = {"to": to_checksum_address(contract), "data": _BALANCE_OF + address[2:].lower().rjust(64, "0")}
        return int.from_bytes(_asked(lambda: self._web3.eth.call(call, at)), "big")

    def fees(self) -> Fees:
        """What a unit of gas costs now. Raises UnavailableError."""
        newest: Any = _asked(lambda: self._web3.eth.get_block("latest"))
        return Fees(int(newest["baseFeePerGas"]), int(_asked(lambda: self._web3.eth.max_priority_fee)))

    def gas(self, departure: Departure) -> int | None:
        """How many units of gas a payment needs; None where its recipient or its token refuses it.

        Raises:   UnavailableError.
        """
        call: Any = {**call_of(departure), "from": to_checksum_address(departure.sender)}
        try:
            return int(_asked(lambda: self._web3.eth.estimate_gas(call)))
        except ContractLogicError:
            return None

    def broadcast(self, version: Version) -> None:
        """Tell the node of a payment. What it says to one that it knows, or whose nonce is used, is no error.

        Raises:   UnavailableError where it did not answer at all.
        """
        try:
            self._web3.eth.send_raw_transaction(cast("Any", version.raw))
        except Web3RPCError:
            return  # What became of it is asked anew at each run; what the node will not have is never mined.
        except _OUT_OF_REACH as error:
            raise UnavailableError(f"the chain's node: {type(error).__name__}") from error

    def mined(self, versions: Sequence[Version]) -> Mined | None:
        """Which of them is in a block now. Raises UnavailableError."""
        found = (self._mined(version.hash) for version in reversed(versions))
        return next((each for each in found if each is not None), None)

    def nonce_user(self, address: str, nonce: int, *, until: Block) -> Mined | None:
        """What used a nonce of an address in a block up to that one, found by halving. Raises UnavailableError.

        None also where that was longer ago than any node must know: then nothing is proven, and a person has to look.
        """
        if self._used(address, until.number) <= nonce:
            return None
        low, high = max(0, until.number - NONCE_BLOCKS_MAX), until.number
        if self._used(address, low) > nonce:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._used(address, middle) > nonce else (middle, high)
        whole: Any = _asked(lambda: self._web3.eth.get_block(high, full_transactions=True))
        for transaction in whole["transactions"]:
            if str(transaction["from"]).lower() == address and int(transaction["nonce"]) == nonce:
                return self._mined(_hex(transaction["hash"]))
        raise UnavailableError(f"block {high} has left the chain")

    def _used(self, address: str, number: int) -> int:
        holder: Any = to_checksum_address(address)
        return int(_asked(lambda: self._web3.eth.get_transaction_count(holder, number)))

    def _mined(self, name: str) -> Mined | None:
        try:
            receipt: Any = _asked(lambda: self._web3.eth.get_transaction_receipt(cast("Any", name)))
        except TransactionNotFound:
            return None
        block = Block(int(receipt["blockNumber"]), _hex(receipt["blockHash"]))
        cost = int(receipt["gasUsed"]) * int(receipt["effectiveGasPrice"])
        return Mined(_hex(receipt["transactionHash"]), block, bool(receipt["status"]), cost)


def _payments(transaction: Mapping[str, Any], receipt: Mapping[str, Any]) -> Iterator[Payment]:
    name, failed, sender = _hex(transaction["hash"]), not int(receipt["status"]), str(transaction["from"]).lower()
    if transaction.get("to") and int(transaction["value"]):
        to, value = str(transaction["to"]).lower(), int(transaction["value"])
        yield Payment(name, 0, to, "", value, failed=failed, sender=sender)
    for position, log in enumerate(receipt["logs"], start=1):
        topics = [_hex(topic) for topic in log["topics"]]
        # Tokens of ERC-721 name the event alike, but their fourth topic is no amount.
        if len(topics) == 3 and topics[0] == TRANSFER and len(log["data"]) == 32:
            giver, recipient = ("0x" + topic[-40:] for topic in topics[1:])
            contract, units = str(log["address"]).lower(), int.from_bytes(log["data"], "big")
            yield Payment(name, position, recipient, contract, units, failed=failed, sender=giver)


def _asked(question: Callable[[], Answer]) -> Answer:
    try:
        return question()
    except (BlockNotFound, TransactionNotFound, ContractLogicError):
        raise
    except _OUT_OF_REACH as error:
        raise UnavailableError(f"the chain's node: {type(error).__name__}") from error


def _hash(block: Block) -> Any:
    return block.hash


def _hex(value: Any) -> str:
    return "0x" + bytes(value).hex()
