"""Closings in DynamoDB, their files in S3, their signature by KMS."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError
from pynamodb.models import Model

from exchange.aws.dynamodb import UnitsAttribute, error_code, outage, reading
from exchange.books.model import Closing
from exchange.kernel.errors import UnavailableError
from exchange.ledger.model import Batch
from exchange.ledger.store import JournalStore
from exchange.statements.store import reached_partitions

_VENUE = "venue"


class ClosingItem(Model):
    """One closing. Put once, never updated or deleted."""

    class Meta:
        table_name = "closings"

    book = UnicodeAttribute(hash_key=True)
    number = UnitsAttribute(range_key=True)
    until_ns = UnitsAttribute()
    statement = UnicodeAttribute()
    signature = BinaryAttribute(legacy_encoding=False)
    public_key = UnicodeAttribute()
    folder = UnicodeAttribute()
    salt = BinaryAttribute(legacy_encoding=False)


class Chains:
    """The journal's chains, as the statements know them."""

    def __init__(self) -> None:
        self._journal = JournalStore()

    def partitions(self) -> list[str]:
        """The name of every chain. Raises UnavailableError."""
        return sorted(reached_partitions())

    def batches(self, partition: str, *, after: int) -> Iterable[tuple[Batch, bytes]]:
        """The batches behind number `after` with their hashes, oldest first. Raises UnavailableError."""
        with reading():
            yield from self._journal.batches(partition, after=after)


class ClosingStore:
    """Closings by number."""

    def last(self) -> Closing | None:
        """The newest one, read consistently. Raises UnavailableError."""
        with reading():
            for item in ClosingItem.query(_VENUE, consistent_read=True, scan_index_forward=False, limit=1):
                return _closing(item)
        return None

    def closing(self, number: int) -> Closing | None:
        """One closing. Raises UnavailableError."""
        with reading():
            for item in ClosingItem.query(_VENUE, ClosingItem.number == number, consistent_read=True):
                return _closing(item)
        return None

    def page(self, after: int | None, before: int | None) -> Iterator[Closing]:
        """Closings numbered under `after`, newest first; or above `before`, oldest first. Raises UnavailableError."""
        older = ClosingItem.number < after if after is not None else None
        newer = ClosingItem.number > before if before is not None else None
        with reading():
            for item in ClosingItem.query(
                _VENUE, older if newer is None else newer, consistent_read=True, scan_index_forward=newer is not None
            ):
                yield _closing(item)

    def add(self, closing: Closing) -> bool:
        """Put the next one; False where its number is taken. Raises OutageError."""
        item = ClosingItem(
            book=_VENUE,
            number=closing.number,
            until_ns=closing.until_ns,
            statement=closing.statement,
            signature=closing.signature,
            public_key=closing.public_key,
            folder=closing.folder,
            salt=closing.salt,
        )
        try:
            item.save(condition=ClosingItem.book.does_not_exist())
        except PutError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return False
            raise outage(error) from error
        return True


class S3Vault:
    """Files in a bucket that keeps every version of them."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def save(self, name: str, content: bytes) -> None:
        """Put a file. Raises UnavailableError."""
        _ask(self._client.put_object, Bucket=self._bucket, Key=name, Body=content)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """A file, or `length` bytes of it. Raises UnavailableError."""
        part = {} if length is None else {"Range": f"bytes={offset}-{offset + length - 1}"}
        answer = _ask(self._client.get_object, Bucket=self._bucket, Key=name, **part)
        return bytes(answer["Body"].read())


class KmsSigner:
    """An RSA key that KMS keeps: anyone can check its signature with a few lines, or with openssl."""

    def __init__(self, client: Any, key_id: str) -> None:
        self._client = client
        self._key_id = key_id

    def sign(self, text: str) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256 over the text in UTF-8. Raises UnavailableError."""
        answer = _ask(
            self._client.sign,
            KeyId=self._key_id,
            Message=hashlib.sha256(text.encode()).digest(),
            MessageType="DIGEST",
            SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
        )
        return bytes(answer["Signature"])

    def public_key(self) -> str:
        """What the signature is checked with, as PEM. Raises UnavailableError."""
        encoded = base64.b64encode(_ask(self._client.get_public_key, KeyId=self._key_id)["PublicKey"]).decode()
        lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def _closing(item: ClosingItem) -> Closing:
    return Closing(item.number, item.until_ns, item.statement, item.signature, item.public_key, item.folder, item.salt)


def _ask(operation: Any, **arguments: Any) -> Any:
    try:
        return operation(**arguments)
    except ClientError as error:
        raise UnavailableError(f"AWS: {error.response.get('Error', {}).get('Code', '')}") from error
    except BotoCoreError as error:
        raise UnavailableError(f"AWS: {type(error).__name__}") from error
