"""The deposit seed, opened: for as long as one run signs with its children, in one function's memory only."""

from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from exchange.chains.evm_wallet import SeedKey
from exchange.chains.keys import ACCOUNT_PATH, ExtendedPrivateKey
from exchange.kernel.errors import UnavailableError, unreachable


class Seeds(Protocol):
    """Where the sealed seed is kept, and the numbers of addresses."""

    def sealed_seed(self, chain: str) -> bytes | None:
        """The seed as KMS sealed it."""
        ...

    def address_index(self, chain: str, address: str) -> int | None:
        """The number of an address of ours."""
        ...


class SealedSeed:
    """Has the key of an address. KMS opens the seed when it is first asked for; nothing here can be printed."""

    def __init__(self, kms: Any, key_id: str, chain: str, seeds: Seeds) -> None:
        self._kms = kms
        self._key_id = key_id
        self._chain = chain
        self._seeds = seeds
        self._parent: ExtendedPrivateKey | None = None

    def key_of(self, address: str) -> SeedKey:
        """The key of an address of ours. Raises InvariantError for any other; UnavailableError."""
        index = self._seeds.address_index(self._chain, address)
        if index is None:
            unreachable(f"{address} is no deposit address of {self._chain}")
        if self._parent is None:
            self._parent = ExtendedPrivateKey.from_seed(self._open()).descend(ACCOUNT_PATH)
        return SeedKey(self._parent.child(index))

    def _open(self) -> bytes:
        sealed = self._seeds.sealed_seed(self._chain)
        if sealed is None:
            unreachable(f"{self._chain} has addresses and no seed")
        try:
            answer = self._kms.decrypt(
                KeyId=self._key_id, CiphertextBlob=sealed, EncryptionContext={"chain": self._chain}
            )
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError(f"KMS: {type(error).__name__}") from error
        return bytes(answer["Plaintext"])
