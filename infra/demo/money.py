"""Money in and out, over a bank and a chain: what went well, what came back, and what two people approve."""

import asyncio
import itertools
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import urllib3
from exchange.kernel.money import parse_decimal

from infra.demo.accounting import SCALE, read_holdings
from infra.demo.client import Trader
from infra.local.operators import OperatorSession

ETHER = 10**18
WAIT_SECONDS_MAX = 60
PAUSE_SECONDS = 0.2
RUNS_MAX = 10
# An amount that ends so is a hit of the sandbox's screening: two operators look at it.
DOUBTFUL = "444"


class MoneyError(RuntimeError):
    """A payment did not end as it should; the message says which, and how it stands."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One payment, and what it moved of the customer's balance. Units: 10^-18 of the asset."""

    title: str
    asset: str
    story: str
    moved: int
    expected: int

    @property
    def unexplained(self) -> int:
        """What no transfer accounts for."""
        return self.moved - self.expected


class Chain:
    """The laptop's chain as its users see it, and the two functions that a schedule runs each minute."""

    def __init__(self, stack: Mapping[str, Any], client: Callable[[str], Any]) -> None:
        self._url = stack["chain"]["node_url"]
        self._outputs = stack["outputs"]
        self._name = stack["chain"]["chain"]
        self._client = client
        self._numbers = itertools.count(1)

    def ask(self, method: str, *parameters: Any) -> Any:
        """Anything of the node. Raises MoneyError with its words."""
        body = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": parameters}
        told = json.loads(urllib3.request("POST", self._url, json=body, timeout=30).data)
        if "error" in told:
            raise MoneyError(f"the chain's node: {told['error']}")
        return told["result"]

    def send(self, address: str, base_units: int) -> str:
        """Send coin from the node's own first account; mined at once."""
        owner = self.ask("eth_accounts")[0]
        return str(self.ask("eth_sendTransaction", {"from": owner, "to": address, "value": hex(base_units)}))

    def has(self, address: str) -> int:
        """What an address has of the coin, in the chain's units."""
        return int(self.ask("eth_getBalance", address, "latest"), 16)

    def mine(self, blocks: int) -> None:
        """Let blocks pass."""
        self.ask("anvil_mine", hex(blocks))

    def rethink(self, blocks: int) -> None:
        """Replace the newest blocks by others without their transactions."""
        self.ask("anvil_reorg", blocks, [])
        self.mine(1)

    def watch(self) -> None:
        """One run of the watcher."""
        self._run("ChainsScheduleFunction")

    def pay(self) -> None:
        """One run of the payer."""
        self._run("PayoutsScheduleFunction")

    def _run(self, function: str) -> None:
        body = json.dumps({"chain": self._name}).encode()
        for _ in range(RUNS_MAX):
            answer = self._client("lambda").invoke(FunctionName=self._outputs[function], Payload=body)
            told = answer["Payload"].read().decode()
            if not answer.get("FunctionError"):
                return
            # The schedule's own run may be beside this one.
            if "another run is at work" not in told:
                break
        raise MoneyError(f"{function}: {told[:300]}")


