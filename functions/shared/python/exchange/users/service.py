"""What customers do with their login and their API keys, one use case a function."""

from dataclasses import dataclass, replace
from typing import Protocol

from exchange.kernel.clock import Clock, iso_utc
from exchange.kernel.errors import Code, Refused
from exchange.kernel.ids import from_uuid, random_id
from exchange.referrals.model import CodeOwner, Referral, read_code
from exchange.users.minting import KeyMaterial
from exchange.users.model import (
    ApiKey,
    Credential,
    Customer,
    CustomerStatus,
    KeyStatus,
    Person,
    Principal,
    Profile,
    Scope,
    Session,
    default_profile,
    is_key_id,
    passphrase_hash,
)

KEYS_MAX = 25
PROFILES_MAX = 25
_NO_KEY = Refused(Code.API_KEY_NOT_FOUND, "no active API key of yours has this id")


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody registers with. `referral_code` is empty where nobody brought them."""

    email: str
    password: str
    name: str
    referral_code: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """What a customer proves themselves by."""

    email: str
    password: str
    mfa_code: str | None = None


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a customer asks of a new key."""

    name: str
    scopes: frozenset[Scope]
    expires_at_ns: int | None = None
    allowed_addresses: tuple[str, ...] = ()
    public_key: bytes = b""  # empty: a secret of ours


@dataclass(frozen=True, slots=True)
class RotationTerms:
    """What a customer asks of a key's new credential."""

    overlap_ns: int
    public_key: bytes = b""


class Identities(Protocol):
    """The user pool."""

    def log_in(self, *, email: str, password: str, mfa_code: str | None) -> Session | Refused:
        """Exchange a password for tokens."""
        ...


class SignUps(Protocol):
    """Where people register."""

    def sign_up(self, *, email: str, password: str, name: str, referral_code: str) -> Refused | None:
        """Register; None where a code is on its way by mail."""
        ...


class Referrals(Protocol):
    """Where referral codes are kept."""

    def owner(self, code: str) -> CodeOwner | None:
        """Whose code it is."""
        ...


class Customers(Protocol):
    """Where customers are kept."""

    def find(self, user_id: str) -> Customer | None:
        """A customer by id."""
        ...

    def create_once(self, customer: Customer) -> Customer:
        """Store a new customer, or return the one that is there."""
        ...


class ApiKeys(Protocol):
    """Where API keys are kept."""

    def create(self, key: ApiKey, *, keys_max: int) -> bool:
        """Store a new key; False where its owner is frozen or has `keys_max` already."""
        ...

    def find(self, key_id: str) -> ApiKey | None:
        """A key by id, revoked ones too."""
        ...

    def rotate(self, before: ApiKey, after: ApiKey, *, rotated_at_ns: int) -> bool:
        """Change a key's credentials; False where it is not active or not any more as it was `before`."""
        ...

    def revoke(self, user_id: str, key_id: str, *, revoked_at_ns: int) -> bool:
        """Close a key for good; False where this customer has no such active key."""
        ...


class Profiles(Protocol):
    """Where the profiles beside the default ones are kept."""

    def list_profiles(self, user_id: str) -> list[Profile]:
        """A customer's profiles beside the default one, oldest first."""
        ...

    def create(self, profile: Profile, *, profiles_max: int, referral: Referral | None) -> bool:
        """Store a new profile, brought by whom its owner was; False where that one is frozen or has `profiles_max`."""
        ...

    def rename(self, user_id: str, account_id: int, name: str) -> bool:
        """Change a profile's name; False where this customer has none such."""
        ...


class Sealer(Protocol):
    """What seals secrets."""

    def seal(self, secret: bytes, *, key_id: str, user_id: str) -> bytes:
        """Seal a secret for this key of this customer."""
        ...


def register(identities: SignUps, referrals: Referrals, *, form: Registration) -> Refused | None:
    """Register, by the code of another customer or (empty) by nobody's. None of one's own can be known yet.

    Refuses:  REQUEST_FIELD_INVALID (nobody has this code), then as the user pool.
    Raises:   OutageError.
    """
    if form.referral_code and referrals.owner(form.referral_code) is None:
        return Refused(Code.REQUEST_FIELD_INVALID, "referral_code: nobody has this code; correct it or leave it out")
    return identities.sign_up(
        email=form.email, password=form.password, name=form.name, referral_code=form.referral_code
    )


