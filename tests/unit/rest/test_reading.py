"""Bodies are read strictly: what is not exactly right is refused by name, whatever it is."""

import json
from typing import Any

import pytest
from exchange.kernel.errors import Code, Refused
from exchange.rest import Body, read_body
from hypothesis import given
from hypothesis import strategies as st


class Note(Body):
    """A body with one of each."""

    text: str
    count: int = 0
    flag: bool = False
    parts: list[str] | None = None


def code(body: bytes, **how: Any) -> Code | None:
    answer = read_body(Note, body, **how)
    return answer.code if isinstance(answer, Refused) else None


def test_a_good_body_is_its_model() -> None:
    assert read_body(Note, b'{"text":"x","count":2,"flag":true,"parts":["a"]}') == Note(
        text="x", count=2, flag=True, parts=["a"]
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{}}",
        b"[]",
        b'"text"',
        b"7",
        b"null",
        b"true",
        b"NaN",
        b"{'text':'x'}",
        b'{"text":"x",}',
        b'{"text":"x"} {"text":"y"}',
        b'{"text":"x","text":"y"}',
        b'{"text":"x","count":NaN}',
        b'{"text":"x","count":Infinity}',
        b'{"text":"x","count":-Infinity}',
        b'{"text":"x","parts":{"a":1,"a":2}}',
        b'{"text":"\x00"}',
        b'\xff{"text":"x"}',
        b'\xef\xbb\xbf{"text":"x"}',
        b'{"text":"\xc3"}',
        b'{"text":"\\ud83d"}',
        b'{"text":"x","\\udc00":1}',
        b'{"text":"x","parts":["\\ud83dx"]}',
        '{"text":"x"}'.encode("utf-16"),
        b'{"text":"x","count":' + b"9" * 5000 + b"}",
        b'{"text":' + b"[" * 9 + b"]" * 9 + b"}",
        b'{"text":' + b"[" * 8000 + b"]" * 8000 + b"}",
        b'{"a":' * 3000 + b"1" + b"}" * 1,
    ],
)
def test_what_is_no_object_of_json_is_malformed(body: bytes) -> None:
    assert code(body) is Code.REQUEST_MALFORMED


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "text"),
        (b'{"text":7}', "text"),
        (b'{"text":null}', "text"),
        (b'{"text":["x"]}', "text"),
        (b'{"text":"x","count":"2"}', "count"),
        (b'{"text":"x","count":2.0}', "count"),
        (b'{"text":"x","count":1e2}', "count"),
        (b'{"text":"x","count":true}', "count"),
        (b'{"text":"x","flag":1}', "flag"),
        (b'{"text":"x","flag":"true"}', "flag"),
        (b'{"text":"x","parts":"a"}', "parts"),
        (b'{"text":"x","parts":["a",7]}', "parts.1"),
    ],
)
def test_a_wrong_field_is_named(body: bytes, field: str) -> None:
    answer = read_body(Note, body)
    assert isinstance(answer, Refused)
    assert answer.code is Code.REQUEST_FIELD_INVALID
    assert answer.message.startswith(f"{field}: ")


@pytest.mark.parametrize("name", ["x", "TEXT", "", "__class__", "x" * 1000])
def test_an_unknown_field_is_named_unless_it_is_tolerated(name: str) -> None:
    body = json.dumps({"text": "x", name: 1}).encode()
    answer = read_body(Note, body)
    assert isinstance(answer, Refused)
    assert answer.code is Code.REQUEST_FIELD_UNKNOWN
    assert name[:80] in answer.message
    assert len(answer.message) < 200
    assert code(body, tolerate=frozenset({name})) is None


def test_an_escaped_pair_is_a_character() -> None:
    assert read_body(Note, b'{"text":"\\ud83d\\ude00"}') == Note(text="\U0001f600")


def test_a_large_body_is_refused_before_it_is_read() -> None:
    assert code(b'{"text":"' + b"x" * 16_373 + b'"}') is None
    assert code(b'{"text":"' + b"x" * 16_374 + b'"}') is Code.REQUEST_TOO_LARGE


@pytest.mark.parametrize("depth", [9, 100, 300, 400, 500, 700, 900, 990])
def test_what_json_reads_and_is_too_deep_to_be_walked_is_malformed_too(depth: int) -> None:
    assert code(b'{"text":' + b"[" * depth + b"]" * depth + b"}") is Code.REQUEST_MALFORMED


@given(st.binary(max_size=200))
def test_no_bytes_whatever_break_the_reader(body: bytes) -> None:
    assert isinstance(read_body(Note, body), Note | Refused)


# Without a codec: to learn which characters have a UTF-8 form, Hypothesis tries all 1.1 million in the first example.
CHARACTERS = st.characters(exclude_categories=())
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(CHARACTERS, max_size=20)
JSON = LEAVES | st.lists(LEAVES, max_size=5) | st.dictionaries(st.text(CHARACTERS, max_size=5), LEAVES, max_size=5)


@given(st.dictionaries(st.sampled_from(["text", "count", "flag", "parts", "more"]), JSON, max_size=5))
def test_no_json_whatever_breaks_the_reader(fields: dict[str, Any]) -> None:
    answer = read_body(Note, json.dumps(fields).encode())
    assert isinstance(answer, Note | Refused)


def test_a_misspelt_field_is_named_rather_than_the_one_that_is_missing_for_it() -> None:
    answer = read_body(Note, b'{"txt":"x","count":"2"}')
    assert answer == Refused(Code.REQUEST_FIELD_UNKNOWN, "txt: unknown field; leave it out")
