"""Customers and API keys in DynamoDB."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist, PutError, PynamoDBException, TransactWriteError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, cancellation_codes, error_code, outage
from exchange.aws.dynamodb import connection as connect
from exchange.kernel.clock import iso_utc
from exchange.kernel.errors import Code, Refused, UnavailableError
from exchange.referrals.model import Referral
from exchange.referrals.store import count_referred, put_referral
from exchange.usage.model import RateLimitTier
from exchange.users.model import ApiKey, Credential, Customer, CustomerStatus, KeyStatus, KycLevel, Profile, Scope

_REFUSED = "ConditionalCheckFailedException"
_CREDENTIAL = ("sealed_secret", "passphrase_hash", "public_key")


class CustomersByEmail(GlobalSecondaryIndex["CustomerItem"]):
    """Customers by their address, so that others can send them money."""

    class Meta:
        index_name = "by_email"
        projection = KeysOnlyProjection()

    email = UnicodeAttribute(hash_key=True)


class CustomersByAccount(GlobalSecondaryIndex["CustomerItem"]):
    """Customers by their default profile."""

    class Meta:
        index_name = "by_account"
        projection = KeysOnlyProjection()

    account_id = UnitsAttribute(hash_key=True)


class ProfilesByAccount(GlobalSecondaryIndex["ProfileItem"]):
    """Profiles beside the default ones by their account; whose one is never changes."""

    class Meta:
        index_name = "by_account"
        projection = KeysOnlyProjection()

    account_id = UnitsAttribute(hash_key=True)


class CustomerItem(Model):
    """A customer. `status` is what other people's transactions check; `api_keys` counts the active ones."""

    class Meta:
        table_name = "users"

    user_id = UnicodeAttribute(hash_key=True)
    account_id = UnitsAttribute()
    email = UnicodeAttribute()
    name = UnicodeAttribute()
    status = UnicodeAttribute()
    rate_limit_tier = UnicodeAttribute()
    created_at_ns = UnitsAttribute()
    api_keys = UnitsAttribute(default=0)
    profiles = UnitsAttribute(default=0)
    kyc_level = UnitsAttribute(null=True)
    credentials_changed_at_ns = UnitsAttribute(null=True)
    referral_code = UnicodeAttribute(null=True)
    referrer_id = UnitsAttribute(null=True)
    by_email = CustomersByEmail()
    by_account = CustomersByAccount()


class KeysByUser(GlobalSecondaryIndex["ApiKeyItem"]):
    """A customer's active keys by age: a revoked key has no `created_at` and so leaves the index."""

    class Meta:
        index_name = "by_user"
        projection = KeysOnlyProjection()

    user_id = UnicodeAttribute(hash_key=True)
    created_at = UnicodeAttribute(range_key=True)


class ApiKeyItem(Model):
    """An API key. Never deleted: a revoked key stays as evidence, opening nothing."""

    class Meta:
        table_name = "api_keys"

    key_id = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute()
    created_at = UnicodeAttribute(null=True)
    created_at_ns = UnitsAttribute()
    revoked_at_ns = UnitsAttribute(null=True)
    name = UnicodeAttribute()
    scopes = UnicodeSetAttribute()
    status = UnicodeAttribute()
    rate_limit_tier = UnicodeAttribute()
    sealed_secret = BinaryAttribute(legacy_encoding=False, null=True)
    passphrase_hash = BinaryAttribute(legacy_encoding=False, null=True)
    public_key = BinaryAttribute(legacy_encoding=False, null=True)
    previous_sealed_secret = BinaryAttribute(legacy_encoding=False, null=True)
    previous_passphrase_hash = BinaryAttribute(legacy_encoding=False, null=True)
    previous_public_key = BinaryAttribute(legacy_encoding=False, null=True)
    previous_until_ns = UnitsAttribute(null=True)
    expires_at_ns = UnitsAttribute(null=True)
    account_id = UnitsAttribute(null=True)
    allowed_addresses = UnicodeSetAttribute(null=True)
    by_user = KeysByUser()