def log_in(
    identities: Identities, customers: Customers, referrals: Referrals, clock: Clock, *, login: Login
) -> Session | Refused:
    """Log in; the first login makes the customer, with their default profile and whom their referral code names.

    Refuses:  AUTH_INVALID, USER_UNCONFIRMED, AUTH_MISSING (a second factor), RATE_LIMITED, ACCOUNT_FROZEN.
    Raises:   OutageError; logging in again is always harmless.
    """
    session = identities.log_in(email=login.email, password=login.password, mfa_code=login.mfa_code)
    if isinstance(session, Refused):
        return session
    customer = customers.find(session.person.user_id)
    if customer is None:
        customer = customers.create_once(_new_customer(session.person, referrals, clock.now_ns()))
    if customer.status is not CustomerStatus.ACTIVE:
        return Refused(Code.ACCOUNT_FROZEN, "this account is frozen; ask support")
    return session


def find_customer(customers: Customers, user_id: str) -> Customer | Refused:
    """The customer behind a credential. Refuses USER_NOT_FOUND. Raises UnavailableError."""
    return customers.find(user_id) or Refused(Code.USER_NOT_FOUND, "this customer is not there any more")


def list_profiles(customers: Customers, profiles: Profiles, user_id: str) -> list[Profile] | Refused:
    """All profiles of a customer, the default one first. Refuses USER_NOT_FOUND. Raises UnavailableError."""
    customer = find_customer(customers, user_id)
    if isinstance(customer, Refused):
        return customer
    return [default_profile(customer), *profiles.list_profiles(user_id)]


def find_profile(customers: Customers, profiles: Profiles, user_id: str, wire_id: str) -> Profile | Refused:
    """An own profile by the id that it was shown with; a foreign one is as absent as a missing one.

    Refuses:  PROFILE_NOT_FOUND, USER_NOT_FOUND.
    Raises:   UnavailableError.
    """
    found = list_profiles(customers, profiles, user_id)
    if isinstance(found, Refused):
        return found
    account_id = from_uuid(wire_id)
    own = next((profile for profile in found if profile.account_id == account_id), None)
    return own or Refused(Code.PROFILE_NOT_FOUND, "profile not found; GET /profiles lists yours")


def create_profile(
    customers: Customers, profiles: Profiles, clock: Clock, *, user_id: str, name: str
) -> Profile | Refused:
    """Make a profile. Names need not differ; ids do.

    Refuses:  USER_NOT_FOUND, PROFILE_LIMIT.
    Raises:   UnavailableError; OutcomeUnknownError: the profile may be there; GET /profiles tells.
    """
    customer = find_customer(customers, user_id)
    if isinstance(customer, Refused):
        return customer
    profile = Profile(user_id, random_id(), name, clock.now_ns())
    if not profiles.create(profile, profiles_max=PROFILES_MAX, referral=customer.referral):
        return Refused(Code.PROFILE_LIMIT, f"you have {PROFILES_MAX} profiles beside the default one; no more are made")
    return profile


def rename_profile(
    customers: Customers, profiles: Profiles, *, user_id: str, wire_id: str, name: str
) -> Profile | Refused:
    """Give a profile another name; the default one keeps its own.

    Refuses:  PROFILE_NOT_FOUND, USER_NOT_FOUND, REQUEST_FIELD_INVALID (the default one).
    Raises:   OutageError; renaming again is harmless.
    """
    profile = find_profile(customers, profiles, user_id, wire_id)
    if isinstance(profile, Refused):
        return profile
    if profile.is_default:
        return Refused(Code.REQUEST_FIELD_INVALID, "id: the default profile keeps its name")
    if not profiles.rename(user_id, profile.account_id, name):
        return Refused(Code.PROFILE_NOT_FOUND, "profile not found; GET /profiles lists yours")
    return replace(profile, name=name)


