"""POST /v1/api-keys, from its body to its answer."""

from dataclasses import dataclass
from typing import Any

from exchange.kernel.clock import Clock
from exchange.kernel.errors import Refused
from exchange.rest import read_body
from exchange.users.minting import mint
from exchange.users.model import Principal, api_key_json
from exchange.users.request import CreateKeyBody
from exchange.users.service import ApiKeys, Customers, Profiles, Sealer, create_api_key, find_profile


@dataclass(frozen=True, slots=True)
class KeyDesk:
    """What making a key needs."""

    keys: ApiKeys
    sealer: Sealer
    customers: Customers
    profiles: Profiles
    clock: Clock


def new_key(desk: KeyDesk, owner: Principal, body_bytes: bytes) -> dict[str, Any] | Refused:
    """Make a key for a profile of the owner's; its secret is in this answer and nowhere else.

    Refuses:  as `read_body`, `find_profile` and `create_api_key`.
    Raises:   UnavailableError, OutcomeUnknownError.
    """
    body = read_body(CreateKeyBody, body_bytes)
    if isinstance(body, Refused):
        return body
    wire_id = body.profile_id
    profile = find_profile(desk.customers, desk.profiles, owner.user_id, wire_id) if wire_id is not None else None
    if isinstance(profile, Refused):
        return profile
    terms, material = body.terms(), mint(body.passphrase)
    made = create_api_key(
        desk.keys, desk.sealer, desk.clock, owner=owner, terms=terms, material=material, profile=profile
    )
    return made if isinstance(made, Refused) else {**api_key_json(made), **material.json()}
