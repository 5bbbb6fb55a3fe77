"""A venue's books without a cloud: a journal, closings and files in memory, and a hand that really signs."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from exchange.books.model import Closing
from exchange.ledger.model import Batch, Entry, EntryKind, Head, next_batch


@dataclass
class FakeJournal:
    """Chains that grow batch by batch; `at_ns` is when the next one is posted."""

    chains: dict[str, list[Batch]] = field(default_factory=lambda: defaultdict(list))
    at_ns: int = 0

    def partitions(self) -> list[str]:
        """Every chain's name."""
        return sorted(self.chains)

    def batches(self, partition: str, *, after: int) -> Iterator[tuple[Batch, bytes]]:
        """The batches behind a number."""
        return ((batch, batch.hash()) for batch in self.chains[partition] if batch.number > after)

    def post(self, partition: str, *legs: tuple[str, str, int]) -> Batch:
        """Append a batch of (account, asset, units)."""
        chain = self.chains[partition]
        head = Head(chain[-1].number, chain[-1].hash()) if chain else Head()
        entries = [Entry(account, asset, units, EntryKind.TRANSFER, "1") for account, asset, units in legs]
        chain.append(next_batch(head, partition=partition, posted_at_ns=self.at_ns, reference="1", entries=entries))
        return chain[-1]


@dataclass
class FakeClosings:
    """Closings in memory."""

    kept: list[Closing] = field(default_factory=list)

    def last(self) -> Closing | None:
        """The newest."""
        return self.kept[-1] if self.kept else None

    def add(self, closing: Closing) -> bool:
        """Put the next one; False where its number is taken."""
        if closing.number != len(self.kept) + 1:
            return False
        self.kept.append(closing)
        return True


@dataclass
class FakeVault:
    """Files in memory."""

    files: dict[str, bytes] = field(default_factory=dict)

    def save(self, name: str, content: bytes) -> None:
        """Put a file."""
        self.files[name] = content

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """A file or a part of it."""
        content = self.files[name]
        return content[offset:] if length is None else content[offset : offset + length]


class RsaSigner:
    """A key of its own, used as KMS uses the venue's."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(self, text: str) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256."""
        return self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())

    def public_key(self) -> str:
        """As PEM."""
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()
