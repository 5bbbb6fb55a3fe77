"""One command of each op and one result with every kind of event: what the golden files pin."""

from typing import Any

from exchange.messages import (
    CancelReason,
    ChangeReason,
    Command,
    CommandResult,
    DoneReason,
    Event,
    EventType,
    Op,
    OrderType,
    Phase,
    ProductParameters,
    RejectReason,
    SelfTradePrevention,
    Side,
    StopKind,
    TimeInForce,
)

PRODUCT_ID = "ACME-USD"
EPOCH = 7
BIG = 2**63 - 1
PARAMETERS = ProductParameters("ACME", "USD", "0.001", "0.01", "0.001", "1000000", "1", "100.00", "0.10")


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


COMMANDS = (
    Command(
        op=Op.PLACE,
        command_id=_id(1),
        order_id=BIG,
        account_id=12,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTT,
        stop=StopKind.ENTRY,
        self_trade_prevention=SelfTradePrevention.CB,
        post_only=True,
        price=10_000,
        size=5_000,
        stop_price=9_999,
        expire_time_ns=1_700_000_000_000_000_001,
        display_size=100,
        time_ns=1_700_000_000_000_000_000,
    ),
    Command(
        op=Op.PLACE,
        command_id=_id(2),
        order_id=13,
        account_id=12,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        self_trade_prevention=SelfTradePrevention.DC,
        size=1,
        cap_price=11_000,
    ),
    Command(op=Op.PLACE, command_id=_id(3), order_id=14, account_id=12, side=Side.SELL, order_type=2, funds=-1),
    Command(op=Op.CANCEL, command_id=_id(4), order_id=13),
    Command(op=Op.CANCEL_ALL, command_id=_id(5), account_id=12),
    Command(op=Op.AMEND, command_id=_id(6), order_id=13, size=4, price=10_001),
    Command(op=Op.PHASE, command_id=_id(7), phase=Phase.AUCTION),
    Command(op=Op.TICK, command_id=_id(8), time_ns=1),
    Command(op=Op.CANCEL_IF_UNSEEN, command_id=_id(9), order_id=15, account_id=12),
    Command(
        op=Op.CONFIGURE,
        command_id=_id(10),
        parameters=PARAMETERS,
    ),
    Command(op=Op.RULES_VERSION, command_id=_id(11), rules_version=1),
)

EXTENDED_COMMANDS = (
    COMMANDS[3],
    Command(
        op=Op.PLACE,
        command_id=_id(12),
        order_id=16,
        account_id=12,
        side=Side.SELL,
        order_type=OrderType.MARKET,
        stop=StopKind.LOSS,
        size=5_000,
        stop_price=9_000,
        oco_order_id=BIG,
        trail_amount=300,
    ),
    Command(op=Op.PLACE, command_id=_id(13), order_id=17, trail_amount=-1),
    COMMANDS[9],
    Command(op=Op.PLACE, command_id=_id(14), order_id=18, post_only=True, oco_order_id=16),
)

_EVENTS: tuple[dict[str, Any], ...] = (
    {"type": EventType.RECEIVED, "side": 1, "order_type": 1, "price": 10_000, "size": 50, "display_size": 5},
    {"type": EventType.REJECTED, "op": Op.AMEND, "reason": RejectReason.SIZE_BELOW_FILLED},
    {"type": EventType.ACTIVATE, "stop": StopKind.LOSS, "stop_price": 9_000},
    {"type": EventType.TRIGGERED},
    {"type": EventType.OPEN, "side": 1, "price": 10_000, "size": 5, "remaining_size": 50},
    {
        "type": EventType.MATCH,
        "maker_order_id": 8,
        "maker_account_id": 9,
        "trade_id": 1,
        "side": 2,
        "price": 10_000,
        "size": 3,
    },
    {
        "type": EventType.CHANGE,
        "reason": ChangeReason.AMEND,
        "side": 1,
        "price": 10_001,
        "old_size": 50,
        "new_size": 40,
        "old_price": 10_000,
        "new_price": 10_001,
    },
    {"type": EventType.CHANGE, "reason": ChangeReason.STP, "old_funds": 9, "new_funds": 8, "by_funds": True},
    {
        "type": EventType.DONE,
        "done_reason": DoneReason.CANCELED,
        "reason": CancelReason.MARKET,
        "side": 1,
        "order_type": 2,
        "remaining_funds": 8,
        "by_funds": True,
    },
    {"type": EventType.PHASE, "phase": Phase.HALTED},
    {"type": EventType.AUCTION, "price": 10_000, "size": 77},
)
_WITHOUT_ORDER = (EventType.PHASE, EventType.AUCTION)


def result(number: int, first_sequence: int, count: int) -> CommandResult:
    """A result of `count` events, cycling through the kinds."""
    events = []
    for sequence in range(first_sequence, first_sequence + count):
        fields = dict(_EVENTS[(sequence - 1) % len(_EVENTS)])
        if fields["type"] not in _WITHOUT_ORDER:
            fields |= {"order_id": 1000 + number, "account_id": 12}
        events.append(Event(sequence=sequence, time_ns=1_700_000_000_000_000_000 + number, **fields))
    return CommandResult(_id(number), Op.PLACE, 1000 + number, 12, 1_700_000_000_000_000_000 + number, tuple(events))


RESULTS = (result(1, 1, 11), result(2, 12, 1), result(3, 13, 5))
