"""Sealing the secrets of API keys with KMS: bound to key and customer, so that one can't be passed off as another's."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exchange.kernel.errors import UnavailableError, require


class KmsSecrets:
    """Seals and opens with one KMS key; the context, ids of key and customer, also shows in the trail."""

    def __init__(self, client: Any, kms_key_id: str) -> None:
        self._client = client
        self._kms_key_id = kms_key_id

    def seal(self, secret: bytes, *, key_id: str, user_id: str) -> bytes:
        """Encrypt a secret. Raises UnavailableError."""
        answer = self._ask(self._client.encrypt, Plaintext=secret, EncryptionContext=_context(key_id, user_id))
        return bytes(answer["CiphertextBlob"])

    def open(self, sealed: bytes, *, key_id: str, user_id: str) -> bytes:
        """Decrypt a secret.

        Raises:   UnavailableError; InvariantError where it was sealed for another key or customer.
        """
        answer = self._ask(self._client.decrypt, CiphertextBlob=sealed, EncryptionContext=_context(key_id, user_id))
        return bytes(answer["Plaintext"])

    def _ask(self, operation: Any, **arguments: Any) -> Any:
        try:
            return operation(KeyId=self._kms_key_id, **arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            require(code not in {"InvalidCiphertextException", "IncorrectKeyException"}, f"a sealed secret: {code}")
            raise UnavailableError(f"KMS: {code}") from error
        except BotoCoreError as error:
            raise UnavailableError(f"KMS: {type(error).__name__}") from error


def _context(key_id: str, user_id: str) -> dict[str, str]:
    return {"key_id": key_id, "user_id": user_id}
