"""The three kinds of failure, each with its own treatment.

Refused                 a value: the customer may not do this; nothing has changed
OutageError             the world failed us; the platform retries
├── UnavailableError      nothing happened: try again (503)
└── OutcomeUnknownError   it may have happened: ask for it by its id (504)
InvariantError          a defect: nobody catches it, the batch stops
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn


class Code(StrEnum):
    """Every refusal the exchange can give; a code starts with its stage and keeps its meaning for ever."""

    REQUEST_MALFORMED = "REQUEST_MALFORMED"
    REQUEST_FIELD_UNKNOWN = "REQUEST_FIELD_UNKNOWN"
    REQUEST_FIELD_INVALID = "REQUEST_FIELD_INVALID"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    ROUTE_METHOD_NOT_ALLOWED = "ROUTE_METHOD_NOT_ALLOWED"
    AUTH_MISSING = "AUTH_MISSING"
    AUTH_INVALID = "AUTH_INVALID"
    AUTH_EXPIRED = "AUTH_EXPIRED"
    AUTH_SCOPE = "AUTH_SCOPE"
    AUTH_ADDRESS = "AUTH_ADDRESS"
    AUTH_ROLE = "AUTH_ROLE"
    ACCOUNT_FROZEN = "ACCOUNT_FROZEN"
    RATE_LIMITED = "RATE_LIMITED"
    USER_EXISTS = "USER_EXISTS"
    USER_UNCONFIRMED = "USER_UNCONFIRMED"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    USER_PASSWORD_WEAK = "USER_PASSWORD_WEAK"  # noqa: S105 - a code, not a password
    USER_CODE_INVALID = "USER_CODE_INVALID"
    API_KEY_NOT_FOUND = "API_KEY_NOT_FOUND"
    API_KEY_LIMIT = "API_KEY_LIMIT"
    API_KEY_ROTATING = "API_KEY_ROTATING"
    PRODUCT_NOT_FOUND = "PRODUCT_NOT_FOUND"
    CURRENCY_NOT_FOUND = "CURRENCY_NOT_FOUND"
    EVENTS_EXPIRED = "EVENTS_EXPIRED"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    PROFILE_NOT_FOUND = "PROFILE_NOT_FOUND"
    PROFILE_LIMIT = "PROFILE_LIMIT"
    RISK_TRADING_DISABLED = "RISK_TRADING_DISABLED"
    RISK_PRICE_TOO_SMALL = "RISK_PRICE_TOO_SMALL"
    RISK_PRICE_TOO_PRECISE = "RISK_PRICE_TOO_PRECISE"
    RISK_PRICE_TOO_LARGE = "RISK_PRICE_TOO_LARGE"
    RISK_PRICE_OUT_OF_BAND = "RISK_PRICE_OUT_OF_BAND"
    RISK_SIZE_TOO_SMALL = "RISK_SIZE_TOO_SMALL"
    RISK_SIZE_TOO_PRECISE = "RISK_SIZE_TOO_PRECISE"
    RISK_SIZE_TOO_LARGE = "RISK_SIZE_TOO_LARGE"
    RISK_FUNDS_TOO_SMALL = "RISK_FUNDS_TOO_SMALL"
    RISK_FUNDS_TOO_PRECISE = "RISK_FUNDS_TOO_PRECISE"
    RISK_FUNDS_TOO_LARGE = "RISK_FUNDS_TOO_LARGE"
    RISK_NO_REFERENCE_PRICE = "RISK_NO_REFERENCE_PRICE"
    RISK_INSUFFICIENT_FUNDS = "RISK_INSUFFICIENT_FUNDS"
    RISK_TOO_MANY_OPEN_ORDERS = "RISK_TOO_MANY_OPEN_ORDERS"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    ORDER_ID_INVALID = "ORDER_ID_INVALID"
    ORDER_DONE = "ORDER_DONE"
    ORDER_CLIENT_OID_REUSED = "ORDER_CLIENT_OID_REUSED"
    ORDER_AMEND_REUSED = "ORDER_AMEND_REUSED"
    ORDER_AMENDS_WAITING = "ORDER_AMENDS_WAITING"
    PROOF_NOT_FOUND = "PROOF_NOT_FOUND"
    SETTLEMENT_FAILURE_NOT_FOUND = "SETTLEMENT_FAILURE_NOT_FOUND"
    SETTLEMENT_STOPPED = "SETTLEMENT_STOPPED"
    REPORT_NOT_FOUND = "REPORT_NOT_FOUND"
    REPORT_LIMIT = "REPORT_LIMIT"
    REPORT_KEY_REUSED = "REPORT_KEY_REUSED"
    CHAIN_NOT_LISTED = "CHAIN_NOT_LISTED"
    WITHDRAWAL_ADDRESS_INVALID = "WITHDRAWAL_ADDRESS_INVALID"
    TRANSFER_NOT_FOUND = "TRANSFER_NOT_FOUND"
    TRANSFER_AMOUNT_INVALID = "TRANSFER_AMOUNT_INVALID"
    TRANSFER_KEY_REUSED = "TRANSFER_KEY_REUSED"
    TRANSFER_ACCOUNT_OWES = "TRANSFER_ACCOUNT_OWES"
    TRANSFER_ASSET_STOPPED = "TRANSFER_ASSET_STOPPED"
    WITHDRAWAL_COOL_DOWN = "WITHDRAWAL_COOL_DOWN"
    WITHDRAWAL_DESTINATION_UNKNOWN = "WITHDRAWAL_DESTINATION_UNKNOWN"
    WITHDRAWAL_DESTINATION_LIMIT = "WITHDRAWAL_DESTINATION_LIMIT"
    WITHDRAWAL_LIMIT = "WITHDRAWAL_LIMIT"
    WITHDRAWAL_CODE_INVALID = "WITHDRAWAL_CODE_INVALID"
    WITHDRAWAL_SAFEGUARD_CHANGED = "WITHDRAWAL_SAFEGUARD_CHANGED"
    WITHDRAWAL_NOT_CANCELABLE = "WITHDRAWAL_NOT_CANCELABLE"
    PROPOSAL_NOT_FOUND = "PROPOSAL_NOT_FOUND"
    PROPOSAL_KEY_REUSED = "PROPOSAL_KEY_REUSED"
    PROPOSAL_DECIDED = "PROPOSAL_DECIDED"
    PROPOSAL_EXPIRED = "PROPOSAL_EXPIRED"
    PROPOSAL_CHANGED = "PROPOSAL_CHANGED"
    PROPOSAL_OWN = "PROPOSAL_OWN"
    PROPOSAL_OUTDATED = "PROPOSAL_OUTDATED"
    PAYMENT_METHOD_NOT_FOUND = "PAYMENT_METHOD_NOT_FOUND"
    PAYMENT_NOTIFICATION_INVALID = "PAYMENT_NOTIFICATION_INVALID"
    FEED_FRAME_INVALID = "FEED_FRAME_INVALID"
    FEED_CHANNEL_UNKNOWN = "FEED_CHANNEL_UNKNOWN"
    FEED_LIMIT = "FEED_LIMIT"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    INTERNAL_ERROR = "INTERNAL_ERROR"


@dataclass(frozen=True, slots=True)
class Refused:
    """The customer may not do this; nothing has changed.

    `message` is written for the customer: the field, what is wrong and the remedy.
    """

    code: Code
    message: str


class OutageError(Exception):
    """Something outside failed us. Raised by stores and clients, never swallowed."""


class UnavailableError(OutageError):
    """Nothing has happened and trying again may help: 503."""


class OutcomeUnknownError(OutageError):
    """It may or may not have happened: 504, with the id to ask for."""


class InvariantError(AssertionError):
    """We are wrong. Nobody catches this; the batch stops and an alarm rings."""


def require(condition: object, message: str) -> None:
    """Stop when something that can't be false is false. Unlike `assert` it survives `python -O`.

    Raises:   InvariantError.
    """
    if not condition:
        raise InvariantError(message)


def unreachable(message: str) -> NoReturn:
    """Mark a branch that can't be taken.

    Raises:   InvariantError, always.
    """
    raise InvariantError(message)
