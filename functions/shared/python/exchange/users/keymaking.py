"""Making and rotating API keys, from the body to the answer."""

from dataclasses import dataclass
from typing import Any

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Refused
from exchange.users.minting import KeyMaterial, mint
from exchange.users.model import ApiKey, Principal, api_key_json
from exchange.users.request import CreateKeyBody, RotateKeyBody
from exchange.users.service import ApiKeys, Customers, Profiles, Sealer, create_api_key, find_profile, rotate_api_key


@dataclass(frozen=True, slots=True)
class KeyDesk:
    """What making a key needs."""

    keys: ApiKeys
    sealer: Sealer
    customers: Customers
    profiles: Profiles
    clock: Clock


def new_key(desk: KeyDesk, owner: Principal, body: CreateKeyBody) -> dict[str, Any] | Refused:
    """Make a key for a profile of the owner's; its secret is in this answer and nowhere else.

    Refuses:  as `find_profile` and `create_api_key`.
    Raises:   UnavailableError, OutcomeUnknownError.
    """
    wire_id = body.profile_id
    profile = find_profile(desk.customers, desk.profiles, owner.user_id, wire_id) if wire_id is not None else None
    if isinstance(profile, Refused):
        return profile
    terms, material = body.terms(), mint(body.passphrase)
    made = create_api_key(
        desk.keys, desk.sealer, desk.clock, owner=owner, terms=terms, material=material, profile=profile
    )
    return made if isinstance(made, Refused) else _shown(made, material)


def rotated_key(desk: KeyDesk, owner: Principal, key_id: str, body: RotateKeyBody) -> dict[str, Any] | Refused:
    """Give an own key another credential; its secret is in this answer and nowhere else.

    Refuses:  as `rotate_api_key`.
    Raises:   UnavailableError, OutcomeUnknownError.
    """
    terms, material = body.terms(), mint(body.passphrase, key_id=key_id)
    key = rotate_api_key(desk.keys, desk.sealer, desk.clock, user_id=owner.user_id, terms=terms, material=material)
    return key if isinstance(key, Refused) else _shown(key, material)


def _shown(key: ApiKey, material: KeyMaterial) -> dict[str, Any]:
    """A key with its secret, this once; of a public key the other half never was here."""
    return api_key_json(key) if key.credential.public_key else {**api_key_json(key), **material.json()}
