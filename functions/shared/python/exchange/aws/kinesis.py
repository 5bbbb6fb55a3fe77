"""Writing to a stream, so that a caller knows whether the record is in it."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exchange.aws.tries import was_retried
from exchange.kernel.errors import OutcomeUnknownError, UnavailableError

_NOTHING_HAPPENED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ResourceNotFoundException",
        "AccessDeniedException",
        "ValidationException",
    }
)


class StreamWriter:
    """Puts records on one stream; the partition key is the product, so a product's records keep their order."""

    def __init__(self, client: Any, stream_name: str) -> None:
        self._client = client
        self._stream_name = stream_name

    def put(self, *, product_id: str, data: bytes) -> str:
        """Put one record and return its sequence number.

        Raises:   UnavailableError when it is certainly not in the stream; OutcomeUnknownError when it may be.
        """
        try:
            answer = self._client.put_record(StreamName=self._stream_name, PartitionKey=product_id, Data=data)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            certain = code in _NOTHING_HAPPENED and not was_retried(error)
            kind = UnavailableError if certain else OutcomeUnknownError
            raise kind(f"Kinesis {self._stream_name}: {code}") from error
        except BotoCoreError as error:
            raise OutcomeUnknownError(f"Kinesis {self._stream_name}: {type(error).__name__}") from error
        return str(answer["SequenceNumber"])
