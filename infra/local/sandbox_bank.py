"""The sandbox bank's process: `python -m infra.local.sandbox_bank --port N`, its secrets in the environment.

Somebody else's house: it has no table, stream or machine of ours. It reaches us through our webhook, and through the
folders that a file gateway would serve: it takes files from the outbox and drops its own into the inbox. What it keeps
is in memory and ends with it. Below `/v1/files` is what customers and the bank itself do; docs/payments.md lists it.
"""

import argparse
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3
from exchange.kernel.money import format_units

from infra.local.bank_messages import SCALE
from infra.local.sandbox_files import SandboxFiles
from infra.local.sandbox_screening import SandboxScreening
from infra.local.sandbox_stripe import SandboxStripe
from infra.local.settings import HOST

logger = logging.getLogger(__name__)
FILES_PATH = "/v1/files/"
POLL_SECONDS = 0.5
BODY_BYTES_MAX = 64 * 1024
STRIPE_IBAN = "IE29AIBK93115212345678"  # From where the laptop's Stripe pays out.
STRIPE_FEE_PPM = 5_000  # Half a percent, as its bank transfers cost in many countries.
TRIES_MAX = 5


class Handler(BaseHTTPRequestHandler):
    """HTTP before the sandbox."""

    protocol_version = "HTTP/1.1"

    def __init__(
        self, sandbox: SandboxStripe, bank: SandboxFiles, screening: SandboxScreening, *arguments: Any
    ) -> None:
        self._sandbox = sandbox
        self._bank = bank
        self._screening = screening
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer a question."""
        self._answer("GET", "")

    def do_POST(self) -> None:
        """Answer an order."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, BODY_BYTES_MAX)).decode(errors="replace")
        if urlsplit(self.path).path == "/screenings":
            self._send(*self._screening.handle(body))
        else:
            self._answer("POST", body)

    def _answer(self, method: str, body: str) -> None:
        asked = urlsplit(self.path)
        form = dict(parse_qsl(asked.query or body, keep_blank_values=True))
        if asked.path == "/health":
            status, said = 200, {"status": "ok"}
        elif asked.path.startswith(FILES_PATH):
            status, said = at_the_bank(self._bank, asked.path.removeprefix(FILES_PATH), form)
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said = self._sandbox.handle(method, asked.path, form, headers)
        self._send(status, said)

    def _send(self, status: int, said: Any) -> None:
        sent = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class names it
        """Requests are no news."""


class Gateway:
    """What an SFTP gateway would do: carries files between the two folders and the bank."""

    def __init__(self, bank: SandboxFiles, bucket: str) -> None:
        import boto3
        from botocore.config import Config

        config = Config(s3={"addressing_style": "path"})
        self._client: Any = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=config)
        self._bank = bank
        self._bucket = bucket
        self._taken: set[str] = set()

    def drop(self, name: str, content: bytes) -> None:
        """Put a file of the bank's into the inbox."""
        self._client.put_object(Bucket=self._bucket, Key=f"inbox/{name}", Body=content)

    def serve(self) -> None:
        """Take what appears in the outbox, for as long as the process lives."""
        while True:
            try:
                self.take()
            except Exception:  # the bank's own process; it tries again
                logger.exception("the outbox could not be read")
            time.sleep(POLL_SECONDS)

    def take(self) -> None:
        """Take every file that was not taken yet."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix="outbox/")
        for key in [found["Key"] for page in pages for found in page.get("Contents", [])]:
            if key not in self._taken:
                content = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
                self._bank.receive(content)
                self._taken.add(key)


def at_the_bank(bank: SandboxFiles, path: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """What a customer of the bank, or the bank itself, does."""
    try:
        match path:
            case "open":
                bank.open(form["iban"], form["currency"])
                return 200, {"status": "open"}
            case "transfer":
                sender = {"name": form["name"], "iban": form["iban"]}
                reference = bank.transfer(form["currency"], form["amount"], form.get("reference", ""), **sender)
                return 200, {"reference": reference}
            case "recall":
                bank.recall(form["currency"], form["reference"])
                return 200, {"status": "recalled"}
            case "charge":
                bank.charge(form["currency"], form["amount"])
                return 200, {"status": "charged"}
            case "close-day":
                bank.close_day(form["currency"])
                return 200, {"status": "closed"}
            case "balance":
                ledger = bank.accounts[form["currency"]]
                return 200, {"iban": ledger.iban, "balance": format_units(ledger.balance, SCALE)}
    except (KeyError, StopIteration, ValueError) as error:
        return 400, {"error": {"message": f"{path}: {type(error).__name__}: {error}"}}
    return 404, {"error": {"message": f"no such resource: {path}"}}


def arrive(bank: SandboxFiles, payout: Mapping[str, Any]) -> None:
    """What Stripe pays out to the bank behind files is booked there, under the words that Stripe was given."""
    currency = str(payout["currency"]).upper()
    if payout["metadata"].get("rail") == "bank-files" and currency in bank.accounts:
        amount, words = format_units(payout["amount"], 2), str(payout["statement_descriptor"])
        bank.transfer(currency, amount, words, name="Stripe", iban=STRIPE_IBAN)


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

    bank = SandboxFiles(deliver=lambda _name, _content: None)
    sandbox = SandboxStripe(
        os.environ["STRIPE_API_KEY"],
        os.environ["STRIPE_WEBHOOK_SECRET"],
        deliver,
        arrive=partial(arrive, bank),
        fee_ppm=STRIPE_FEE_PPM,
    )
    if os.environ.get("BANK_FILES_BUCKET"):
        gateway = Gateway(bank, os.environ["BANK_FILES_BUCKET"])
        bank.deliver = gateway.drop
        threading.Thread(target=gateway.serve, daemon=True).start()
    ThreadingHTTPServer((HOST, port), partial(Handler, sandbox, bank, SandboxScreening())).serve_forever()


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
