"""The edge: one origin for the web pages, the REST API and the WebSocket API, as CloudFront is in the cloud.

`python -m infra.local.edge`: `/ws` goes to the WebSocket API, `/app/*` to the web pages with deep links, all else to
the REST API's stage, which nobody sees in a path. It sets the headers that infra/edge.yaml's distribution sets.
"""

import argparse
import asyncio
import logging
import os
import re
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict
from yarl import URL

logger = logging.getLogger(__name__)

BODY_BYTES_MAX = 10 * 1024 * 1024
# API Gateway answers within 29 seconds, one way or another.
ANSWER_SECONDS_MAX = 30
CONNECTIONS_MAX = 256
# Both APIs' frames are at most 128 KB.
FRAME_BYTES_MAX = 128 * 1024

_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding")
)
# Ours to set: what a client sends under these names is dropped.
_EDGE_HEADERS = frozenset(
    ("host", "content-length", "x-raw-path", "x-raw-query", "x-viewer-address", "x-origin-secret", "x-forwarded-for")
)
# Nothing here is proven by a cookie, so a page of anybody's may ask; it still needs a key or a token of its own.
_PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": (
        "authorization, content-type, cb-access-key, cb-access-sign, cb-access-timestamp, cb-access-passphrase"
    ),
    "Access-Control-Max-Age": "600",
}
# A dot alone does not match a line's end, which a path may have as %0A.
_ANYTHING = r"{path:[\s\S]*}"
# `BTC/USD`, escaped or not. What follows a product in a path is in small letters, so the second name is none of those.
_SLASH_IN_PRODUCT = re.compile(r"^(/products/[^/]+)(?:%2[fF]|/(?=[A-Z0-9]+(?:/|$)))")
# `GET http://host/time`: HTTP lets a client write the whole address, and a server must read it.
_ORIGIN = re.compile(r"^https?://[^/?#]*", re.IGNORECASE)
_LAST_SLASHES = re.compile(r"(.)/+$")
_NOT_HTTP = "EDGE_REQUEST_MALFORMED"
_WEBSOCKET_HANDSHAKE = frozenset(("upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"))


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Where requests go."""

    port: int
    endpoint_url: str
    rest_api_id: str
    websocket_api_id: str
    web_directory: Path
    origin_secret: str
    rest_stage: str = "live"
    websocket_stage: str = "ws"

    @property
    def rest_origin(self) -> str:
        """The REST API's stage."""
        return f"{self.endpoint_url}/_aws/execute-api/{self.rest_api_id}/{self.rest_stage}"

    @property
    def websocket_origin(self) -> str:
        """The WebSocket API's stage."""
        return f"{self.endpoint_url}/_aws/execute-api/{self.websocket_api_id}/{self.websocket_stage}"


class Edge:
    """Forwards requests; keeps its connections to the cloud open."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def open(self, _app: web.Application) -> None:
        """Open the pool of connections."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX, connect=5),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self, _app: web.Application) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    async def rest(self, request: web.Request) -> web.StreamResponse:
        """Forward a request to the REST API, byte for byte."""
        assert self._session is not None
        path, raw_query = sent_path(request)
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_PREFLIGHT)
        if not path.startswith("/"):
            return error(400, _NOT_HTTP, "A request's path must begin with a slash")
        target = f"{self._settings.rest_origin}{served_path(path)}" + (f"?{raw_query}" if raw_query else "")
        try:
            body = await request.read() if request.body_exists else None
        except web.HTTPRequestEntityTooLarge:
            return error(413, "REQUEST_TOO_LARGE", f"A request body is at most {BODY_BYTES_MAX} bytes")
        except web.RequestPayloadError:
            return error(400, _NOT_HTTP, "The body is not sent as HTTP says: its length or a chunk is wrong")
        try:
            async with self._session.request(
                request.method,
                URL(target, encoded=True),
                headers=self._origin_headers(request, raw_query),
                data=body,
                allow_redirects=False,
            ) as answer:
                headers = CIMultiDict(
                    (name, value)
                    for name, value in answer.headers.items()
                    if name.lower() not in _HOP_BY_HOP and name.lower() != "content-length"
                )
                return web.Response(status=answer.status, headers=headers, body=await answer.read())
        except TimeoutError:
            return error(504, "EDGE_TIMED_OUT", "The exchange did not answer in time: whether it acted is unknown")
        except aiohttp.ClientConnectorError:
            return error(503, "EDGE_UNREACHABLE", "The exchange can't be reached: nothing happened")
        except aiohttp.ClientError:
            return error(504, "EDGE_ANSWER_LOST", "The exchange's answer was lost: whether it acted is unknown")

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """Join a client's socket to one of the WebSocket API's."""
        assert self._session is not None
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return error(426, "EDGE_UPGRADE_REQUIRED", "This address speaks WebSocket only")
        _, raw_query = sent_path(request)
        headers = CIMultiDict(
            (name, value)
            for name, value in self._origin_headers(request, raw_query).items()
            if name.lower() not in _WEBSOCKET_HANDSHAKE
        )
        target = self._settings.websocket_origin + (f"?{raw_query}" if raw_query else "")
        try:
            upstream = await self._session.ws_connect(
                URL(target, encoded=True), headers=headers, max_msg_size=FRAME_BYTES_MAX, compress=0
            )
        except aiohttp.WSServerHandshakeError as refusal:
            return error(refusal.status, "EDGE_CONNECTION_REFUSED", "The exchange refused the connection")
        except (aiohttp.ClientError, TimeoutError):
            return error(503, "EDGE_UNREACHABLE", "The exchange can't be reached")
        downstream = web.WebSocketResponse(max_msg_size=FRAME_BYTES_MAX, compress=False, heartbeat=60)
        await downstream.prepare(request)
        await _join(downstream, upstream)
        return downstream

    async def home(self, _request: web.Request) -> web.StreamResponse:
        """Whoever comes to the bare address wants the pages."""
        return web.Response(status=302, headers={"Location": "/app/"})

    async def web_page(self, request: web.Request) -> web.StreamResponse:
        """A file of the web pages; a path without a file's name is a page of the application itself."""
        root = self._settings.web_directory.resolve()
        wanted = (root / request.match_info.get("path", "")).resolve()
        if wanted.is_relative_to(root) and wanted.is_file():
            return web.FileResponse(wanted)
        index = root / "index.html"
        if wanted.suffix or not index.is_file():
            return error(404, "EDGE_PAGE_NOT_FOUND", "There is no such page")
        return web.FileResponse(index, headers={"Cache-Control": "no-cache"})

    def _origin_headers(self, request: web.Request, raw_query: str) -> CIMultiDict[str]:
        headers = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _HOP_BY_HOP and name.lower() not in _EDGE_HEADERS
        )
        peer = request.transport.get_extra_info("peername") if request.transport else None
        address = peer[0] if peer else "127.0.0.1"
        headers["X-Raw-Path"] = sent_path(request)[0]
        headers["X-Raw-Query"] = raw_query
        headers["X-Viewer-Address"] = address
        headers["X-Forwarded-For"] = address
        headers["X-Origin-Secret"] = self._settings.origin_secret
        return headers