class ProfileItem(Model):
    """A profile beside the default one. Never deleted: its orders and entries name it."""

    class Meta:
        table_name = "profiles"

    user_id = UnicodeAttribute(hash_key=True)
    account_id = UnitsAttribute(range_key=True)
    name = UnicodeAttribute()
    created_at_ns = UnitsAttribute()
    by_account = ProfilesByAccount()


class CustomerStore:
    """Customers, one item each."""

    def find(self, user_id: str) -> Customer | None:
        """A customer by id. Raises UnavailableError."""
        with _reading():
            try:
                return _customer(CustomerItem.get(user_id, consistent_read=True))
            except DoesNotExist:
                return None

    def by_email(self, email: str) -> Customer | None:
        """A customer by their address in lower case. Raises UnavailableError."""
        with _reading():
            found = [item.user_id for item in CustomerItem.by_email.query(email, limit=1)]
        return self.find(found[0]) if found else None

    def by_account(self, account_id: int) -> Customer | None:
        """A customer by their default profile. Raises UnavailableError."""
        with _reading():
            found = [item.user_id for item in CustomerItem.by_account.query(account_id, limit=1)]
        return self.find(found[0]) if found else None

    def owner_of(self, account_id: int) -> Customer | None:
        """Whose an account is: a default profile or one beside it, made a moment ago at the latest.

        Raises:   UnavailableError.
        """
        found = self.by_account(account_id)
        if found is None:
            with _reading():
                beside = [item.user_id for item in ProfileItem.by_account.query(account_id, limit=1)]
            found = self.find(beside[0]) if beside else None
        return found

    def create_once(self, customer: Customer) -> Customer:
        """Store a new customer, or return the one that is there: whoever comes first decides the account id.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        item = CustomerItem(
            user_id=customer.user_id,
            account_id=customer.account_id,
            email=customer.email,
            name=customer.name,
            status=customer.status.value,
            rate_limit_tier=customer.rate_limit_tier.value,
            created_at_ns=customer.created_at_ns,
            referral_code=customer.referral_code or None,
            referrer_id=customer.referrer_id or None,
        )
        put = _put_customer(item) if customer.referral is None else _put_brought(item, customer.referral)
        if put:
            return customer
        first = self.find(customer.user_id)
        if first is None:
            raise UnavailableError("a customer was there and is not")
        return first

    def rename(self, user_id: str, name: str) -> Customer | Refused:
        """Change a customer's name. Refuses USER_NOT_FOUND. Raises OutageError."""
        item = CustomerItem(user_id)
        try:
            item.update(actions=[CustomerItem.name.set(name)], condition=CustomerItem.user_id.exists())
        except UpdateError as error:
            if error_code(error) == _REFUSED:
                return Refused(Code.USER_NOT_FOUND, "this customer is not there any more")
            raise outage(error) from error
        return _customer(item)


def _put_customer(item: CustomerItem) -> bool:
    """Put a new customer; False where they are there. Raises OutageError."""
    try:
        item.save(condition=CustomerItem.user_id.does_not_exist())
    except PutError as error:
        if error_code(error) != _REFUSED:
            raise outage(error) from error
        return False
    return True


def _put_brought(item: CustomerItem, referral: Referral) -> bool:
    """The same of a customer whom another brought, with the referral and one more on the code's count."""
    transaction = TransactWrite(connection=connect())
    try:
        with transaction:
            transaction.save(item, condition=CustomerItem.user_id.does_not_exist())
            put_referral(transaction, item.account_id, referral)
            count_referred(transaction, item.referral_code or "")
    except TransactWriteError as error:
        return _refused(error)
    return True


