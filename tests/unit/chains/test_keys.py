"""Addresses come from the public key alone, and are those that the private key can sign for."""

import sys

import pytest
from exchange.chains.keys import ACCOUNT_PATH, ExtendedPrivateKey, ExtendedPublicKey

# The first test vector of BIP-32, chains m and m/0'.
SEED = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
HARDENED = 1 << 31


def test_the_vectors_of_bip_32() -> None:
    master = ExtendedPrivateKey.from_seed(SEED)
    assert master.key.hex() == "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35"
    assert master.chain_code.hex() == "873dff81c02f525623fd1fe5167eac3a55a049de3d314bb42ee227ffed37d508"
    child = master.child(HARDENED)
    assert child.key.hex() == "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea"
    grandchild = child.child(1)
    assert grandchild.key.hex() == "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"
    assert child.public().child(1) == grandchild.public()


@pytest.mark.parametrize("index", [0, 1, 7, 2**31 - 1])
def test_the_public_keys_address_is_the_private_keys(index: int) -> None:
    # The library raises the limit of recursion for the whole process.
    limit = sys.getrecursionlimit()
    from eth_account import Account

    sys.setrecursionlimit(limit)
    account = ExtendedPrivateKey.from_seed(SEED).descend(ACCOUNT_PATH)
    known = ExtendedPublicKey.parse(account.public().text)
    assert known.child(index).address() == Account.from_key(account.child(index).key).address


def test_a_public_key_has_no_hardened_children_and_a_private_one_shows_nothing() -> None:
    account = ExtendedPrivateKey.from_seed(SEED)
    with pytest.raises(ValueError, match="2\\^31"):
        account.public().child(HARDENED)
    assert account.key.hex() not in repr(account)
    assert repr(account.key) not in repr(account)
