"""Reading a body: strict JSON into a typed model, or a refusal that names the field and the remedy."""

import json
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from exchange.kernel.errors import Code, Refused

BODY_BYTES_MAX = 16_384
DEPTH_MAX = 8


class Body(BaseModel):
    """Subclass for each request body: strict types, unknown fields refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


BodyModel = TypeVar("BodyModel", bound=Body)


class MalformedJsonError(ValueError):
    """Not the JSON we read; the message says why."""


def read_body(
    model: type[BodyModel], body: bytes, *, tolerate: frozenset[str] = frozenset(), bytes_max: int = BODY_BYTES_MAX
) -> BodyModel | Refused:
    """Read a JSON object as `model`; `tolerate` names fields that clients send and nobody needs.

    Refuses:  REQUEST_TOO_LARGE, REQUEST_MALFORMED, REQUEST_FIELD_UNKNOWN, REQUEST_FIELD_INVALID (in this order).
    """
    if len(body) > bytes_max:
        return Refused(Code.REQUEST_TOO_LARGE, f"the body is {len(body)} bytes; send at most {bytes_max}")
    try:
        fields = parse_object(body)
    except MalformedJsonError as error:
        return Refused(Code.REQUEST_MALFORMED, f"the body must be one JSON object: {error}")
    try:
        return model.model_validate({name: value for name, value in fields.items() if name not in tolerate})
    except ValidationError as error:
        return _refusal(error)


def parse_object(body: bytes) -> dict[str, Any]:
    """Read one JSON object in which no name is given twice and no number is a float. Raises MalformedJsonError."""
    try:
        return _parse_object(body)
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, MalformedJsonError) else MalformedJsonError("it is not valid JSON") from error


def _parse_object(body: bytes) -> dict[str, Any]:
    value = json.loads(
        body.decode("utf-8"), object_pairs_hook=unique_fields, parse_constant=_refuse_constant, parse_float=Decimal
    )
    if not isinstance(value, dict):
        raise MalformedJsonError("it is something else")
    if _depth(value) > DEPTH_MAX:
        raise MalformedJsonError(f"it is nested deeper than {DEPTH_MAX}")
    if b"\\u" in body and not _is_text(value):
        raise MalformedJsonError("half a surrogate pair is no character")
    return value


def _is_text(value: Any) -> bool:
    """Whether every name and text in it can be written as UTF-8: an escape like \\ud83d alone can't."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(inner) for inner in value), default=0)
    return 0


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's fields; raises MalformedJsonError where a name is given twice."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedJsonError("a field is given twice")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJsonError(f"{name} is no number")


# What to send instead, where pydantic only says what it expected.
_REMEDIES = {
    "string_type": 'give text, in quotes: "1.5", not 1.5',
    "int_type": "give a whole number, without quotes",
    "bool_type": "give true or false, without quotes",
    "list_type": "give a list, in brackets",
    "model_type": "give an object, in braces",
}


def _refusal(error: ValidationError) -> Refused:
    issues = error.errors(include_url=False)
    # A misspelt field is also a missing one: the name that was sent tells more than the name that was not.
    issue = next((issue for issue in issues if issue["type"] == "extra_forbidden"), issues[0])
    name = ".".join(str(part) for part in issue["loc"])[:80] or "body"
    if issue["type"] == "extra_forbidden":
        return Refused(Code.REQUEST_FIELD_UNKNOWN, f"{name}: unknown field; leave it out")
    if issue["type"] == "missing":
        return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: this field is required")
    return Refused(Code.REQUEST_FIELD_INVALID, f"{name}: {_REMEDIES.get(issue['type'], issue['msg'])}")
