"""The words of the market as small integers. A number, once given, keeps its meaning for ever."""

from enum import IntEnum


class Side(IntEnum):
    """Which way an order trades."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """Whether an order names its price."""

    LIMIT = 1
    MARKET = 2


class TimeInForce(IntEnum):
    """How long an order may wait: till canceled, till its time, not at all, or whole at once."""

    GTC = 1
    GTT = 2
    IOC = 3
    FOK = 4


class StopKind(IntEnum):
    """When a waiting order wakes: the price fell to it (LOSS) or rose to it (ENTRY)."""

    NONE = 0
    LOSS = 1
    ENTRY = 2


class SelfTradePrevention(IntEnum):
    """What happens to an account's order that meets its own: decrement, cancel oldest, newest, or both."""

    DC = 1
    CO = 2
    CN = 3
    CB = 4


class Op(IntEnum):
    """What a command asks. The last three travel packed only; their JSON does not exist."""

    PLACE = 1
    CANCEL = 2
    CANCEL_ALL = 3
    AMEND = 4
    PHASE = 5
    TICK = 6
    CANCEL_IF_UNSEEN = 7
    CONFIGURE = 8
    RULES_VERSION = 9


class Phase(IntEnum):
    """The phase a product is in."""

    CONTINUOUS = 1
    AUCTION = 2
    HALTED = 3
    CLOSED = 4


class EventType(IntEnum):
    """What happened."""

    RECEIVED = 1
    REJECTED = 2
    ACTIVATE = 3
    TRIGGERED = 4
    OPEN = 5
    MATCH = 6
    CHANGE = 7
    DONE = 8
    PHASE = 9
    AUCTION = 10


class RejectReason(IntEnum):
    """Why a command was refused, in the order the checks are made.

    MALFORMED, UNSEEN and INVALID_CONFIGURATION answer packed commands only: JSON can't say such things.
    """

    DUPLICATE_ORDER_ID = 1
    UNKNOWN_ORDER = 2
    CLOSED = 3
    HALTED = 4
    AUCTION = 5
    INVALID_SIZE = 6
    INVALID_PRICE = 7
    INVALID_FUNDS = 8
    EXPIRED = 9
    PRICE_BAND = 10
    POST_ONLY = 11
    SIZE_BELOW_FILLED = 12
    MALFORMED = 13
    UNSEEN = 14
    INVALID_CONFIGURATION = 15
    OCO = 16


class CancelReason(IntEnum):
    """Why a canceled order ended."""

    USER = 1
    MASS = 2
    EXPIRED = 3
    IOC = 4
    FOK = 5
    MARKET = 6
    STP = 7
    PRICE_BAND = 8
    OCO = 9


class ChangeReason(IntEnum):
    """Why an order's size, funds or price changed."""

    STP = 1
    AMEND = 2


class DoneReason(IntEnum):
    """How an order ended."""

    FILLED = 1
    CANCELED = 2
