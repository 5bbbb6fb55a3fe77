"""What travels on the two streams: packed commands, packed events, and the chain of hashes over them.

Pure: bytes in, values out, and back. Prices are ticks, sizes are lots, both of the product named in the record.
"""

from exchange.messages.commands import (
    COMMANDS_PER_RECORD_MAX,
    NO_COMMAND_ID,
    REFUSED_VALUE,
    Command,
    CommandRecord,
    ProductParameters,
    decode_commands,
    encode_commands,
)
from exchange.messages.errors import MalformedRecordError, RecordError, UnknownVersionError
from exchange.messages.event_chain import ChainCheck, verify_record
from exchange.messages.event_encoding import PackedGroup, encode_event_records, encode_packed_groups
from exchange.messages.event_records import EVENT_RECORD_LENGTH_MAX, EventRecord, decode_events
from exchange.messages.events import (
    CommandResult,
    Event,
    chain_hash,
    genesis_hash,
    op_name,
    pack_event,
    pack_result,
    reason_name,
    unpack_result,
)
from exchange.messages.vocabulary import (
    CancelReason,
    ChangeReason,
    DoneReason,
    EventType,
    Op,
    OrderType,
    Phase,
    RejectReason,
    SelfTradePrevention,
    Side,
    StopKind,
    TimeInForce,
)

__all__ = [
    "COMMANDS_PER_RECORD_MAX",
    "EVENT_RECORD_LENGTH_MAX",
    "NO_COMMAND_ID",
    "REFUSED_VALUE",
    "CancelReason",
    "ChainCheck",
    "ChangeReason",
    "Command",
    "CommandRecord",
    "CommandResult",
    "DoneReason",
    "Event",
    "EventRecord",
    "EventType",
    "MalformedRecordError",
    "Op",
    "OrderType",
    "PackedGroup",
    "Phase",
    "ProductParameters",
    "RecordError",
    "RejectReason",
    "SelfTradePrevention",
    "Side",
    "StopKind",
    "TimeInForce",
    "UnknownVersionError",
    "chain_hash",
    "decode_commands",
    "decode_events",
    "encode_commands",
    "encode_event_records",
    "encode_packed_groups",
    "genesis_hash",
    "op_name",
    "pack_event",
    "pack_result",
    "reason_name",
    "unpack_result",
    "verify_record",
]
