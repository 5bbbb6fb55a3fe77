"""Only the bank can sign, only these bytes, only now."""

import pytest
from exchange.kernel.errors import Code
from exchange.payments.signature import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    WINDOW_SECONDS_MAX,
    sign,
    signed_headers,
    verify,
)

SECRET, BODY, NOW = "shared", b'{"amount":"1"}', 1_800_000_000


def code_of(headers: dict[str, str], body: bytes = BODY, *, now: int = NOW, secret: str = SECRET) -> Code | None:
    refused = verify(secret, headers={k.lower(): v for k, v in headers.items()}, body=body, now_seconds=now)
    return refused.code if refused else None


def test_what_the_bank_signed_is_believed() -> None:
    assert code_of(signed_headers(SECRET, now_seconds=NOW, body=BODY)) is None


@pytest.mark.parametrize("away", [WINDOW_SECONDS_MAX, -WINDOW_SECONDS_MAX])
def test_five_minutes_either_way_are_believed_and_a_second_more_is_not(away: int) -> None:
    headers = signed_headers(SECRET, now_seconds=NOW, body=BODY)
    assert code_of(headers, now=NOW + away) is None
    assert code_of(headers, now=NOW + away + (1 if away > 0 else -1)) is Code.AUTH_EXPIRED


def test_no_byte_of_the_body_can_be_changed() -> None:
    headers = signed_headers(SECRET, now_seconds=NOW, body=BODY)
    for position in range(len(BODY)):
        changed = BODY[:position] + bytes([BODY[position] ^ 1]) + BODY[position + 1 :]
        assert code_of(headers, changed) is Code.AUTH_INVALID
    assert code_of(headers, BODY + b" ") is Code.AUTH_INVALID
    assert code_of(headers, b"") is Code.AUTH_INVALID


def test_a_moment_cannot_be_moved_and_bytes_cannot_wander_into_it() -> None:
    headers = signed_headers(SECRET, now_seconds=NOW, body=BODY)
    assert code_of(headers | {TIMESTAMP_HEADER: str(NOW + 1)}) is Code.AUTH_INVALID
    wandered = sign(SECRET, timestamp=str(NOW)[:-1], body=str(NOW)[-1:].encode() + BODY)
    assert code_of({TIMESTAMP_HEADER: str(NOW), SIGNATURE_HEADER: wandered}) is Code.AUTH_INVALID


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({SIGNATURE_HEADER: ""}, Code.AUTH_MISSING),
        ({TIMESTAMP_HEADER: ""}, Code.AUTH_MISSING),
        ({SIGNATURE_HEADER: "0" * 64}, Code.AUTH_INVALID),
        ({SIGNATURE_HEADER: "é" * 64}, Code.AUTH_INVALID),
        ({SIGNATURE_HEADER: "sha256=" + "0" * 64}, Code.AUTH_INVALID),
        ({TIMESTAMP_HEADER: "1.8e9"}, Code.AUTH_INVALID),
        ({TIMESTAMP_HEADER: " 1800000000"}, Code.AUTH_INVALID),
        ({TIMESTAMP_HEADER: "-1800000000"}, Code.AUTH_INVALID),
        ({TIMESTAMP_HEADER: "\u0661\u0668\u0660"}, Code.AUTH_INVALID),
        ({TIMESTAMP_HEADER: "9" * 40}, Code.AUTH_INVALID),
    ],
)
def test_headers_of_another_shape_are_refused(changed: dict[str, str], code: Code) -> None:
    assert code_of(signed_headers(SECRET, now_seconds=NOW, body=BODY) | changed) is code


def test_another_secret_signs_nothing_here() -> None:
    assert code_of(signed_headers("guess", now_seconds=NOW, body=BODY)) is Code.AUTH_INVALID
