"""The composition of the operators' API: an authenticator over the operators' pool."""

from exchange.admin.authentication import OperatorAuthenticator
from exchange.users.access import pool_tokens


def operators(operator_pool_id: str, operator_pool_client_id: str) -> OperatorAuthenticator:
    """What tells operators from everybody else."""
    return OperatorAuthenticator(pool_tokens(operator_pool_id, operator_pool_client_id))
