"""Commands: what the orders stream carries, many to a record.

Format, versions 1 and 2, little-endian, no padding but where it says so:

    header   4s magic "XCMD" | u16 version | u16 count | 24s product id, ASCII, filled up with NUL          32 bytes
    command  u8 op | u8 side | u8 order_type | u8 time_in_force | u8 stop | u8 self_trade_prevention
             | u8 flags (1 = post_only, 2 = extended) | u8 phase | 16s command_id | u16 rules_version | 6 NUL
             | i64 order_id, account_id, price, size, funds, stop_price, cap_price, expire_time_ns, display_size,
             time_ns                                                                                       112 bytes
    an extended command, of version 2 only, is followed by i64 oco_order_id, trail_amount                   16 bytes
    a command whose op is CONFIGURE, never extended, by 2 x 16s currencies and 7 x 40s decimals as text    312 bytes

A record is of version 2 only where a command in it is extended, so whoever knows version 1 alone stops there and
nowhere else.

What decoding judges is the format. What a command *says* (an op nobody knows, a negative price) is for the engine,
which answers it with an event; so a hostile value never stops a product.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from exchange.messages.errors import MalformedRecordError, UnknownVersionError
from exchange.messages.vocabulary import Op

COMMANDS_MAGIC: Final = b"XCMD"
COMMANDS_VERSION: Final = 1
EXTENDED_VERSION: Final = 2
COMMANDS_PER_RECORD_MAX: Final = 4096
PRODUCT_ID_LENGTH_MAX: Final = 24
NO_COMMAND_ID: Final = bytes(16)
# A value that was given but is no positive whole number of units (zero, off the increment, too large to write).
# Zero says absent, so what was refused in text stays refused, for the same reason, when it is packed.
REFUSED_VALUE: Final = -1

COMMAND_HEADER: Final = Struct("<4sHH24s")
COMMAND_STRUCT: Final = Struct("<8B16sH6x10q")
_IDS: Final = Struct("<2q")
_IDS_OFFSET: Final = 32
_FLAGS_OFFSET: Final = 6
EXTENSION_STRUCT: Final = Struct("<2q")
PARAMETERS_STRUCT: Final = Struct("<16s16s40s40s40s40s40s40s40s")
FLAG_POST_ONLY: Final = 1
FLAG_EXTENDED: Final = 2
_FLAGS: Final = {COMMANDS_VERSION: FLAG_POST_ONLY, EXTENDED_VERSION: FLAG_POST_ONLY | FLAG_EXTENDED}
_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ProductParameters:
    """A product's parameters as decimal text; an empty text is an absent one.

    Units:    sizes and increments of size in the base currency; prices, funds in the quote currency; the
              band as a part of 1.
    """

    base_currency: str
    quote_currency: str
    base_increment: str
    quote_increment: str
    base_min_size: str
    base_max_size: str
    min_market_funds: str
    reference_price: str = ""
    price_band: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """One thing asked of one product's engine. Zero says absent; the enumerations are plain small integers.

    Units:    price, stop_price, cap_price in ticks; size, display_size in lots; funds in tick x lot units (of a product
              whose lot is not 1/n of the base currency: in `quote_increment`/n units, see ProductSpec).
              `cap_price` is where a market buy by size stops as at the band's edge: its hold is counted with it.
              `size` of an amend is the new total; with `expire_time_ns` it is refused from then on. `parameters`
              belongs to CONFIGURE, `rules_version` to RULES_VERSION.
              `time_ns` is zero on the stream; the matcher stamps it with the record's arrival time.
              `oco_order_id` of a place names the live order it is paired with, `trail_amount` (ticks) how far behind
              the best trade its stop price follows.
    """

    op: int
    command_id: bytes = NO_COMMAND_ID
    order_id: int = 0
    account_id: int = 0
    side: int = 0
    order_type: int = 0
    time_in_force: int = 0
    stop: int = 0
    self_trade_prevention: int = 0
    post_only: bool = False
    price: int = 0
    size: int = 0
    funds: int = 0
    stop_price: int = 0
    cap_price: int = 0
    expire_time_ns: int = 0
    display_size: int = 0
    phase: int = 0
    time_ns: int = 0
    rules_version: int = 0
    parameters: ProductParameters | None = None
    oco_order_id: int = 0
    trail_amount: int = 0

    @property
    def is_extended(self) -> bool:
        """Whether it says something that version 1 of the format can't."""
        return self.oco_order_id != 0 or self.trail_amount != 0


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """One Kinesis record of the orders stream."""

    product_id: str
    commands: tuple[Command, ...]


def encode_commands(product_id: str, commands: Sequence[Command]) -> bytes:
    """Pack commands for one product into one stream record.

    Raises:   MalformedRecordError when a value does not fit its field or there are more than COMMANDS_PER_RECORD_MAX.
    """
    parts = []
    for command in commands:
        packed = pack_command(command)
        parts.append(packed + pack_parameters(command.parameters) if command.op == Op.CONFIGURE else packed)
    return join_commands(product_id, parts)


