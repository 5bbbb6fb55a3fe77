"""Every decoder of bytes from outside, fed with noise and with damaged messages: it reads them or refuses them.

`make fuzz MESSAGES=100000` asks longer, with new chances each time.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from exchange.iso20022.grammar import FileRefusedError, read_message
from exchange.iso20022.schemas import INCOMING
from exchange.iso20022.statements import read_reports
from exchange.iso20022.statuses import read_statuses
from exchange.kernel.errors import Refused
from exchange.messages import RecordError, decode_commands, decode_events, encode_commands, encode_event_records
from exchange.messages.commands import check_record
from exchange.payments import signature
from exchange.payments.notification import NotificationBody
from exchange.rest.reading import read_body
from exchange.stripe.events import read_event
from exchange.trading.request import PlaceOrderBody
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.test_frames import check_answer
from tests.unit.feeds.house import SIGNED
from tests.unit.iso20022.test_messages import NOTICE, OLDER, STATEMENT, STATUS
from tests.unit.messages.samples import COMMANDS, EPOCH, EXTENDED_COMMANDS, PRODUCT_ID, RESULTS
from tests.unit.messages.test_events import GENESIS

SECRET = "whsec_of_a_test"


@dataclass(frozen=True)
class Decoder:
    """Something that reads bytes; whatever it raises but a refusal of its own is a fault. `sound` is what it reads."""

    read: Callable[[bytes], object]
    sound: tuple[bytes, ...]


def record(decode: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """A reader of the log: it refuses by RecordError."""

    def read(data: bytes) -> object:
        try:
            return decode(data)
        except RecordError:
            return None

    return read


def command_record(data: bytes) -> object:
    """Read a command record; the quick look must judge alike."""
    try:
        quick = check_record(data)
    except RecordError:
        quick = None
    try:
        found = decode_commands(data)
    except RecordError:
        assert quick is None
        return None
    assert quick == (found.product_id, len(found.commands))
    return found


def bank_file(data: bytes) -> object:
    """Read a file as the bank's folder is read: whole, or not at all."""
    try:
        message = read_message(data, INCOMING)
        if message.name.startswith("pain"):
            return read_statuses(message)
        reports = read_reports(message)
    except FileRefusedError:
        return None
    if message.name.startswith("camt.053."):  # A notification has no balances.
        for report in reports:
            assert report.opening + sum(line.units for line in report.lines) == report.closing
    return reports


def frame(data: bytes) -> object:
    """Take a WebSocket's frame, which API Gateway hands over as text."""
    check_answer(data.decode("utf-8", "replace"))
    return True


def bank_webhook(data: bytes) -> object:
    """Hear the bank, who signed whatever this is."""
    headers = {
        name.lower(): value for name, value in signature.signed_headers(SECRET, now_seconds=0, body=data).items()
    }
    assert signature.verify(SECRET, headers=headers, body=data, now_seconds=0) is None
    body = read_body(NotificationBody, data)
    return None if isinstance(body, Refused) else body.said()


def stripe_webhook(data: bytes) -> object:
    """Hear Stripe, who signed whatever this is."""
    now = int(time.time())
    digest = hmac.new(SECRET.encode(), f"{now}.".encode() + data, hashlib.sha256).hexdigest()
    event = read_event(SECRET, headers={"stripe-signature": f"t={now},v1={digest}"}, body=data)
    return None if isinstance(event, Refused) else event


def body(data: bytes) -> object:
    """Read an order as it comes over REST."""
    found = read_body(PlaceOrderBody, data)
    return None if isinstance(found, Refused) else found


def text(value: object) -> bytes:
    """JSON."""
    return json.dumps(value).encode()


NOTIFIED = {
    "event_id": "e1",
    "transfer_id": "t1",
    "status": "booked",
    "amount": "1.50",
    "currency": "USD",
    "bank_reference": "R1",
}
INTENT = {"id": "pi_1", "object": "payment_intent"}
ORDER = {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "90", "size": "1"}
DECODERS: Mapping[str, Decoder] = {
    "commands": Decoder(
        command_record, (encode_commands(PRODUCT_ID, COMMANDS), encode_commands(PRODUCT_ID, EXTENDED_COMMANDS))
    ),
    "events": Decoder(
        record(decode_events), tuple(encode_event_records(PRODUCT_ID, EPOCH, RESULTS, hash_before=GENESIS))
    ),
    "bank files": Decoder(bank_file, (STATEMENT, OLDER, NOTICE, STATUS)),
    "frames": Decoder(
        frame,
        (
            text({"type": "subscribe", "product_ids": ["ACME-USD"], "channels": ["full", {"name": "candles_60"}]}),
            text({"type": "subscribe", "channels": ["user"], **SIGNED}),
        ),
    ),
    "bank webhooks": Decoder(bank_webhook, (text(NOTIFIED), text({**NOTIFIED, "status": "returned", "reason": "x"}))),
    "Stripe webhooks": Decoder(
        stripe_webhook, (text({"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": INTENT}}),)
    ),
    "bodies": Decoder(body, (text(ORDER), text({**ORDER, "stop": "loss", "stop_price": "89.5"}))),
}
# What a reader of numbers, of names and of nesting may stumble over.
PIECES = st.sampled_from(
    [b"", b"\x00", b"\xff" * 8, b"\x80", b'"', b"{", b"[" * 3_000, b"}", b"<", b"</", b"&x;", b"<!DOCTYPE a>", b"null",
     b"1e999", b"-0", b"9" * 40, b"\\ud83d", b"\xed\xa0\x80", b"NaN", b"true", b",", b"\xef\xbb\xbf"]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, sound: tuple[bytes, ...]) -> bytes:
    """A message that was sound, with up to four changes: bytes replaced, put in, left out, or said twice."""
    data = draw(st.sampled_from(sound))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 16) | st.integers(0, len(data))))
        put = draw(st.binary(max_size=9) | PIECES | st.just(data[start:end] * 2))
        data = data[:start] + put + data[end:]
    return data


@pytest.mark.parametrize("name", DECODERS)
def test_what_is_sound_is_read(name: str) -> None:
    assert all(DECODERS[name].read(message) for message in DECODERS[name].sound)


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
@settings(deadline=None)
def test_what_is_damaged_is_read_or_refused(name: str, data: st.DataObject) -> None:
    decoder = DECODERS[name]
    decoder.read(data.draw(damaged(decoder.sound)))


@pytest.mark.parametrize("name", DECODERS)
@given(noise=st.binary(max_size=600))
@settings(deadline=None)
def test_noise_is_read_or_refused(name: str, noise: bytes) -> None:
    DECODERS[name].read(noise)
