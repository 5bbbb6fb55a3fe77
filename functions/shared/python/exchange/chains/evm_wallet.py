"""Signing for an Ethereum chain: by a key that never leaves KMS, or by a child of the deposit seed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from coincurve import PrivateKey, PublicKey
from coincurve.ecdsa import der_to_cdata, serialize_compact, signature_normalize
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from exchange.chains.departures import Departure, Version
from exchange.chains.keys import ExtendedPrivateKey, address_of
from exchange.kernel.errors import UnavailableError, require

_TRANSFER_CALL = "0xa9059cbb"  # transfer(address,uint256)
_SPKI_POINT_BYTES = 65  # what a public key in KMS's answer ends with: 4, x, y


class Key(Protocol):
    """A private key that signs and is not shown."""

    @property
    def address(self) -> str:
        """Its address, in lower case."""
        ...

    def sign(self, digest: bytes) -> bytes:
        """r, s and the recovery id over 32 bytes; s is the lower of the two that fit, as EIP-2 wants it."""
        ...


class KmsKey:
    """A key of KMS of the kind ECC_SECG_P256K1."""

    def __init__(self, kms: Any, key_id: str) -> None:
        self._kms = kms
        self._key_id = key_id
        self._point = b""

    @property
    def address(self) -> str:
        """Its address, in lower case. Raises UnavailableError."""
        return address_of(self._public_key()).lower()

    def sign(self, digest: bytes) -> bytes:
        """r, s and the recovery id. KMS gives neither the lower s nor the id. Raises UnavailableError."""
        answer = self._asked(
            lambda: self._kms.sign(
                KeyId=self._key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
            )
        )
        _, low = signature_normalize(der_to_cdata(bytes(answer["Signature"])))
        compact = serialize_compact(low)
        ours = [each for each in (0, 1) if _recovered(compact + bytes([each]), digest) == self._public_key()]
        require(ours, "KMS signed with another key than it told the public half of")
        return bytes(compact) + bytes(ours[:1])

    def _public_key(self) -> bytes:
        if not self._point:
            answer = self._asked(lambda: self._kms.get_public_key(KeyId=self._key_id))
            point = bytes(answer["PublicKey"])[-_SPKI_POINT_BYTES:]
            self._point = PublicKey(point).format(compressed=False)  # Raises where it is no point of the curve.
        return self._point

    @staticmethod
    def _asked(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError(f"KMS: {type(error).__name__}") from error


def _recovered(signature: bytes, digest: bytes) -> bytes:
    try:
        return PublicKey.from_signature_and_message(signature, digest, hasher=None).format(compressed=False)
    except Exception:  # noqa: BLE001 - coincurve raises bare Exception for an id that leads to no point
        return b""


@dataclass(frozen=True, slots=True, repr=False)
class SeedKey:
    """A child of the deposit seed. It shows nothing of itself."""

    child: ExtendedPrivateKey

    @property
    def address(self) -> str:
        """Its address, in lower case."""
        return self.child.public().address().lower()

    def sign(self, digest: bytes) -> bytes:
        """r, s and the recovery id."""
        return PrivateKey(self.child.key).sign_recoverable(digest, hasher=None)


class EvmWallet:
    """Signs departures of one chain. `key_of` has the key of a sender."""

    def __init__(self, chain_id: int, key_of: Callable[[str], Key]) -> None:
        self._chain_id = chain_id
        self._key_of = key_of

    def sign(self, departure: Departure, *, fee: int, tip: int, at_ns: int) -> Version:
        """A version of a departure that has its nonce and its gas, of the kind of EIP-1559.

        Raises:   InvariantError where the key is not the sender's; UnavailableError.
        """
        key = self._key_of(departure.sender)
        require(key.address == departure.sender, f"{departure.departure_id}: the key is not {departure.sender}'s")
        require(departure.nonce >= 0 and departure.gas > 0, f"{departure.departure_id} has no nonce yet")
        unsigned = {
            **call_of(departure),
            "type": 2,
            "chainId": self._chain_id,
            "nonce": departure.nonce,
            "gas": departure.gas,
            "maxFeePerGas": fee,
            "maxPriorityFeePerGas": tip,
            "accessList": (),
        }
        signature = key.sign(bytes(TypedTransaction.from_dict(unsigned).hash()))
        parts = {
            "r": int.from_bytes(signature[:32], "big"),
            "s": int.from_bytes(signature[32:64], "big"),
            "v": signature[64],
        }
        raw = bytes(TypedTransaction.from_dict({**unsigned, **parts}).encode())
        return Version("0x" + keccak(raw).hex(), "0x" + raw.hex(), fee, tip, at_ns)


def call_of(departure: Departure) -> dict[str, Any]:
    """What a payment says to the chain: coin to its recipient, or a token's contract to move some."""
    if not departure.contract:
        return {"to": to_checksum_address(departure.recipient), "value": departure.base_units, "data": "0x"}
    data = _TRANSFER_CALL + departure.recipient[2:].rjust(64, "0") + f"{departure.base_units:064x}"
    return {"to": to_checksum_address(departure.contract), "value": 0, "data": data}
