"""Codes and referrals in DynamoDB. Put once; nothing but the count of a code ever changes."""

from collections.abc import Iterator

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import PutError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from exchange.aws.dynamodb import UnitsAttribute, error_code, outage, reading
from exchange.kernel.errors import UnavailableError
from exchange.referrals.model import CodeOwner, Referral, code_of

CODES, ACCOUNTS = "code#", "account#"
_ATTEMPTS_MAX = 4


class ReferralItem(Model):
    """Under "code#CODE" whose code it is; under "account#ID" who brought the customer whose account that is."""

    class Meta:
        table_name = "referrals"

    referral_id = UnicodeAttribute(hash_key=True)
    account_id = UnitsAttribute()  # which commissions go to
    user_id = UnicodeAttribute(null=True)
    referred = UnitsAttribute(null=True)
    since_ns = UnitsAttribute(null=True)


class ReferralStore:
    """Codes by their text, referrals by the account that pays fees."""

    def owner(self, code: str) -> CodeOwner | None:
        """Whose code it is; None where it is nobody's. Raises UnavailableError."""
        item = _get(f"{CODES}{code}")
        return CodeOwner(item.user_id or "", item.account_id, item.referred or 0) if item else None

    def own_code(self, user_id: str, account_id: int) -> tuple[str, CodeOwner]:
        """A customer's code, made when it is first asked for. Raises OutageError; asking again is harmless."""
        for attempt in range(_ATTEMPTS_MAX):
            code = code_of(user_id, attempt)
            found = self.owner(code)
            if found is None:
                _put(ReferralItem(f"{CODES}{code}", user_id=user_id, account_id=account_id, referred=0))
                found = self.owner(code)
            if found is not None and found.user_id == user_id:
                return code, found
        raise UnavailableError(f"no free referral code for {user_id}")

    def referral(self, account_id: int) -> Referral | None:
        """Who brought the customer whose account it is; None where nobody did. Raises UnavailableError."""
        item = _get(f"{ACCOUNTS}{account_id}")
        return Referral(item.account_id, item.since_ns or 0) if item else None

    def all(self) -> Iterator[tuple[int, Referral]]:
        """Every referral by the account that pays. Raises UnavailableError."""
        with reading():
            for item in ReferralItem.scan(ReferralItem.referral_id.startswith(ACCOUNTS), consistent_read=True):
                account_id = int(item.referral_id.removeprefix(ACCOUNTS))
                yield account_id, Referral(item.account_id, item.since_ns or 0)


def put_referral(transaction: TransactWrite, account_id: int, referral: Referral) -> None:
    """Put whose account a new account is brought by into the write that makes it."""
    item = ReferralItem(f"{ACCOUNTS}{account_id}", account_id=referral.referrer_id, since_ns=referral.since_ns)
    transaction.save(item, condition=ReferralItem.referral_id.does_not_exist())


def count_referred(transaction: TransactWrite, code: str) -> None:
    """Count one more customer who registered with a code."""
    item = ReferralItem(f"{CODES}{code}")
    transaction.update(item, actions=[ReferralItem.referred.add(1)], condition=ReferralItem.referral_id.exists())


def _get(referral_id: str) -> ReferralItem | None:
    with reading():
        try:
            return ReferralItem.get(referral_id, consistent_read=True)
        except ReferralItem.DoesNotExist:
            return None


def _put(item: ReferralItem) -> None:
    try:
        item.save(condition=ReferralItem.referral_id.does_not_exist())
    except PutError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise outage(error) from error
