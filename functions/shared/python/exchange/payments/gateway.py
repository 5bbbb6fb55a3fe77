"""The two folders that a bank's file gateway serves: what we put out for it, and what it drops for us."""

import hashlib
import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exchange.iso20022.grammar import FILE_BYTES_MAX
from exchange.kernel.errors import UnavailableError

OUTBOX, INBOX, QUARANTINE = "outbox/", "inbox/", "bank-files/"


class FileGateway:
    """A bucket's outbox and inbox, and a place for what was refused."""

    def __init__(self, client: Any, *, bucket: str, quarantine_bucket: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._quarantine_bucket = quarantine_bucket

    def put(self, name: str, content: bytes) -> None:
        """Put a file into the outbox; again the same is harmless. Raises UnavailableError."""
        self._ask("put_object", Bucket=self._bucket, Key=OUTBOX + name, Body=content)

    def read(self, key: str, version: str = "") -> bytes:
        """A file of the inbox, of one that is too long its beginning and one byte too many. Raises UnavailableError."""
        part = {"VersionId": version} if version else {}
        answer = self._ask("get_object", Bucket=self._bucket, Key=key, Range=f"bytes=0-{FILE_BYTES_MAX}", **part)
        return bytes(answer["Body"].read())

    def keep(self, key: str, content: bytes, *, version: str, reason: str) -> str:
        """Keep a refused file whole, with what was wrong and where the original is; return where.

        Raises:   UnavailableError.
        """
        place = f"{QUARANTINE}{digest_of(content)}"
        told = {"file": key, "version": version, "bucket": self._bucket, "reason": reason}
        self._ask("put_object", Bucket=self._quarantine_bucket, Key=f"{place}/file.xml", Body=content)
        self._ask(
            "put_object", Bucket=self._quarantine_bucket, Key=f"{place}/reason.json", Body=json.dumps(told).encode()
        )
        return place

    def _ask(self, call: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, call)(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError(f"S3: {type(error).__name__}: {error}") from error


def digest_of(content: bytes) -> str:
    """A file's name by what is in it."""
    return hashlib.sha256(content).hexdigest()