async def _join(downstream: web.WebSocketResponse, upstream: aiohttp.ClientWebSocketResponse) -> None:
    """Pass messages both ways until one side closes, then close the other with the same code."""

    async def up() -> None:
        async for message in downstream:
            if message.type is aiohttp.WSMsgType.TEXT:
                await upstream.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await upstream.send_bytes(message.data)

    async def down() -> None:
        async for message in upstream:
            if message.type is aiohttp.WSMsgType.TEXT:
                await downstream.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await downstream.send_bytes(message.data)

    tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await upstream.close(code=downstream.close_code or 1000)
        await downstream.close(code=upstream.close_code or 1000)


class Connection(web.RequestHandler):
    """A client's connection, on which aiohttp's own refusals have the shape of all of ours too."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What could not be read as HTTP, or a defect of the edge: either ends the connection."""
        if status == 500:
            super().handle_error(request, status, exc, message)  # Logs it; raises where an answer had begun.
            answer = error(500, "EDGE_FAILED", "The edge failed: whether the exchange acted is unknown")
        else:
            # The parser's first line says what; those that follow repeat the client's bytes.
            reason = (message or "").strip().partition("\n")[0].rstrip(":.")[:120]
            answer = error(status, _NOT_HTTP, f"The request can't be read as HTTP: {reason or 'unknown cause'}")
        answer.force_close()
        return answer


@web.middleware
async def _in_our_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No route is aiohttp's own 404, in plain text, and a method that a route lacks its 405."""
    try:
        return await handler(request)
    except web.HTTPError as refusal:
        return error(refusal.status, _NOT_HTTP, f"The request can't be routed: {refusal.reason}")


def sent_path(request: web.Request) -> tuple[str, str]:
    """The path and the query as they were sent."""
    path, _, query = _ORIGIN.sub("", request.raw_path).partition("?")
    return path or "/", query


def served_path(path: str) -> str:
    """The path that the API serves: a product's name has no slash, and a path none at its end."""
    return _LAST_SLASHES.sub(r"\1", _SLASH_IN_PRODUCT.sub(r"\1-", path))


def error(status: int, code: str, message: str) -> web.Response:
    """The edge's own error, in the shape of all of ours."""
    headers = {"Retry-After": "1"} if status == 503 else {}
    body = {"message": message, "code": code, "request_id": f"edge-{secrets.token_hex(8)}"}
    return web.json_response(body, status=status, headers=headers)


def application(settings: EdgeSettings) -> web.Application:
    """The edge as an aiohttp application."""
    edge = Edge(settings)
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_in_our_shape])
    app.on_startup.append(edge.open)
    app.on_cleanup.append(edge.close)
    app.router.add_get("/", edge.home)
    app.router.add_get("/ws", edge.websocket)
    app.router.add_get("/app", edge.web_page)
    app.router.add_get(f"/app/{_ANYTHING}", edge.web_page)
    app.router.add_route("*", f"/{_ANYTHING}", edge.rest)
    return app


@asynccontextmanager
async def serving(settings: EdgeSettings) -> AsyncIterator[int]:
    """Serve while the block runs; gives the port, which is a free one where the settings have 0."""
    runner = web.AppRunner(application(settings), shutdown_timeout=1)
    await runner.setup()
    manager, loop = runner.server, asyncio.get_running_loop()
    assert manager is not None

    def connection() -> Connection:
        # A body goes on as it was sent, and signed, whatever its Content-Encoding says: so does API Gateway hand it on.
        return Connection(manager, loop=loop, keepalive_timeout=75, auto_decompress=False)

    try:
        server = await loop.create_server(connection, "127.0.0.1", settings.port, backlog=128, reuse_address=True)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
    finally:
        # Ends the connections too: they are known to the runner's server.
        await runner.cleanup()


async def _serve_until_told(settings: EdgeSettings) -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with serving(settings):
        await told.wait()


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--endpoint-url", required=True)
    parser.add_argument("--rest-api-id", required=True)
    parser.add_argument("--websocket-api-id", required=True)
    parser.add_argument("--web-directory", type=Path, required=True)
    arguments = vars(parser.parse_args())
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    import uvloop

    uvloop.install()
    settings = EdgeSettings(**arguments, origin_secret=os.environ["ORIGIN_SECRET"])
    asyncio.run(_serve_until_told(settings))


if __name__ == "__main__":
    main()
