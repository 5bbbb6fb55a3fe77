"""What fills a laptop's cloud: two clouds one after the other in one process, each its own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pynamodb.attributes import UnicodeAttribute
from pynamodb.models import Model

from infra.cli.seed import bind_to_laptop
from infra.local.settings import LaptopSettings


class Thing(Model):
    class Meta:
        table_name = "unbound"

    name = UnicodeAttribute(hash_key=True)


@contextmanager
def cloud(home: Path) -> Iterator[tuple[LaptopSettings, list[str]]]:
    """A DynamoDB that says yes to everything, and which tables were written to."""
    heard: list[str] = []

    class Yes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["TableName"])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Yes)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield LaptopSettings(home, port=1, cloud_port=server.server_port, matcher_port=2, chain_port=3), heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_second_laptop_of_a_process_is_not_filled_into_the_first(tmp_path: Path) -> None:
    with cloud(tmp_path) as (first, heard_first), cloud(tmp_path) as (second, heard_second):
        for settings, times in ((first, 1), (second, 2), (first, 1)):
            bind_to_laptop(settings, Thing, "things")
            for _ in range(times):
                Thing("one").save()
    assert (heard_first, heard_second) == (["things"] * 2, ["things"] * 2)