def join_commands(product_id: str, packed: Sequence[bytes]) -> bytes:
    """Make one stream record of packed commands, each with its extension or parameters if it has some.

    Raises:   MalformedRecordError when there are more than COMMANDS_PER_RECORD_MAX.
    """
    if len(packed) > COMMANDS_PER_RECORD_MAX:
        raise MalformedRecordError(f"a record holds at most {COMMANDS_PER_RECORD_MAX} commands, not {len(packed)}")
    is_extended = any(command[_FLAGS_OFFSET] & FLAG_EXTENDED for command in packed)
    version = EXTENDED_VERSION if is_extended else COMMANDS_VERSION
    return COMMAND_HEADER.pack(COMMANDS_MAGIC, version, len(packed), pack_product_id(product_id)) + b"".join(packed)


def read_ids(record: bytes) -> Iterator[tuple[int, int]]:
    """The order's and the account's number in each command of a well-formed record."""
    offset = COMMAND_HEADER.size
    while offset < len(record):
        yield _IDS.unpack_from(record, offset + _IDS_OFFSET)
        start, offset = offset, offset + COMMAND_STRUCT.size
        if record[start + _FLAGS_OFFSET] & FLAG_EXTENDED:
            offset += EXTENSION_STRUCT.size
        elif record[start] == Op.CONFIGURE:
            offset += PARAMETERS_STRUCT.size


def decode_commands(data: bytes) -> CommandRecord:
    """Read one stream record of commands.

    Raises:   UnknownVersionError, MalformedRecordError.
    """
    product_id, count, version = _read_header(data)
    offset = COMMAND_HEADER.size
    commands = []
    for _ in range(count):
        command, offset = _unpack_command(data, offset, version)
        commands.append(command)
    if version == EXTENDED_VERSION and not any(command.is_extended for command in commands):
        raise MalformedRecordError("a record of version 2 extends no command")
    if offset != len(data):
        raise MalformedRecordError(f"{len(data) - offset} bytes follow the last command")
    return CommandRecord(product_id, tuple(commands))


def check_record(data: bytes, has_strange_bits: Callable[[bytes], int] | None = None) -> tuple[str, int]:
    """Judge a record exactly as `decode_commands` does, without reading its values; return product and count.

    `has_strange_bits` does what the function of this name below does, faster.
    Raises:   UnknownVersionError, MalformedRecordError.
    """
    product_id, count, version = _read_header(data)
    is_plain = version == COMMANDS_VERSION and len(data) == COMMAND_HEADER.size + count * COMMAND_STRUCT.size
    if is_plain and not (has_strange_bits or _has_strange_bits)(data):
        return product_id, count
    return product_id, len(decode_commands(data).commands)


def _read_header(data: bytes) -> tuple[str, int, int]:
    if len(data) < COMMAND_HEADER.size:
        raise MalformedRecordError(f"{len(data)} bytes are too few for a record of commands")
    magic, version, count, product = COMMAND_HEADER.unpack_from(data)
    if magic != COMMANDS_MAGIC:
        raise MalformedRecordError("not a record of commands: the magic is wrong")
    if version not in _FLAGS:
        raise UnknownVersionError(f"version {version} of the commands' format is unknown here")
    if count > COMMANDS_PER_RECORD_MAX:
        raise MalformedRecordError(f"{count} commands in one record are more than {COMMANDS_PER_RECORD_MAX}")
    return unpack_product_id(product), count, version


def _has_strange_bits(data: bytes) -> bool:
    """Whether a command of a record without parameters has flags or padding that need a closer look, or parameters."""
    start, step = COMMAND_HEADER.size, COMMAND_STRUCT.size
    flags = data[start + 6 :: step]
    if flags.translate(None, b"\0\1") or Op.CONFIGURE in data[start::step]:
        return True
    return any(data[start + padding :: step].strip(b"\0") for padding in range(26, 32))


def pack_product_id(product_id: str) -> bytes:
    """A product's id in its fixed width.

    Raises:   MalformedRecordError unless it is 1 to 24 printable ASCII characters.
    """
    if not 0 < len(product_id) <= PRODUCT_ID_LENGTH_MAX or not (product_id.isascii() and product_id.isprintable()):
        raise MalformedRecordError(f"{product_id[:40]!r} is not a product id: 1 to 24 printable ASCII characters")
    return product_id.encode("ascii").ljust(PRODUCT_ID_LENGTH_MAX, b"\0")


def unpack_product_id(field: bytes) -> str:
    """The product's id in a fixed-width field.

    Raises:   MalformedRecordError.
    """
    product_id = _unpack_text(field)
    if not product_id:
        raise MalformedRecordError("a record must name its product")
    return product_id


