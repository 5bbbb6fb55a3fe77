"""The base of every table: attributes that hold whole numbers only, and what a failed transaction says."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from pynamodb.attributes import Attribute
from pynamodb.connection import Connection
from pynamodb.constants import NULL, NUMBER
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.models import Model

from exchange.kernel.errors import OutcomeUnknownError, UnavailableError

TRANSACTION_ITEMS_MAX = 100


class UnitsAttribute(Attribute[int]):
    """A whole number, exact to any size. PynamoDB's own NumberAttribute would let a float in."""

    attr_type = NUMBER

    def serialize(self, value: Any) -> str:
        """Whole numbers only. Raises TypeError for float, bool, Decimal and text."""
        if type(value) is not int and not (isinstance(value, int) and not isinstance(value, bool)):
            raise TypeError(f"{self.attr_name} holds whole numbers, not {type(value).__name__}")
        return str(int(value))

    def deserialize(self, value: str) -> int:
        """Read it back. Raises ValueError where something else wrote a fraction."""
        return int(value)


class OftenRead:
    """Beside Model: a model that is read so often that PynamoDB's own reading is felt. The same is made of an item.

    PynamoDB fills in the defaults twice, and stores each attribute through its descriptor.
    """

    @classmethod
    def from_raw_data(cls, data: dict[str, Any]) -> Self:
        """The model of an item as DynamoDB sends it. Raises AttributeDeserializationError for another type."""
        model: Any = cls
        item: Any = cls.__new__(cls)
        values = item.attribute_values = {}
        for name, attribute in model.get_attributes().items():
            stored = data.get(attribute.attr_name)
            if stored and NULL not in stored:
                values[name] = attribute.deserialize(attribute.get_value(stored))
            elif attribute.default is not None:
                values[name] = attribute.default() if callable(attribute.default) else attribute.default
        read: Self = item
        return read


def bind(model: type[Model], table_name: str) -> None:
    """Tell a model which table it is here. Called once by the composition root, before the first request."""
    meta: Any = model.Meta
    meta.table_name = table_name
    meta.region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    meta.connect_timeout_seconds = 2
    meta.read_timeout_seconds = 8
    meta.max_retry_attempts = 3
    meta.max_pool_connections = 32


def cancellation_codes(error: TransactWriteError) -> Sequence[str]:
    """Why each item of a cancelled transaction failed, in the items' order; "None" for those that did not.

    Raises:   UnavailableError where the transaction was not even tried; OutcomeUnknownError where nobody can say.
    """
    reasons = error.cancellation_reasons
    if reasons:
        return [reason.code if reason is not None else "None" for reason in reasons]
    raise outage(error)


@contextmanager
def reading() -> Iterator[None]:
    """A read that fails has changed nothing, whatever the reason.

    Raises:   UnavailableError for every error of PynamoDB inside.
    """
    try:
        yield
    except PynamoDBException as error:
        raise UnavailableError(f"DynamoDB: {error.msg}") from error


def error_code(error: PynamoDBException) -> str:
    """DynamoDB's name for what went wrong; empty where it did not answer.

    PynamoDB's own `cause_response_code` fails when there was no answer to take it from.
    """
    response = getattr(error.cause, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or "")


def outage(error: PynamoDBException) -> UnavailableError | OutcomeUnknownError:
    """The outage behind a PynamoDB error: throttled or refused means nothing happened; a lost answer means unknown.

    So does a refusal of a second try, for nobody knows what became of the first.
    """
    code = error_code(error)
    text = f"DynamoDB: {error.msg}"
    if code in _NOTHING_HAPPENED and not _tried_before(error):
        return UnavailableError(text)
    return OutcomeUnknownError(text)


def _tried_before(error: PynamoDBException) -> bool:
    # PynamoDB's own error leaves out what botocore says of its tries; the error behind it has it.
    behind = getattr(error.cause, "__cause__", None) or error.cause
    response = getattr(behind, "response", None) or {}
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts"))


_NOTHING_HAPPENED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ResourceNotFoundException",
        "AccessDeniedException",
        "ValidationException",
    }
)


def connection() -> Connection:
    """A connection for transactions, with the same time-outs as the tables bound here."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return Connection(region=region, connect_timeout_seconds=2, read_timeout_seconds=8, max_retry_attempts=3)
