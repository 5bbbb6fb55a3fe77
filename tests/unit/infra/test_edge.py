"""The edge before a cloud that repeats what it was sent."""

import asyncio
import gzip
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from infra.local.edge import EdgeSettings, serving

Check = Callable[[aiohttp.ClientSession, URL], Awaitable[None]]


async def _repeat(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "raw_path": request.raw_path,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": (await request.read()).decode(errors="replace"),
            "bytes": (await request.read()).hex(),
        },
        status=201,
        headers={"CB-AFTER": "7"},
    )


async def _echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.data == "close":
            await socket.close(code=4001)
        else:
            await socket.send_str(f"{request.headers['X-Viewer-Address']} {message.data}")
    return socket


def _run(check: Check, web_directory: Path, *, cloud_lives: bool = True) -> None:
    """Start a cloud and an edge before it, then check."""

    async def scenario() -> None:
        cloud_app = web.Application()
        cloud_app.router.add_get("/_aws/execute-api/socket/ws", _echo)
        cloud_app.router.add_route("*", "/{path:.*}", _repeat)
        cloud = TestServer(cloud_app)
        await cloud.start_server(auto_decompress=False)
        settings = EdgeSettings(0, str(cloud.make_url("")).rstrip("/"), "rest", "socket", web_directory, "the secret")
        async with serving(settings) as port:
            if not cloud_lives:
                await cloud.close()
            async with aiohttp.ClientSession() as session:
                await check(session, URL(f"http://127.0.0.1:{port}/"))
        await cloud.close()

    asyncio.run(scenario())


async def _json(answer: aiohttp.ClientResponse) -> Any:
    return json.loads(await answer.read())


def test_a_request_reaches_the_stage_as_it_was_sent(tmp_path: Path) -> None:
    async def check(session: aiohttp.ClientSession, url: URL) -> None:
        target = URL(f"{url}orders/client:a%2Fb?status=open&b=1+2&a=%3A", encoded=True)
        async with session.delete(target, data=b'{"a":1}') as answer:
            seen = await _json(answer)
            assert answer.status == 201
            assert answer.headers["CB-AFTER"] == "7"
        assert seen["method"] == "DELETE"
        assert seen["raw_path"] == "/_aws/execute-api/rest/live/orders/client:a%2Fb?status=open&b=1+2&a=%3A"
        assert seen["body"] == '{"a":1}'
        assert seen["headers"]["x-raw-query"] == "status=open&b=1+2&a=%3A"

    _run(check, tmp_path)


def test_what_the_edge_says_cannot_be_sent_in(tmp_path: Path) -> None:
    forged = {"X-Raw-Query": "x=1", "X-Viewer-Address": "6.6.6.6", "X-Origin-Secret": "y", "X-Forwarded-For": "6.6.6.6"}

    async def check(session: aiohttp.ClientSession, url: URL) -> None:
        async with session.get(url / "time", headers=forged) as answer:
            seen = (await _json(answer))["headers"]
        assert seen["x-raw-query"] == ""
        assert seen["x-viewer-address"] == seen["x-forwarded-for"] == "127.0.0.1"
        assert seen["x-origin-secret"] == "the secret"

    _run(check, tmp_path)


def test_last_slashes_and_slashes_in_products_reach_the_route(tmp_path: Path) -> None:
    async def check(session: aiohttp.ClientSession, url: URL) -> None:
        for sent, served in (
            ("orders/", "orders"),
            ("products/BTC%2FUSD/book", "products/BTC-USD/book"),
            ("products/BTC%2fUSD", "products/BTC-USD"),
            ("products/BTC/USD", "products/BTC-USD"),
            ("products/BTC/USD/book/", "products/BTC-USD/book"),
            ("products/BTC-USD/book", "products/BTC-USD/book"),
            ("products/stats/", "products/stats"),
            ("orders/client:a%2Fb/", "orders/client:a%2Fb"),
        ):
            async with session.get(URL(f"{url}{sent}", encoded=True)) as answer:
                seen = await _json(answer)
            assert seen["raw_path"] == f"/_aws/execute-api/rest/live/{served}"
            assert seen["headers"]["x-raw-path"] == f"/{sent}"

    _run(check, tmp_path)


def test_a_page_from_elsewhere_may_ask(tmp_path: Path) -> None:
    async def check(session: aiohttp.ClientSession, url: URL) -> None:
        asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "DELETE"}
        async with session.options(url / "orders", headers=asked) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
            assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
            assert "cb-access-sign" in answer.headers["Access-Control-Allow-Headers"]

    _run(check, tmp_path)