def pack_parameters(parameters: ProductParameters | None) -> bytes:
    """A product's parameters in their fixed widths.

    Raises:   MalformedRecordError.
    """
    if parameters is None:
        raise MalformedRecordError("a configure command must carry the product's parameters")
    return PARAMETERS_STRUCT.pack(
        _pack_text(parameters.base_currency, 16),
        _pack_text(parameters.quote_currency, 16),
        _pack_text(parameters.base_increment, 40),
        _pack_text(parameters.quote_increment, 40),
        _pack_text(parameters.base_min_size, 40),
        _pack_text(parameters.base_max_size, 40),
        _pack_text(parameters.min_market_funds, 40),
        _pack_text(parameters.reference_price, 40),
        _pack_text(parameters.price_band, 40),
    )


def unpack_parameters(data: bytes, offset: int) -> tuple[ProductParameters, int]:
    """The parameters that start at `offset`, and where they end.

    Raises:   MalformedRecordError.
    """
    end = offset + PARAMETERS_STRUCT.size
    if end > len(data):
        raise MalformedRecordError("the record ends within a product's parameters")
    return ProductParameters(*map(_unpack_text, PARAMETERS_STRUCT.unpack_from(data, offset))), end


def pack_command(command: Command) -> bytes:
    """One command's bytes with its extension, without the parameters that may follow.

    Raises:   MalformedRecordError.
    """
    if command.is_extended and command.op == Op.CONFIGURE:
        raise MalformedRecordError("a configure command has neither oco_order_id nor trail_amount")
    if len(command.command_id) != len(NO_COMMAND_ID):
        raise MalformedRecordError(f"a command id has 16 bytes, not {len(command.command_id)}")
    try:
        packed = COMMAND_STRUCT.pack(
            command.op,
            command.side,
            command.order_type,
            command.time_in_force,
            command.stop,
            command.self_trade_prevention,
            (FLAG_POST_ONLY if command.post_only else 0) | (FLAG_EXTENDED if command.is_extended else 0),
            command.phase,
            command.command_id,
            command.rules_version,
            command.order_id,
            command.account_id,
            command.price,
            command.size,
            command.funds,
            command.stop_price,
            command.cap_price,
            command.expire_time_ns,
            command.display_size,
            command.time_ns,
        )
        extension = EXTENSION_STRUCT.pack(command.oco_order_id, command.trail_amount)
    except (struct.error, TypeError) as error:
        raise MalformedRecordError(f"a value does not fit its field: {error}") from error
    return packed + extension if command.is_extended else packed


def _unpack_command(data: bytes, offset: int, version: int) -> tuple[Command, int]:
    end = offset + COMMAND_STRUCT.size
    if end > len(data):
        raise MalformedRecordError("the record ends within a command")
    fields = COMMAND_STRUCT.unpack_from(data, offset)
    op, side, order_type, time_in_force, stop, prevention, flags, phase, command_id, rules_version = fields[:10]
    if flags & ~_FLAGS[version] or any(data[offset + 26 : offset + 32]):
        raise MalformedRecordError(f"a command sets bits that version {version} does not have")
    order_id, account_id, price, size, funds, stop_price, cap_price, expire_time_ns, display_size, time_ns = fields[10:]
    extension, parameters = (0, 0), None
    if flags & FLAG_EXTENDED:
        extension, end = _unpack_extension(data, op, end)
    elif op == Op.CONFIGURE:
        parameters, end = unpack_parameters(data, end)
    command = Command(
        op,
        command_id,
        order_id,
        account_id,
        side,
        order_type,
        time_in_force,
        stop,
        prevention,
        bool(flags & FLAG_POST_ONLY),
        price,
        size,
        funds,
        stop_price,
        cap_price,
        expire_time_ns,
        display_size,
        phase,
        time_ns,
        rules_version,
        parameters,
        *extension,
    )
    return command, end


def _unpack_extension(data: bytes, op: int, offset: int) -> tuple[tuple[int, int], int]:
    end = offset + EXTENSION_STRUCT.size
    if op == Op.CONFIGURE or end > len(data):
        raise MalformedRecordError("a configure command is extended, or the record ends within an extension")
    oco_order_id, trail_amount = EXTENSION_STRUCT.unpack_from(data, offset)
    if not oco_order_id and not trail_amount:
        raise MalformedRecordError("an extension says nothing")
    return (oco_order_id, trail_amount), end


def _pack_text(text: str, width: int) -> bytes:
    if len(text) > width or not (text.isascii() and (text.isprintable() or not text)):
        raise MalformedRecordError(f"{text[:40]!r} does not fit {width} printable ASCII characters")
    return text.encode("ascii").ljust(width, b"\0")


def _unpack_text(field: bytes) -> str:
    raw = field.rstrip(b"\0")
    text = raw.decode("ascii", "replace")
    if not (text.isascii() and (text.isprintable() or not text)):
        raise MalformedRecordError("a text field is not printable ASCII")
    return text
