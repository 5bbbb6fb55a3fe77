"""The composition that every API shares: an authenticator over DynamoDB, KMS and the user pool."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from exchange.aws.clients import client
from exchange.aws.dynamodb import bind, connection
from exchange.kernel.clock import SystemClock
from exchange.kernel.errors import UnavailableError
from exchange.referrals.store import ReferralItem, ReferralStore
from exchange.usage.last_uses import LastUses
from exchange.usage.store import UsageItem, UsageStore
from exchange.users.authentication import Authenticator
from exchange.users.identity import CognitoIdentities
from exchange.users.sealing import KmsSecrets
from exchange.users.store import ApiKeyItem, ApiKeyStore, CustomerItem, CustomerStore, ProfileItem, ProfileStore
from exchange.users.tokens import PoolTokens, PublishedKeys

FETCH_SECONDS_MAX = 3


def authenticator(
    *,
    api_keys_table: str,
    users_table: str,
    usage_table: str,
    secrets_key_id: str,
    user_pool_id: str,
    user_pool_client_id: str,
) -> Authenticator:
    """Bind the tables of customers and keys and make the authenticator of this process."""
    bind(ApiKeyItem, api_keys_table)
    bind(CustomerItem, users_table)
    bind(UsageItem, usage_table)
    customers, keys, secrets = stores(secrets_key_id)
    return Authenticator(
        keys=keys,
        secrets=secrets,
        tokens=pool_tokens(user_pool_id, user_pool_client_id),
        customers=customers,
        clock=SystemClock(),
        uses=LastUses(UsageStore(connection())),
    )


def identities(user_pool_id: str, user_pool_client_id: str) -> CognitoIdentities:
    """Sign-up and login at the user pool."""
    tokens = pool_tokens(user_pool_id, user_pool_client_id)
    return CognitoIdentities(client("cognito-idp"), user_pool_client_id, tokens)


def stores(secrets_key_id: str) -> tuple[CustomerStore, ApiKeyStore, KmsSecrets]:
    """What changes customers and keys; the tables are bound by `authenticator`."""
    return CustomerStore(), ApiKeyStore(connection()), KmsSecrets(client("kms"), secrets_key_id)


def profiles(profiles_table: str) -> ProfileStore:
    """Where the profiles beside the default ones are."""
    bind(ProfileItem, profiles_table)
    return ProfileStore(connection())


def referrals(referrals_table: str) -> ReferralStore:
    """Where referral codes are, and who was brought by whom."""
    bind(ReferralItem, referrals_table)
    return ReferralStore()


def pool_tokens(user_pool_id: str, user_pool_client_id: str) -> PoolTokens:
    """What knows the access tokens of one client of one pool."""
    # The pool's keys are fetched with the first token, not before.
    clock = SystemClock()
    region = user_pool_id.partition("_")[0]
    return PoolTokens(
        issuer=f"https://cognito-idp.{region}.amazonaws.com/{user_pool_id}",
        client_id=user_pool_client_id,
        keys=PublishedKeys(lambda: _published_keys(user_pool_id), clock),
        clock=clock,
    )


def _published_keys(user_pool_id: str) -> Mapping[str, Any]:
    """The pool's key set, from wherever boto3 finds Cognito: AWS, or the endpoint of AWS_ENDPOINT_URL."""
    url = f"{client('cognito-idp').meta.endpoint_url}/{user_pool_id}/.well-known/jwks.json"
    try:
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS_MAX) as answer:  # noqa: S310 - the address is boto3's
            published = json.load(answer)
    except (OSError, ValueError) as error:
        raise UnavailableError(f"the user pool's keys: {error}") from error
    if not isinstance(published, dict):
        raise UnavailableError("the user pool's keys: no key set came")
    return published