def create_api_key(
    keys: ApiKeys,
    sealer: Sealer,
    clock: Clock,
    *,
    owner: Principal,
    terms: KeyTerms,
    material: KeyMaterial,
    profile: Profile | None = None,
) -> ApiKey | Refused:
    """Make a key for a profile of the owner's (None: the default one). Its rate tier is its owner's.

    Refuses:  REQUEST_FIELD_INVALID (expires_at is over), API_KEY_LIMIT.
    Raises:   UnavailableError; OutcomeUnknownError: the key may be there, then revoke it: its secret is lost.
    """
    now_ns = clock.now_ns()
    if terms.expires_at_ns is not None and terms.expires_at_ns <= now_ns:
        return Refused(Code.REQUEST_FIELD_INVALID, "expires_at: this is in the past")
    key = ApiKey(
        key_id=material.key_id,
        user_id=owner.user_id,
        name=terms.name,
        scopes=terms.scopes,
        credential=_credential(sealer, terms.public_key, material, owner.user_id),
        created_at_ns=now_ns,
        rate_limit_tier=owner.rate_limit_tier,
        expires_at_ns=terms.expires_at_ns,
        allowed_addresses=terms.allowed_addresses,
        account_id=None if profile is None or profile.is_default else profile.account_id,
    )
    if not keys.create(key, keys_max=KEYS_MAX):
        return Refused(Code.API_KEY_LIMIT, f"you have {KEYS_MAX} API keys; revoke one first")
    return key


def rotate_api_key(
    keys: ApiKeys, sealer: Sealer, clock: Clock, *, user_id: str, terms: RotationTerms, material: KeyMaterial
) -> ApiKey | Refused:
    """Give an own key a new credential; the one that it has serves on until the overlap is over.

    Refuses:  API_KEY_NOT_FOUND, API_KEY_ROTATING.
    Raises:   UnavailableError; OutcomeUnknownError: it may be rotated already, with a secret that nobody has seen.
    """
    now_ns = clock.now_ns()
    before = keys.find(material.key_id) if is_key_id(material.key_id) else None
    if before is None or before.user_id != user_id or before.status is not KeyStatus.ACTIVE:
        return _NO_KEY
    if len(before.credentials(now_ns)) > 1:
        until = iso_utc(before.previous_until_ns)
        return Refused(Code.API_KEY_ROTATING, f"the key's former secret still works until {until}; or revoke the key")
    after = replace(
        before,
        credential=_credential(sealer, terms.public_key, material, user_id),
        previous=before.credential,
        previous_until_ns=now_ns + terms.overlap_ns,
    )
    if not keys.rotate(before, after, rotated_at_ns=now_ns):
        return Refused(Code.API_KEY_ROTATING, "the key was changed at the same moment; look at it and try again")
    return after


def _credential(sealer: Sealer, public_key: bytes, material: KeyMaterial, user_id: str) -> Credential:
    if public_key:
        return Credential(public_key=public_key)
    return Credential(
        sealed_secret=sealer.seal(material.secret, key_id=material.key_id, user_id=user_id),
        passphrase_hash=passphrase_hash(material.passphrase, secret=material.secret, key_id=material.key_id),
    )


def revoke_api_key(keys: ApiKeys, clock: Clock, *, user_id: str, key_id: str) -> str | Refused:
    """Close an own key at once and for good. A foreign key is as absent as a missing one.

    Refuses:  API_KEY_NOT_FOUND.
    Raises:   OutageError; revoking again is harmless.
    """
    if is_key_id(key_id) and keys.revoke(user_id, key_id, revoked_at_ns=clock.now_ns()):
        return key_id
    return _NO_KEY


def _new_customer(person: Person, referrals: Referrals, now_ns: int) -> Customer:
    # Whoever signs up at the user pool past us can write anything as a code: what nobody has, and the own, is no code.
    code = read_code(person.referral_code)
    owner = referrals.owner(code) if code else None
    brought = owner if owner is not None and owner.user_id != person.user_id else None
    return Customer(
        user_id=person.user_id,
        account_id=random_id(),
        email=person.email,
        name=person.name,
        created_at_ns=now_ns,
        referral_code=code if brought else "",
        referrer_id=brought.account_id if brought else 0,
    )
