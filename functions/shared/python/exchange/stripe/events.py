"""Stripe's webhook: believed for its signature, read for the name of what changed, and never for what it says of it.

An event names an object; what became of that object is asked of Stripe's API. So events may come twice, late or in any
order: each leads to the same look at the same present state.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import stripe

from exchange.kernel.errors import Code, Refused

SIGNATURE_HEADER = "Stripe-Signature"
WINDOW_SECONDS_MAX = 300
BODY_BYTES_MAX = 256 * 1024
PAYMENT, DISPUTE, REFUND, PAYOUT = "payment_intent", "dispute", "refund", "payout"
# Types of events that we listen to, by how they begin.
_KINDS = {
    "payment_intent.": PAYMENT,
    "charge.dispute.": DISPUTE,
    "refund.": REFUND,
    "charge.refund.": REFUND,
    "payout.": PAYOUT,
}


@dataclass(frozen=True, slots=True)
class Event:
    """What an event names: the kind of object and its id; an empty kind is nothing that we listen to."""

    event_id: str
    kind: str
    object_id: str


def read_event(secret: str, *, headers: Mapping[str, str], body: bytes) -> Event | Refused:
    """Read an event whose signature over the raw bytes is good and at most five minutes old.

    Shape:    header names in lower case.
    Refuses:  REQUEST_TOO_LARGE, AUTH_MISSING, AUTH_EXPIRED, AUTH_INVALID, PAYMENT_NOTIFICATION_INVALID.
    """
    if len(body) > BODY_BYTES_MAX:
        return Refused(Code.REQUEST_TOO_LARGE, f"an event is at most {BODY_BYTES_MAX} bytes")
    signature = headers.get(SIGNATURE_HEADER.lower())
    if not signature:
        return Refused(Code.AUTH_MISSING, f"sign the event: {SIGNATURE_HEADER}")
    try:
        stripe.Webhook.construct_event(body, signature, secret, WINDOW_SECONDS_MAX)
        event = json.loads(body)
    except stripe.SignatureVerificationError as error:
        if str(error).startswith("Timestamp outside"):
            return Refused(Code.AUTH_EXPIRED, f"{SIGNATURE_HEADER}: older than {WINDOW_SECONDS_MAX} seconds")
        return Refused(Code.AUTH_INVALID, "the signature is not valid")
    except UnicodeDecodeError:
        return Refused(Code.AUTH_INVALID, "the signature is not valid")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return _invalid("this is no event")
    return _named(event)


def _named(event: Any) -> Event | Refused:
    try:
        event_id, kind, named = event["id"], event["type"], event["data"]["object"]
        object_id, object_kind = named.get("id"), named.get("object")
    except (KeyError, TypeError, AttributeError):
        return _invalid("an event has an id, a type and an object")
    if not _is_name(event_id) or not isinstance(kind, str):
        return _invalid("an event has an id and a type")
    wanted = next((told for begin, told in _KINDS.items() if kind.startswith(begin)), "")
    if not wanted:
        return Event(event_id, "", "")
    if object_kind != wanted or not _is_name(object_id):
        return _invalid(f"{kind} names a {wanted}")
    return Event(event_id, wanted, object_id)


def _is_name(value: object) -> bool:
    """Stripe's ids are letters, digits and underscores; anything else would be a path of another kind."""
    return isinstance(value, str) and 1 <= len(value) <= 128 and value.isascii() and value.replace("_", "a").isalnum()


def _invalid(message: str) -> Refused:
    return Refused(Code.PAYMENT_NOTIFICATION_INVALID, message)
