"""Which spellings of one request a signature may cover, and which it may not."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from exchange.kernel.errors import Refused
from exchange.rest import ApiRequest
from exchange.users.signature import STAGE, is_signed, read_signature, signature_matches

from tests.fakes.rest import proxy_event
from tests.fakes.users import SECRET, Call, signed

TEMPLATE = Path(__file__).parents[3] / "template.yaml"
QUERY = "product_id=BTC-USD&status=open&status=pending"


def matches(call: Call, *, signed_path: str | None = None, secret: bytes = SECRET) -> bool:
    call = signed(call, signed_path)
    signature = read_signature(call.headers)
    assert not isinstance(signature, Refused)
    return signature_matches(signature, secret, call)


def carried(call: Call) -> Call:
    """The call as the edge passes it on: with the query as it was sent."""
    query = call.path_with_query.partition("?")[2]
    return replace(call, headers={**call.headers, "x-raw-query": query})


def test_a_published_example_verifies() -> None:
    # Computed with openssl from the secret 00 01 .. 3f: printf '%s' 1800000000.25GET/fills?x=1 | openssl dgst -hmac
    call = Call("GET", "/fills?x=1")
    assert signed(call).headers["cb-access-sign"] == "GPJFepthnyzn4Gl0tTD3FWEO9npelyq+56hONtaiTgA="
    assert matches(call)


def test_the_stage_may_be_signed_or_left_out() -> None:
    assert matches(Call(), signed_path="/live/orders?status=open&limit=10")
    assert not matches(Call(), signed_path="/prod/orders?status=open&limit=10")
    assert not matches(Call(), signed_path="/live/live/orders?status=open&limit=10")


def test_the_stage_is_the_template_s() -> None:
    class Loader(yaml.SafeLoader):
        """Reads past the tags of CloudFormation."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    template = yaml.load(TEMPLATE.read_text(), Loader)
    assert template["Resources"]["RestApi"]["Properties"]["StageName"] == STAGE


def test_a_lower_case_method_is_signed_in_upper_case() -> None:
    assert matches(Call("get"), signed_path=None) is False
    signature = read_signature(signed(Call("GET")).headers)
    assert not isinstance(signature, Refused)
    assert signature_matches(signature, SECRET, Call("get"))


@pytest.mark.parametrize(
    "sent",
    [
        "status=open&status=pending&product_id=BTC-USD",
        "status=pending&product_id=BTC-USD&status=open",
        "product_id=BTC%2DUSD&status=open&status=pending",
    ],
)
def test_the_query_as_carried_by_the_edge_is_the_only_spelling(sent: str) -> None:
    call = carried(Call(path_with_query=f"/orders?{QUERY}"))
    assert matches(call, signed_path=f"/orders?{QUERY}")
    assert not matches(call, signed_path=f"/orders?{sent}")


@pytest.mark.parametrize(
    ("decoded", "sent"),
    [
        ("status=open&product_id=BTC-USD", "product_id=BTC-USD&status=open"),
        (
            "start_date=2026-01-31T12%3A00%3A00Z&limit=5",
            "limit=5&start_date=2026-01-31T12:00:00Z",
        ),
        ("start_date=2026-01-31T12%3A00%3A00Z", "start_date=2026-01-31T12%3A00%3A00Z"),
        ("product_id=BTC%2FUSD", "product_id=BTC/USD"),
        ("name=a+b", "name=a%20b"),
        ("name=a+b", "name=a+b"),
        ("a=1&b=2&c=3&d=4&e=5", "e=5&d=4&c=3&b=2&a=1"),
    ],
)
def test_without_the_edge_orders_and_encodings_are_tried(decoded: str, sent: str) -> None:
    assert matches(Call(path_with_query=f"/orders?{decoded}"), signed_path=f"/orders?{sent}")
    assert matches(Call(path_with_query=f"/orders?{decoded}"), signed_path=f"/live/orders?{sent}")


@pytest.mark.parametrize(
    ("decoded", "sent"),
    [
        ("status=open", "status=done"),
        ("status=open", "status=open&limit=1"),
        ("status=open&limit=1", "status=open"),
        ("status=open", ""),
        ("a=1&b=2&c=3&d=4&e=5&f=6", "f=6&e=5&d=4&c=3&b=2&a=1"),
    ],
)
def test_what_a_query_says_is_never_guessed(decoded: str, sent: str) -> None:
    assert not matches(Call(path_with_query=f"/orders?{decoded}"), signed_path=f"/orders?{sent}")


def test_a_gateway_s_request_satisfies_the_protocol() -> None:
    call = signed(Call("DELETE", "/orders?product_id=BTC-USD"))
    event = proxy_event("DELETE", "/orders", query="product_id=BTC-USD", headers=dict(call.headers))
    signature = read_signature(call.headers)
    assert not isinstance(signature, Refused)
    assert signature_matches(signature, SECRET, ApiRequest.from_event(event, b""))


def test_any_of_the_headers_means_a_signed_request() -> None:
    assert not is_signed({"authorization": "Bearer x", "content-type": "application/json"})
    assert is_signed({"cb-access-passphrase": ""})
