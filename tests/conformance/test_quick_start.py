"""Every block of docs/api/quick-start.md runs as it stands, and its order was really here: the page can't lie.

cbpro and ccxt's JavaScript come from their package indexes into folders of their own, so that the lock stays lean.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cloud

PAGE = Path(__file__).parents[2] / "docs" / "api" / "quick-start.md"
CBPRO = ("requests", "six", "sortedcontainers", "websocket-client", "pymongo")
SECONDS_MAX = 120


def blocks() -> dict[str, tuple[str, str]]:
    """Language and text of each code block, by its heading."""
    found = re.findall(
        r"^## ([^\n]+)\n(?:(?!^## ).)*?^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    return {title: (language, text) for title, language, text in found}


def run(folder: Path, *command: str, **environment: str) -> str:
    """The command's output; it must succeed."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=SECONDS_MAX,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def python(_folder: Path) -> list[str]:
    """This Python, which has ccxt."""
    return [sys.executable, "block.txt"]


def bash(_folder: Path) -> list[str]:
    return ["bash", "block.txt"]


def node(folder: Path) -> list[str]:
    """Node with ccxt from npm."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("npm or node is not installed")
    run(folder, "npm", "install", "--no-audit", "--no-fund", "--silent", "ccxt@4")
    shutil.copy(folder / "block.txt", folder / "block.mjs")
    return ["node", "block.mjs"]


def old_python(folder: Path) -> list[str]:
    """A Python of its own with cbpro."""
    run(folder, sys.executable, "-m", "venv", "venv")
    mine = str(folder / "venv" / "bin" / "python")
    pip = (mine, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(folder, *pip, "--no-deps", "cbpro==1.1.4")
    run(folder, *pip, *CBPRO)
    return [mine, "block.txt"]


RUNNERS: dict[str, Callable[[Path], list[str]]] = {
    "curl": bash,
    "ccxt in Python": python,
    "ccxt in Python, asynchronous": python,
    "ccxt in JavaScript": node,
    "cbpro": old_python,
}


def test_every_block_of_the_page_is_run() -> None:
    assert blocks().keys() == RUNNERS.keys()
    assert PAGE.read_text().count("\n```\n") == len(RUNNERS)


@pytest.mark.parametrize("title", RUNNERS)
def test_a_block_places_an_order_and_cancels_it(
    title: str, laptop: Any, newcomer: Callable[[str], dict[str, str]], client_of: Callable[..., Any],
    eventually: Callable[[Callable[[], Any]], Any], tmp_path: Path,
) -> None:  # fmt: skip
    user = newcomer("quick-start")
    (tmp_path / "block.txt").write_text(blocks()[title][1])
    run(
        tmp_path,
        *RUNNERS[title](tmp_path),
        REST_URL=laptop.stack["rest_url"],
        WS_URL=laptop.stack["websocket_url"],
        API_KEY=user["api_key"],
        API_SECRET=user["secret"],
        API_PASSPHRASE=user["passphrase"],
    )
    client = client_of(user)
    eventually(lambda: not client.fetch_open_orders("BTC/USD"))
    placed = client.private_get_orders({"status": "all"})
    assert len(placed) == (2 if "asynchronous" in title else 1)
    assert {(order["product_id"], order["side"], order["done_reason"]) for order in placed} == {
        ("BTC-USD", "buy", "canceled")
    }
    assert client.fetch_balance()["USD"] == {"free": 1_000_000.0, "used": 0.0, "total": 1_000_000.0}
