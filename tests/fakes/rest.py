"""API Gateway's side of a REST call: the proxy event that a function gets, in its full shape."""

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

STAGE = "live"


@dataclass(frozen=True)
class Answer:
    """What a function answered."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


def proxy_event(
    method: str,
    path: str,
    *,
    query: str = "",
    body: str | None = None,
    headers: dict[str, str] | None = None,
    resource: str | None = None,
    variables: dict[str, str] | None = None,
    raw_query: bool = True,
    source_address: str = "203.0.113.7",
) -> dict[str, Any]:
    """A REST API's proxy event (payload 1.0). `raw_query` says whether an edge carried the query as it was sent."""
    sent = {"Accept": "*/*", "Content-Type": "application/json", "Host": "api.example.com", **(headers or {})}
    if raw_query:
        sent["x-raw-query"] = query
    pairs = parse_qsl(query, keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    return {
        "resource": resource or path,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": many or None,
        "pathParameters": variables,
        "stageVariables": None,
        "requestContext": {
            "resourceId": "x1y2z3",
            "resourcePath": resource or path,
            "httpMethod": method,
            "extendedRequestId": "Jx0example=",
            "requestTime": "22/Nov/2026:17:00:00 +0000",
            "path": f"/{STAGE}{path}",
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": STAGE,
            "domainPrefix": "api",
            "requestTimeEpoch": 1795366800000,
            "requestId": "8a6e7b1e-7a52-4f5b-8f0d-d6a2e7a3c001",
            "identity": {"sourceIp": source_address, "userAgent": "pytest", "user": None, "accessKey": None},
            "domainName": "api.example.com",
            "apiId": "abcdef1234",
        },
        "body": body,
        "isBase64Encoded": False,
    }


def call(handler: Any, event: dict[str, Any]) -> Answer:
    """Let a function handle an event as Lambda would."""
    # Lambda sees JSON, nothing that a test might share with it.
    answer = handler(json.loads(json.dumps(event)), None)
    text = answer["body"]
    if answer.get("isBase64Encoded"):
        text = base64.b64decode(text).decode()
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return Answer(answer["statusCode"], headers, text)