class ApiKeyStore:
    """API keys, each written together with its owner's count of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, key_id: str) -> ApiKey | None:
        """A key by id, revoked ones too. Raises UnavailableError."""
        with _reading():
            try:
                return _api_key(ApiKeyItem.get(key_id, consistent_read=True))
            except DoesNotExist:
                return None

    def list_active(self, user_id: str) -> list[ApiKey]:
        """A customer's active keys, newest first. Raises UnavailableError."""
        with _reading():
            key_ids = [item.key_id for item in ApiKeyItem.by_user.query(user_id, scan_index_forward=False)]
        found = [self.find(key_id) for key_id in key_ids]
        return [key for key in found if key is not None and key.status is KeyStatus.ACTIVE]

    def create(self, key: ApiKey, *, keys_max: int) -> bool:
        """Store a new key; False where its owner is frozen or has `keys_max` already.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        room = CustomerItem.api_keys.does_not_exist() | (CustomerItem.api_keys < keys_max)
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                transaction.save(_item(key), condition=ApiKeyItem.key_id.does_not_exist())
                transaction.update(
                    CustomerItem(key.user_id),
                    actions=[
                        CustomerItem.api_keys.add(1),
                        CustomerItem.credentials_changed_at_ns.set(key.created_at_ns),
                    ],
                    condition=(CustomerItem.status == CustomerStatus.ACTIVE.value) & room,
                )
        except TransactWriteError as error:
            return _refused(error)
        return True

    def rotate(self, before: ApiKey, after: ApiKey, *, rotated_at_ns: int) -> bool:
        """Change a key's credentials; False where it is not active or not any more as it was `before`.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        old = before.credential
        same = (
            ApiKeyItem.public_key == old.public_key if old.public_key else ApiKeyItem.sealed_secret == old.sealed_secret
        )
        item = _item(after)
        named = (*_CREDENTIAL, *(f"previous_{name}" for name in _CREDENTIAL), "previous_until_ns")
        attributes = ApiKeyItem.get_attributes()
        actions: list[Action] = [
            attributes[name].remove() if getattr(item, name) is None else attributes[name].set(getattr(item, name))
            for name in named
        ]
        transaction = TransactWrite(connection=self._connection)
        active = ApiKeyItem.status == KeyStatus.ACTIVE.value
        try:
            with transaction:
                transaction.update(ApiKeyItem(after.key_id), actions=actions, condition=active & same)
                transaction.update(
                    CustomerItem(after.user_id),
                    actions=[CustomerItem.credentials_changed_at_ns.set(rotated_at_ns)],
                    condition=CustomerItem.user_id.exists(),
                )
        except TransactWriteError as error:
            return _refused(error)
        return True

    def revoke(self, user_id: str, key_id: str, *, revoked_at_ns: int) -> bool:
        """Close a key for good; False where this customer has no such active key.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        own = (ApiKeyItem.user_id == user_id) & (ApiKeyItem.status == KeyStatus.ACTIVE.value)
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                transaction.update(
                    ApiKeyItem(key_id),
                    actions=[
                        ApiKeyItem.status.set(KeyStatus.REVOKED.value),
                        ApiKeyItem.revoked_at_ns.set(revoked_at_ns),
                        ApiKeyItem.created_at.remove(),
                    ],
                    condition=own,
                )
                transaction.update(CustomerItem(user_id), actions=[CustomerItem.api_keys.add(-1)])
        except TransactWriteError as error:
            return _refused(error)
        return True


def guard_active(transaction: TransactWrite, user_id: str) -> None:
    """Add to a write that takes money from a customer that nobody has frozen them."""
    active = CustomerItem.status == CustomerStatus.ACTIVE.value
    transaction.condition_check(CustomerItem, user_id, condition=active)


class ProfileStore:
    """The profiles beside the default one, each made together with its owner's count of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list_profiles(self, user_id: str) -> list[Profile]:
        """A customer's profiles beside the default one, oldest first. Raises UnavailableError."""
        with _reading():
            found = [_profile(item) for item in ProfileItem.query(user_id, consistent_read=True)]
        return sorted(found, key=lambda profile: (profile.created_at_ns, profile.account_id))

    def create(self, profile: Profile, *, profiles_max: int, referral: Referral | None = None) -> bool:
        """Store a new profile, brought by whom its owner was; False where that one is frozen or has `profiles_max`.

        Raises:   UnavailableError, OutcomeUnknownError.
        """
        room = CustomerItem.profiles.does_not_exist() | (CustomerItem.profiles < profiles_max)
        item = ProfileItem(profile.user_id, profile.account_id, name=profile.name, created_at_ns=profile.created_at_ns)
        transaction = TransactWrite(connection=self._connection)
        try:
            with transaction:
                transaction.save(item, condition=ProfileItem.user_id.does_not_exist())
                if referral is not None:
                    put_referral(transaction, profile.account_id, referral)
                transaction.update(
                    CustomerItem(profile.user_id),
                    actions=[CustomerItem.profiles.add(1)],
                    condition=(CustomerItem.status == CustomerStatus.ACTIVE.value) & room,
                )
        except TransactWriteError as error:
            return _refused(error)
        return True

    def rename(self, user_id: str, account_id: int, name: str) -> bool:
        """Change a profile's name; False where this customer has none such. Raises OutageError."""
        item = ProfileItem(user_id, account_id)
        try:
            item.update(actions=[ProfileItem.name.set(name)], condition=ProfileItem.user_id.exists())
        except UpdateError as error:
            if error_code(error) == _REFUSED:
                return False
            raise outage(error) from error
        return True


