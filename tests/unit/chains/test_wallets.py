"""Signatures: what KMS gives becomes what a chain takes; and a seed's child signs for its own address only."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from eth_account import Account
from exchange.chains.departures import Departure, Purpose
from exchange.chains.evm_wallet import EvmWallet, KmsKey
from exchange.chains.keys import ACCOUNT_PATH, ExtendedPrivateKey
from exchange.chains.seed import SealedSeed
from exchange.kernel.errors import InvariantError

HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2
TO = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"


class FakeKms:
    """A key of KMS: DER signatures with either s, a public key as SPKI, and what it sealed."""

    def __init__(self, seed: bytes = b"") -> None:
        self.key = ec.generate_private_key(ec.SECP256K1())
        self.seed, self.opened = seed, 0

    def get_public_key(self, *, KeyId: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return {"PublicKey": self.key.public_key().public_bytes(encoding, form)}

    def sign(self, *, KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str) -> dict[str, Any]:  # noqa: N803
        assert (MessageType, SigningAlgorithm) == ("DIGEST", "ECDSA_SHA_256")
        return {"Signature": self.key.sign(Message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))}

    def decrypt(self, *, KeyId: str, CiphertextBlob: bytes, EncryptionContext: dict[str, str]) -> dict[str, Any]:  # noqa: N803
        assert EncryptionContext == {"chain": "testchain"}
        self.opened += 1
        return {"Plaintext": self.seed}


def a_departure(sender: str, contract: str = "") -> Departure:
    return Departure(
        "testchain", "withdrawal:t", Purpose.WITHDRAWAL, sender, TO, "ETH", contract, 1, 10**10, 1, nonce=3, gas=21_000
    )


def test_a_signature_of_kms_has_the_lower_s_and_leads_back_to_its_address() -> None:
    kms = FakeKms()
    key = KmsKey(kms, "k")
    for number in range(24):  # Half of KMS's signatures have the upper s, half of the points an odd y.
        signature = key.sign(hashlib.sha256(bytes([number])).digest())
        assert int.from_bytes(signature[32:64], "big") <= HALF_ORDER
        assert signature[64] in (0, 1)
    for contract in ("", "0x" + "c0" * 20):
        version = EvmWallet(1, lambda _: key).sign(a_departure(key.address, contract), fee=7, tip=2, at_ns=5)
        assert Account.recover_transaction(version.raw).lower() == key.address
        assert (version.fee, version.tip, version.signed_at_ns) == (7, 2, 5)


def test_the_same_payment_signed_anew_says_the_same_but_for_its_offer() -> None:
    key = KmsKey(FakeKms(), "k")
    wallet, departure = EvmWallet(1, lambda _: key), a_departure(key.address)
    first, second = (wallet.sign(departure, fee=fee, tip=1, at_ns=5) for fee in (7, 8))
    assert first.hash != second.hash
    assert first.raw.startswith("0x02")


def test_a_key_signs_for_its_own_address_only() -> None:
    wallet = EvmWallet(1, lambda _: KmsKey(FakeKms(), "k"))
    with pytest.raises(InvariantError, match="not 0x5aae"):
        wallet.sign(a_departure(TO), fee=7, tip=2, at_ns=5)
    key = KmsKey(FakeKms(), "k")
    unbound = replace(a_departure(key.address), nonce=-1)
    with pytest.raises(InvariantError, match="no nonce"):
        EvmWallet(1, lambda _: key).sign(unbound, fee=7, tip=2, at_ns=5)


class Seeds:
    """One address, the third of its seed."""

    def __init__(self, address: str) -> None:
        self.address = address

    def sealed_seed(self, chain: str) -> bytes | None:
        return b"sealed"

    def address_index(self, chain: str, address: str) -> int | None:
        return 2 if address == self.address else None


def test_the_seed_is_opened_once_and_its_child_signs_and_shows_nothing() -> None:
    seed = bytes(range(64))
    address = ExtendedPrivateKey.from_seed(seed).descend(ACCOUNT_PATH).public().child(2).address().lower()
    kms = FakeKms(seed)
    sealed = SealedSeed(kms, "k", "testchain", Seeds(address))
    wallet = EvmWallet(1, sealed.key_of)
    for fee in (7, 8):
        version = wallet.sign(a_departure(address), fee=fee, tip=2, at_ns=5)
        assert Account.recover_transaction(version.raw).lower() == address
    assert kms.opened == 1
    key = sealed.key_of(address)
    assert key.child.key.hex() not in repr(key) + str(key)
    with pytest.raises(InvariantError, match="no deposit address"):
        sealed.key_of(TO)
