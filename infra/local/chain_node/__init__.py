"""The laptop's chain: anvil, a real Ethereum node for development, and a token on it.

Both come from the npm registry, their versions pinned by package.json, into a folder beside the virtual environment.
"""

import fcntl
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.settings import HOST, ROOT

CHAIN_ID = 31337  # anvil's own: what is signed for it is good on no other chain
INSTALLED = ROOT / ".venv" / "chain-node"
# The contract of a plain token with a fixed supply, compiled by those who publish it.
TOKEN_JSON = INSTALLED / "node_modules/@openzeppelin/contracts/build/contracts/ERC20PresetFixedSupply.json"
_CPUS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
INSTALL_SECONDS_MAX = 300


class ChainNodeError(RuntimeError):
    """The node can't be had; the message says why and what to do."""


def command(port: int, chain_id: int = CHAIN_ID) -> list[str]:
    """What starts the node; it mines each transaction at once, and keeps all in memory."""
    return [str(_binary()), "--host", HOST, "--port", str(port), "--chain-id", str(chain_id), "--silent"]


def install() -> None:
    """Have the node and the token's contract. Raises ChainNodeError."""
    with _alone():
        wanted, stamp = Path(__file__).parent / "package.json", INSTALLED / "package.json"
        if _binary().is_file() and stamp.is_file() and stamp.read_bytes() == wanted.read_bytes():
            return
        shutil.copy(wanted, stamp)
        npm = shutil.which("npm")
        if npm is None:
            raise ChainNodeError(
                "npm is missing, and the chain's node comes from its registry: install Node 20 or newer."
            )
        # Their install scripts would only look for the binary that is a package of its own.
        done = subprocess.run(  # noqa: S603 - npm itself, with arguments of ours
            [npm, "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=INSTALLED,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
        if done.returncode or not _binary().is_file():
            stamp.unlink(missing_ok=True)
            raise ChainNodeError(f"npm could not install the chain's node; is there a network? It said:\n{done.stderr}")


def token_contract() -> dict[str, Any]:
    """The token's interface and bytecode."""
    found: dict[str, Any] = json.loads(TOKEN_JSON.read_text(encoding="utf-8"))
    return found


def _binary() -> Path:
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, sys.platform)
    cpu = _CPUS.get(platform.machine().lower(), platform.machine())
    return INSTALLED / f"node_modules/@foundry-rs/anvil-{system}-{cpu}/bin/anvil"


@contextmanager
def _alone() -> Iterator[None]:
    """One installation at a time."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
