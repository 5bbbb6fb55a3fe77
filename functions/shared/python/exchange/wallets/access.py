"""The composition that every API shares by which money leaves: what judges withdrawals, over DynamoDB and KMS."""

from collections.abc import Callable, Mapping

from exchange.aws.dynamodb import bind, connection
from exchange.instruments.model import Asset
from exchange.safeguards.model import Gatekeeper
from exchange.safeguards.store import SafeguardItem, SafeguardTable
from exchange.safeguards.totp import TotpCodes
from exchange.users.access import stores


def gatekeeper(safeguards_table: str, secrets_key_id: str, assets: Callable[[], Mapping[str, Asset]]) -> Gatekeeper:
    """Bind the table of safeguards and make what judges; the customers' table is bound by the authenticator."""
    bind(SafeguardItem, safeguards_table)
    customers, _, secrets = stores(secrets_key_id)
    return Gatekeeper(assets, customers, SafeguardTable(connection()), TotpCodes(secrets).step)
