"""An operator's word that a paused product may go on without the record that stopped it.

The word is an item of the table of leases, `release/<product id>/<record>`, so whoever may write there may give it.
"""

from typing import Protocol

from exchange.aws.dynamodb import outage
from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PynamoDBException
from pynamodb.models import Model

RELEASE_PREFIX = "release/"


class Releases(Protocol):
    """Knows what was released."""

    def is_released(self, product_id: str, record: str) -> bool:
        """Whether the product may go on behind this record. Raises OutageError."""
        ...


class ReleaseItem(Model):
    """One release; it is never taken back."""

    class Meta:
        table_name = "leases"

    shard = UnicodeAttribute(hash_key=True)


class ReleaseStore:
    """Releases beside the leases."""

    def is_released(self, product_id: str, record: str) -> bool:
        """Whether the product may go on behind this record."""
        try:
            ReleaseItem.get(_key(product_id, record), consistent_read=True)
        except DoesNotExist:
            return False
        except PynamoDBException as error:
            raise outage(error) from error
        return True

    def release(self, product_id: str, record: str) -> None:
        """Let the product go on; the record itself stays in quarantine and is never applied."""
        try:
            ReleaseItem(_key(product_id, record)).save()
        except PynamoDBException as error:
            raise outage(error) from error


def _key(product_id: str, record: str) -> str:
    return f"{RELEASE_PREFIX}{product_id}/{record}"
