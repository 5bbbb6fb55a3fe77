"""A request as our code sees it, and a reply before it is JSON."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request, with the query string as it was signed."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    source_address: str
    request_id: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def path_with_query(self) -> str:
        """What a client signs: the path and, after a question mark, the query string as sent."""
        return f"{self.path}?{self.raw_query}" if self.raw_query else self.path

    def query(self, name: str) -> str | None:
        """The last value of a query parameter; None where it is absent."""
        values = self.query_all(name)
        return values[-1] if values else None

    def query_all(self, name: str) -> list[str]:
        """Every value of a query parameter, in order."""
        return [value for key, value in parse_qsl(self.raw_query, keep_blank_values=True) if key == name]

    def query_names(self) -> list[str]:
        """The names of the query's parameters, in order."""
        return [name for name, _ in parse_qsl(self.raw_query, keep_blank_values=True)]

    @classmethod
    def from_event(cls, event: Mapping[str, Any], body: bytes, *, origin_secret: str = "") -> "ApiRequest":
        """Read API Gateway's REST proxy event.

        The edge sends the raw query string beside the decoded one; we verify it and read parameters only from it.
        """
        context = event.get("requestContext") or {}
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        raw_query = headers.get("x-raw-query")
        if raw_query is None:
            many = event.get("multiValueQueryStringParameters") or {}
            raw_query = urlencode([(name, value) for name, values in many.items() for value in values])
        return cls(
            method=str(context.get("httpMethod") or event.get("httpMethod")),
            path=str(event.get("path") or "/"),
            raw_query=raw_query,
            headers=headers,
            body=body,
            source_address=_viewer_address(context, headers, origin_secret),
            request_id=str(context.get("requestId", "")),
            variables=dict(event.get("pathParameters") or {}),
        )


def _viewer_address(context: Mapping[str, Any], headers: Mapping[str, str], origin_secret: str) -> str:
    """Where a request comes from. The edge's word counts only with the secret that it alone knows; who comes past the
    edge shows API Gateway their own address. X-Forwarded-For is anybody's to write and is not looked at."""
    told = headers.get("x-viewer-address")
    if told and origin_secret:
        proof = headers.get("x-origin-secret", "").encode("utf-8", "replace")
        if hmac.compare_digest(proof, origin_secret.encode()):
            return told
    return str((context.get("identity") or {}).get("sourceIp", ""))


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: a JSON value in which money is text, and headers such as the paging cursors."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
