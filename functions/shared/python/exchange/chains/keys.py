"""Keys of BIP-32: many addresses from one public key, by a number each, while the private one stays locked away.

The path is BIP-44's, m/44'/60'/0'/0/n. What the exchange knows is the extended public key of m/44'/60'/0'/0; KMS can't
derive children, so the seed behind it is sealed by KMS and opened only to sweep.
"""

import hashlib
import hmac
from dataclasses import dataclass

from coincurve import PrivateKey, PublicKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

HARDENED = 1 << 31
ACCOUNT_PATH = (44 + HARDENED, 60 + HARDENED, HARDENED, 0)
INDEX_MAX = HARDENED - 1


@dataclass(frozen=True, slots=True)
class ExtendedPublicKey:
    """A public key that has children: 33 bytes of key, 32 of chain code."""

    key: bytes
    chain_code: bytes

    @classmethod
    def parse(cls, text: str) -> "ExtendedPublicKey":
        """Read back what `text` wrote."""
        data = bytes.fromhex(text)
        return cls(PublicKey(data[:33]).format(), data[33:])

    @property
    def text(self) -> str:
        """As hexadecimal text."""
        return (self.key + self.chain_code).hex()

    def child(self, index: int) -> "ExtendedPublicKey":
        """The child of a number below 2^31. Raises ValueError for one chance in 2^127: take the next number."""
        if not 0 <= index <= INDEX_MAX:
            raise ValueError("a public key has children from 0 to 2^31 - 1 only")
        tweak, chain_code = _split(self.chain_code, self.key + index.to_bytes(4, "big"))
        return ExtendedPublicKey(PublicKey(self.key).add(tweak).format(), chain_code)

    def address(self) -> str:
        """The address of its holder on an Ethereum chain, with the checksum of EIP-55."""
        return address_of(PublicKey(self.key).format(compressed=False))


@dataclass(frozen=True, slots=True, repr=False)
class ExtendedPrivateKey:
    """A private key that has children. It has no text form and shows nothing of itself."""

    key: bytes
    chain_code: bytes

    @classmethod
    def from_seed(cls, seed: bytes) -> "ExtendedPrivateKey":
        """The master key of a seed."""
        return cls(*_split(b"Bitcoin seed", seed))

    def child(self, index: int) -> "ExtendedPrivateKey":
        """The child of a number; 2^31 and above are hardened."""
        private = PrivateKey(self.key)
        parent = b"\0" + self.key if index >= HARDENED else private.public_key.format()
        tweak, chain_code = _split(self.chain_code, parent + index.to_bytes(4, "big"))
        return ExtendedPrivateKey(private.add(tweak).secret, chain_code)

    def descend(self, path: tuple[int, ...]) -> "ExtendedPrivateKey":
        """The descendant at the end of a path."""
        found = self
        for index in path:
            found = found.child(index)
        return found

    def public(self) -> ExtendedPublicKey:
        """The public key beside it."""
        return ExtendedPublicKey(PrivateKey(self.key).public_key.format(), self.chain_code)


def address_of(uncompressed: bytes) -> str:
    """The Ethereum address of an uncompressed public key."""
    return str(to_checksum_address(keccak(uncompressed[1:])[-20:]))


def _split(key: bytes, data: bytes) -> tuple[bytes, bytes]:
    digest = hmac.new(key, data, hashlib.sha512).digest()
    return digest[:32], digest[32:]
