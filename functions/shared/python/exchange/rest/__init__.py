"""The REST face that every API shows: one way in (strict JSON), one way out (money as text), one error shape."""

from exchange.rest.admission import Gate, Guard, Verdict
from exchange.rest.app import Api
from exchange.rest.queries import NumberPage, parse_moment, read_last_moment, read_limit, read_moment, read_number_page
from exchange.rest.reading import Body, MalformedJsonError, parse_object, read_body
from exchange.rest.request import ApiRequest, Reply

__all__ = [
    "Api",
    "ApiRequest",
    "Body",
    "Gate",
    "Guard",
    "MalformedJsonError",
    "NumberPage",
    "Reply",
    "Verdict",
    "parse_moment",
    "parse_object",
    "read_body",
    "read_last_moment",
    "read_limit",
    "read_moment",
    "read_number_page",
]
