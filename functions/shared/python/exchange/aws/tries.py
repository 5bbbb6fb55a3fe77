"""Whether an error answers the only try of a call, or the last of several."""

from botocore.exceptions import ClientError


def was_retried(error: BaseException | None) -> bool:
    """Whether botocore had tried before: a refusal of the last try says nothing of the first, whose answer was lost."""
    if not isinstance(error, ClientError):
        return False
    return bool(error.response.get("ResponseMetadata", {}).get("RetryAttempts"))