class Teller:
    """A customer at the counter: each payment is shown from its request to its end."""

    def __init__(
        self,
        customer: Trader,
        chain: Chain,
        operators: Sequence[OperatorSession],
        *,
        depths: tuple[int, int],
    ) -> None:
        """`depths`: after how many blocks a deposit is credited, and after how many it may be spent."""
        self._customer = customer
        self._chain = chain
        self._operators = operators
        self._credited, self._final = depths
        self._run = f"money-{secrets.token_hex(4)}"

    async def show(self) -> list[Shown]:
        """Every kind of payment, one after the other. Raises MoneyError, ExchangeAwayError, RequestRefusedError."""
        return [
            await self._shown("deposit from the bank", "USD", self._bank_deposit),
            await self._shown("deposit that the bank took back", "USD", self._returned_deposit),
            await self._shown("withdrawal to the bank, approved", "USD", self._bank_withdrawal),
            await self._shown("deposit from the chain, reorganised", "ETH", self._lost_deposit),
            await self._shown("the same deposit, in another block", "ETH", self._chain_deposit),
            await self._shown("withdrawal to the chain, approved", "ETH", self._chain_withdrawal),
        ]

    async def _shown(self, title: str, asset: str, play: Callable[[], Awaitable[tuple[int, str]]]) -> Shown:
        before = await self._holds(asset)
        expected, story = await play()
        return Shown(title, asset, story, await self._holds(asset) - before, expected)

    async def _bank_deposit(self) -> tuple[int, str]:
        made = await self._ask_bank("deposits", "250.25", "in")
        await self._completed(made)
        return _fine("250.25"), "asked for, signed for by the bank, credited"

    async def _returned_deposit(self) -> tuple[int, str]:
        made = await self._ask_bank("deposits", "75.777", "back")
        await self._completed(made)
        back = await self._until(lambda: self._reversal_of(made["id"]), "the bank never took its deposit back")
        return 0, f"credited, then reversed: {back['details'].get('cancel_reason', 'taken back')}"

    async def _bank_withdrawal(self) -> tuple[int, str]:
        made = await self._ask_bank("withdrawals", f"120.{DOUBTFUL}", "out")
        who = await self._approved(made)
        done = await self._completed(made)
        return -_fine(done["amount"]), f"held, a hit in the screening, {who}, paid, posted"

    async def _lost_deposit(self) -> tuple[int, str]:
        address = await self._address()
        await asyncio.to_thread(self._chain.watch)
        name = await asyncio.to_thread(self._chain.send, address, 3 * ETHER // 2)
        await asyncio.to_thread(self._chain.mine, self._credited - 1)
        await asyncio.to_thread(self._chain.watch)
        row = await self._until(lambda: self._received(name), "the deposit was never credited")
        locked = row["details"].get("locked", "nothing")
        await asyncio.to_thread(self._chain.rethink, self._credited)
        for _ in range(2):
            await asyncio.to_thread(self._chain.watch)
        await self._until(lambda: self._reversed(row["id"]), "what the chain took back was never reversed")
        return 0, f"credited with {locked} locked; {self._credited} blocks left the chain; reversed"

    async def _chain_deposit(self) -> tuple[int, str]:
        address = await self._address()
        name = await asyncio.to_thread(self._chain.send, address, 3 * ETHER // 2)
        await asyncio.to_thread(self._chain.mine, self._final)
        for _ in range(2):  # One run credits, the next one frees.
            await asyncio.to_thread(self._chain.watch)
        row = await self._until(lambda: self._received(name), "the deposit was never credited")
        free = "free" if "locked" not in row["details"] else "still locked"
        return _fine("1.5"), f"credited after {self._credited} blocks, after {self._final} it is {free}"

    async def _chain_withdrawal(self) -> tuple[int, str]:
        to = f"0x{secrets.token_hex(20)}"
        amount = f"0.2{DOUBTFUL}"
        body = {"amount": amount, "currency": "ETH", "crypto_address": to, "client_transfer_id": f"{self._run}-chain"}
        made = await self._customer.call("POST", "/withdrawals/crypto", body)
        who = await self._approved(made)
        await self._until(lambda: self._sent(made["id"]), "the payment was never sent")
        await asyncio.to_thread(self._chain.mine, self._final)
        await asyncio.to_thread(self._chain.pay)
        done = await self._completed(made)
        arrived = await asyncio.to_thread(self._chain.has, to)
        if arrived != _fine(amount):
            raise MoneyError(f"{to} has {arrived} of the chain's units, not {amount} ETH")
        fee = done["details"].get("fee", "0")
        return -_fine(done["amount"]), f"held, a hit in the screening, {who}, signed, mined, final; fee {fee}"

    async def _ask_bank(self, way: str, amount: str, name: str) -> dict[str, Any]:
        body = {"amount": amount, "currency": "USD", "payment_method_id": "sandbox-bank-USD"}
        named = {**body, "client_transfer_id": f"{self._run}-{name}"}
        made: dict[str, Any] = await self._customer.call("POST", f"/{way}/payment-method", named)
        return made

    async def _approved(self, made: Mapping[str, Any]) -> str:
        """Let one operator propose to release a withdrawal, and another approve it."""
        await self._until(lambda: self._in_stage(made["id"], "in_review"), "no operator was asked")
        proposer, approver = self._operators
        wanted = {"kind": "withdrawal.release", "payload": {"transfer_id": made["id"]}, "reason": "known to us"}
        proposal = await asyncio.to_thread(proposer.ask, "POST", "/v1/proposals", {**wanted, "key": uuid4().hex})
        decision = {"payload_hash": proposal["payload_hash"], "reason": "looked at it too"}
        await asyncio.to_thread(approver.ask, "POST", f"/v1/proposals/{proposal['id']}/approvals", decision)
        return "released by two operators"

    async def _in_stage(self, transfer_id: str, stage: str) -> bool:
        found = await self._customer.get(f"/transfers/{transfer_id}")
        return bool(found["details"].get("stage") == stage)

    async def _sent(self, transfer_id: str) -> bool:
        await asyncio.to_thread(self._chain.pay)
        found = await self._customer.get(f"/transfers/{transfer_id}")
        return "crypto_transaction_hash" in found["details"]

    async def _completed(self, made: Mapping[str, Any]) -> dict[str, Any]:
        async def over() -> dict[str, Any] | None:
            found: dict[str, Any] = await self._customer.get(f"/transfers/{made['id']}")
            return found if found["status"] != "pending" else None

        found: dict[str, Any] = await self._until(over, f"transfer {made['id']} is pending still")
        if found["status"] != "completed":
            raise MoneyError(f"transfer {made['id']} is {found['status']}: {found['details']}")
        return found

    async def _reversal_of(self, transfer_id: str) -> dict[str, Any] | None:
        rows = await self._customer.get("/transfers?limit=50")
        return next((row for row in rows if row["details"].get("reverses") == transfer_id), None)

    async def _reversed(self, transfer_id: str) -> bool:
        found = await self._customer.get(f"/transfers/{transfer_id}")
        return "reversed_by" in found["details"]

    async def _received(self, name: str) -> dict[str, Any] | None:
        rows = await self._customer.get("/transfers?limit=50")
        wanted = name.removeprefix("0x")
        return next((row for row in rows if _hash_of(row) == wanted and row["type"] == "deposit"), None)

    async def _address(self) -> str:
        accounts = await self._customer.get("/accounts")
        wallet = next(row["id"] for row in accounts if row["currency"] == "ETH")
        made = await self._customer.call("POST", f"/coinbase-accounts/{wallet}/addresses", {})
        return str(made["address"])

    async def _holds(self, asset: str) -> int:
        held = await read_holdings([self._customer])
        return held.by_customer[self._customer.name].get(asset, 0)

    async def _until(self, look: Callable[[], Awaitable[Any]], otherwise: str) -> Any:
        async with asyncio.timeout(WAIT_SECONDS_MAX) as limit:
            try:
                while not (found := await look()):
                    await asyncio.sleep(PAUSE_SECONDS)
            except asyncio.CancelledError:
                if limit.expired():
                    raise MoneyError(otherwise) from None
                raise
        return found


def _hash_of(row: Mapping[str, Any]) -> str:
    return str(row["details"].get("crypto_transaction_hash", "")).removeprefix("0x")


def _fine(amount: str) -> int:
    return parse_decimal(amount, SCALE)