def _profile(item: ProfileItem) -> Profile:
    return Profile(item.user_id, item.account_id, item.name, item.created_at_ns)


def _refused(error: TransactWriteError) -> bool:
    """False where a condition of ours said no; everything else is an outage."""
    if "ConditionalCheckFailed" in cancellation_codes(error):
        return False
    raise UnavailableError(f"DynamoDB: {error.msg}") from error


@contextmanager
def _reading() -> Iterator[None]:
    """A read that fails has changed nothing, whatever the reason."""
    try:
        yield
    except PynamoDBException as error:
        raise UnavailableError(f"DynamoDB: {error.msg}") from error


def _customer(item: CustomerItem) -> Customer:
    return Customer(
        user_id=item.user_id,
        account_id=item.account_id,
        email=item.email,
        name=item.name,
        created_at_ns=item.created_at_ns,
        status=CustomerStatus(item.status),
        rate_limit_tier=RateLimitTier(item.rate_limit_tier),
        kyc_level=KycLevel(item.kyc_level or 0),
        credentials_changed_at_ns=item.credentials_changed_at_ns or 0,
        referral_code=item.referral_code or "",
        referrer_id=item.referrer_id or 0,
    )


def _item(key: ApiKey) -> ApiKeyItem:
    previous = key.previous or Credential()
    held: dict[str, Any] = {name: getattr(key.credential, name) or None for name in _CREDENTIAL}
    held |= {f"previous_{name}": getattr(previous, name) or None for name in _CREDENTIAL}
    return ApiKeyItem(
        key_id=key.key_id,
        user_id=key.user_id,
        created_at=iso_utc(key.created_at_ns),
        created_at_ns=key.created_at_ns,
        name=key.name,
        scopes={scope.value for scope in key.scopes},
        status=key.status.value,
        rate_limit_tier=key.rate_limit_tier.value,
        **held,
        previous_until_ns=key.previous_until_ns if key.previous is not None else None,
        expires_at_ns=key.expires_at_ns,
        account_id=key.account_id,
        allowed_addresses=set(key.allowed_addresses) or None,
    )


def _api_key(item: ApiKeyItem) -> ApiKey:
    return ApiKey(
        key_id=item.key_id,
        user_id=item.user_id,
        name=item.name,
        scopes=frozenset(Scope(scope) for scope in item.scopes),
        credential=Credential(**{name: getattr(item, name) or b"" for name in _CREDENTIAL}),
        created_at_ns=item.created_at_ns,
        rate_limit_tier=RateLimitTier(item.rate_limit_tier),
        status=KeyStatus(item.status),
        expires_at_ns=item.expires_at_ns,
        account_id=item.account_id,
        allowed_addresses=tuple(sorted(item.allowed_addresses or ())),
        previous=None
        if item.previous_until_ns is None
        else Credential(**{name: getattr(item, f"previous_{name}") or b"" for name in _CREDENTIAL}),
        previous_until_ns=item.previous_until_ns or 0,
    )
