"""GET /health: 200 while the process reads as leader or stands by, else 503; the body says which and how far."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Report = Callable[[], tuple[bool, dict[str, Any]]]


class HealthServer:
    """Answers on a port, in a thread."""

    def __init__(self, port: int, report: Report) -> None:
        """Port 0 takes a free one. Raises OSError where the port is taken."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _answer(self, report)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing: health is asked every few seconds."""

        # All interfaces: the load of a container's check comes from outside it; security groups let nobody else in.
        self._server = ThreadingHTTPServer(("0.0.0.0", port), Handler)  # noqa: S104 - see above
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """Where it answers."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer until the process ends."""
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def _answer(handler: BaseHTTPRequestHandler, report: Report) -> None:
    healthy, body = report() if handler.path == "/health" else (None, {"message": "there is only /health"})
    status = {True: 200, False: 503, None: 404}[healthy]
    data = json.dumps({**body, "healthy": healthy} if healthy is not None else body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
