"""The REST face that every API shows: one way in (strict JSON), one way out (money as text), one error shape."""

from exchange.rest.app import Api
from exchange.rest.reading import Body, read_body
from exchange.rest.request import ApiRequest, Reply

__all__ = ["Api", "ApiRequest", "Body", "Reply", "read_body"]
