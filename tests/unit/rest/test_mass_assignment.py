"""No request sets what is ours to set: every attribute of every table, and every name that an attacker would try."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import exchange
import pytest
from exchange.kernel.errors import Code, Refused
from exchange.rest import Body, read_body
from pynamodb.models import Model

GUESSED = (
    "account_id", "user_id", "owner", "owner_id", "role", "roles", "is_admin", "admin", "operator", "scope",
    "scopes_granted", "tier", "rate_limit_tier", "fee", "fee_tier", "fee_rate", "maker_fee_rate", "taker_fee_rate",
    "status", "state", "settled", "filled_size", "executed_value", "hold", "hold_units", "held", "available",
    "balance", "units", "price_ticks", "size_lots", "sequence", "epoch", "created_at", "updated_at", "completed_at",
    "processed_at", "verified", "email_verified", "mfa", "stp_group", "price_band", "limit", "version", "key_id",
    "sealed_secret", "passphrase_hash", "__class__", "__proto__", "constructor", "model_config", "allow_negative",
    "bypass", "force", "internal",
)  # fmt: skip
# What a body may name although a table has it too is in the body's own fields; nothing else is excused.
ADDRESSES = ("url", "uri", "callback", "webhook", "endpoint", "host", "redirect")


def modules() -> None:
    """Import all that has bodies or tables."""
    for module in pkgutil.walk_packages(exchange.__path__, "exchange."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def below(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("exchange."):
            yield child
        yield from below(child)


modules()
BODIES = sorted(set(below(Body)), key=lambda body: body.__name__)
INTERNAL = sorted({name for item in below(Model) for name in item.get_attributes()} | set(GUESSED))


def fields_of(body: type[Body]) -> set[str]:
    """The names that a body has."""
    return {field.alias or name for name, field in body.model_fields.items()}


def test_there_are_enough_of_both() -> None:
    assert len(BODIES) >= 10
    assert len(INTERNAL) >= 100


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_no_body_takes_a_field_of_a_table(body: type[Body]) -> None:
    for name in set(INTERNAL) - fields_of(body):
        answer = read_body(body, json.dumps({name: "1"}).encode())
        assert isinstance(answer, Refused), name
        assert answer.code in {Code.REQUEST_FIELD_UNKNOWN, Code.REQUEST_FIELD_INVALID}
        with pytest.raises(ValueError, match="Extra inputs are not permitted"):
            body.model_validate({name: "1"})


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_no_body_asks_for_an_address_to_call(body: type[Body]) -> None:
    """The day on which customers name their own webhooks, this fails and asks for a check of where they lead."""
    assert [name for name in fields_of(body) if any(word in name.lower() for word in ADDRESSES)] == []