def test_a_dead_cloud_is_a_503_in_our_shape(tmp_path: Path) -> None:
    async def check(session: aiohttp.ClientSession, url: URL) -> None:
        async with session.get(url / "products") as answer:
            assert answer.status == 503
            assert set(await _json(answer)) == {"message", "code", "request_id"}
        async with session.get(url / "ws", headers={"Upgrade": "websocket"}) as answer:
            assert (await _json(answer))["code"] == "EDGE_UNREACHABLE"

    _run(check, tmp_path, cloud_lives=False)


def test_a_body_beyond_the_limit_is_a_413_in_our_shape(tmp_path: Path) -> None:
    async def check(session: aiohttp.ClientSession, url: URL) -> None:
        async with session.post(url / "orders", data=io.BytesIO(b"x" * (10 * 1024 * 1024 + 1))) as answer:
            assert answer.status == 413
            assert (await _json(answer))["code"] == "REQUEST_TOO_LARGE"

    _run(check, tmp_path)


def test_a_socket_is_joined_both_ways_and_closed_with_the_same_code(tmp_path: Path) -> None:
    async def check(session: aiohttp.ClientSession, url: URL) -> None:
        async with session.ws_connect(url / "ws") as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "127.0.0.1 hello"
            await socket.send_str("close")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 4001

    _run(check, tmp_path)


def test_pages_have_deep_links_and_nothing_outside_their_folder(tmp_path: Path) -> None:
    pages = tmp_path / "web"
    pages.mkdir()
    (pages / "index.html").write_text("the screen")
    (pages / "app.js").write_text("code")
    (tmp_path / "secret.txt").write_text("no")

    async def check(session: aiohttp.ClientSession, url: URL) -> None:
        found = {}
        for path in ("app/", "app/markets/BTC-USD", "app/app.js", "app/gone.js", "app/%2e%2e/secret.txt"):
            async with session.get(URL(f"{url}{path}", encoded=True)) as answer:
                found[path] = (answer.status, await answer.text() if answer.status == 200 else "")
        assert found == {
            "app/": (200, "the screen"),
            "app/markets/BTC-USD": (200, "the screen"),
            "app/app.js": (200, "code"),
            "app/gone.js": (404, ""),
            "app/%2e%2e/secret.txt": (404, ""),
        }
        async with session.get(url, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/app/")

    _run(check, pages)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity", "nonsense", "gzip, br"])
def test_a_body_goes_on_byte_for_byte_whatever_its_encoding_is_said_to_be(tmp_path: Path, encoding: str) -> None:
    async def check(session: aiohttp.ClientSession, url: URL) -> None:
        for body in (b"abc", gzip.compress(b"{}")):
            for method, path in (("POST", "orders"), ("GET", "time")):
                headers = {"Content-Encoding": encoding}
                async with session.request(method, url / path, data=body, headers=headers) as answer:
                    seen = await _json(answer)
                assert bytes.fromhex(seen["bytes"]) == body
                assert seen["headers"]["content-encoding"] == encoding

    _run(check, tmp_path)


POST = b"POST /orders HTTP/1.1\r\nHost: x\r\n"
NOT_HTTP = {
    "a huge header": b"GET /fees HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
    "a huge path": b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a chunk of words": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a second chunk of words": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nzz\r\n0\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n{}",
    "a method of nobody": b"FROB /orders HTTP/1.1\r\nHost: x\r\n\r\n",
    "a nul in a header": b"GET /fees HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "a greeting of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "an asterisk": b"GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a tunnel": b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
}


async def _raw(url: URL, sent: bytes) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split(b" ")[1]), json.loads(body)


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_is_refused_in_our_shape(tmp_path: Path, name: str) -> None:
    async def check(_session: aiohttp.ClientSession, url: URL) -> None:
        status, answer = await _raw(url, NOT_HTTP[name])
        assert status == (404 if name == "a tunnel" else 400)
        assert set(answer) == {"message", "code", "request_id"}
        assert answer["code"] == "EDGE_REQUEST_MALFORMED"

    _run(check, tmp_path)


def test_a_whole_address_in_the_request_line_is_its_path(tmp_path: Path) -> None:
    async def check(_session: aiohttp.ClientSession, url: URL) -> None:
        sent = b"GET http://elsewhere:80/orders?a=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        status, seen = await _raw(url, sent)
        assert status == 201
        assert seen["raw_path"] == "/_aws/execute-api/rest/live/orders?a=1"
        assert (seen["headers"]["x-raw-path"], seen["headers"]["x-raw-query"]) == ("/orders", "a=1")

    _run(check, tmp_path)
