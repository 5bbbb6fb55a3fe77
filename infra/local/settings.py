"""Where the laptop cloud lives and answers: everything that an environment variable can change."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
REGION = "us-east-1"
PORTS = {"EXCHANGE_PORT": 8080, "EXCHANGE_CLOUD_PORT": 4566, "EXCHANGE_MATCHER_PORT": 8081, "EXCHANGE_CHAIN_PORT": 8545}


@dataclass(frozen=True, slots=True)
class LaptopSettings:
    """EXCHANGE_HOME, the EXCHANGE_*PORT of `PORTS`; EXCHANGE_STRIPE and EXCHANGE_BANK_FILES, on or off;
    CLOUD=localstack, AWS_ENDPOINT_URL."""

    home: Path
    port: int
    cloud_port: int
    matcher_port: int
    chain_port: int
    localstack_url: str = ""
    stripe: bool = False
    bank_files: bool = False

    @classmethod
    def load(cls) -> "LaptopSettings":
        """Read the environment; where something runs, its ports are those it was started with.

        Raises:   ValueError, its message a sentence with the remedy.
        """
        localstack = os.environ.get("CLOUD", "").lower() == "localstack"
        endpoint_url = os.environ.get("AWS_ENDPOINT_URL", "")
        if localstack and not endpoint_url:
            raise ValueError("CLOUD=localstack wants to know where it is: set AWS_ENDPOINT_URL=http://localhost:4566.")
        home = Path(os.environ.get("EXCHANGE_HOME", ROOT / ".local")).resolve()
        ports = {name: _port(name, default) for name, default in PORTS.items()} | _ports_in_use(home)
        return cls(
            home=home,
            port=ports["EXCHANGE_PORT"],
            cloud_port=ports["EXCHANGE_CLOUD_PORT"],
            matcher_port=ports["EXCHANGE_MATCHER_PORT"],
            chain_port=ports["EXCHANGE_CHAIN_PORT"],
            localstack_url=endpoint_url if localstack else "",
            stripe=os.environ.get("EXCHANGE_STRIPE", "").lower() == "on",
            bank_files=os.environ.get("EXCHANGE_BANK_FILES", "").lower() == "on",
        )

    @property
    def ports(self) -> dict[str, int]:
        """The ports by the variables that set them."""
        return {
            "EXCHANGE_PORT": self.port,
            "EXCHANGE_CLOUD_PORT": self.cloud_port,
            "EXCHANGE_MATCHER_PORT": self.matcher_port,
            "EXCHANGE_CHAIN_PORT": self.chain_port,
        }

    @property
    def endpoint_url(self) -> str:
        """Where AWS answers."""
        return self.localstack_url or f"http://{HOST}:{self.cloud_port}"

    @property
    def chain_url(self) -> str:
        """Where the chain's node answers."""
        return f"http://{HOST}:{self.chain_port}"

    @property
    def rest_url(self) -> str:
        """The one origin."""
        return f"http://{HOST}:{self.port}"

    @property
    def stack_path(self) -> Path:
        """What `exchange up` leaves for everybody who wants to know where things are."""
        return self.home / "stack.json"

    @property
    def logs(self) -> Path:
        """Every log file."""
        return self.home / "logs"


def _ports_in_use(home: Path) -> dict[str, int]:
    """What stack.json says: it is there from when everything was ready until `exchange down`."""
    try:
        found: dict[str, int] = json.loads((home / "stack.json").read_text(encoding="utf-8"))["ports"]
    except (FileNotFoundError, ValueError, KeyError):
        return {}
    return {name: port for name, port in found.items() if name in PORTS}


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError(f"{name}={text} is no port: use a number from 1 to 65535.")
    return int(text)
