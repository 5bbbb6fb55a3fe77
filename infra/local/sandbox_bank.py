"""The sandbox bank's process: `python -m infra.local.sandbox_bank --port N`, its secrets in the environment.

Somebody else's house: it has no table, stream or machine of ours, and reaches us through our webhook only. What it
keeps is in memory and ends with it.
"""

import argparse
import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3

from infra.local.sandbox_stripe import SandboxStripe
from infra.local.settings import HOST

logger = logging.getLogger(__name__)
BODY_BYTES_MAX = 64 * 1024
TRIES_MAX = 5


class Handler(BaseHTTPRequestHandler):
    """HTTP before the sandbox."""

    protocol_version = "HTTP/1.1"

    def __init__(self, sandbox: SandboxStripe, *arguments: Any) -> None:
        self._sandbox = sandbox
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer a question."""
        self._answer("GET", "")

    def do_POST(self) -> None:
        """Answer an order."""
        length = int(self.headers.get("Content-Length") or 0)
        self._answer("POST", self.rfile.read(min(length, BODY_BYTES_MAX)).decode(errors="replace"))

    def _answer(self, method: str, body: str) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/health":
            status, said = 200, {"status": "ok"}
        else:
            form = dict(parse_qsl(asked.query or body, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said = self._sandbox.handle(method, asked.path, form, headers)
        sent = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class names it
        """Requests are no news."""


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    pool = ThreadPoolExecutor(4)
    http = urllib3.PoolManager(maxsize=4, timeout=20, retries=False)
    url = os.environ["STRIPE_WEBHOOK_URL"]

    def deliver(body: bytes, signature: str) -> None:
        pool.submit(_deliver, http, url, body, signature)

    sandbox = SandboxStripe(os.environ["STRIPE_API_KEY"], os.environ["STRIPE_WEBHOOK_SECRET"], deliver)
    ThreadingHTTPServer((HOST, port), partial(Handler, sandbox)).serve_forever()


def _deliver(http: urllib3.PoolManager, url: str, body: bytes, signature: str) -> None:
    """Send an event until it is taken, as Stripe does, though not for days."""
    for attempt in range(TRIES_MAX):
        try:
            headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
            reply = http.request("POST", url, body=body, headers=headers, redirect=False)
            if reply.status == 200:
                return
            logger.warning("an event was not taken: %s %s", reply.status, reply.data[:300])
        except urllib3.exceptions.HTTPError as error:
            logger.warning("an event was not delivered: %s", type(error).__name__)
        time.sleep(0.5 * 2**attempt)


if __name__ == "__main__":
    main()
