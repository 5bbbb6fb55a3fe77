"""`exchange up` and `exchange down`: the processes, the stack, the demo customers, and when all of it is ready."""

import contextlib
import json
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from infra.local import chain_node, deployment, keeper, packaging, preflight, processes
from infra.local.clients import clients, environment
from infra.local.processes import ProcessRecord, ProcessRecords
from infra.local.settings import HOST, REGION, ROOT, LaptopSettings

START_SECONDS_MAX = 60
# The cloud's own reads of a stream cost it time; on AWS five a second are allowed, here more make settlement quicker.
MATCHER_POLL_MILLISECONDS = 40

Step = Callable[[str], AbstractContextManager[Any]]


class LaptopError(RuntimeError):
    """It can't be started; the message says why and what to do, in sentences."""


@dataclass(frozen=True, slots=True)
class Status:
    """What runs."""

    processes: list[tuple[ProcessRecord, bool]]
    stack: dict[str, Any]

    @property
    def running(self) -> bool:
        """Everything that was started lives, and it got as far as being ready."""
        return bool(self.stack) and bool(self.processes) and all(alive for _, alive in self.processes)


@dataclass(frozen=True, slots=True)
class Opening:
    """What an empty exchange opens with. Each part is asked for at every start, and returns what stack.json says of it.

    `listings` is by the title of its step, and comes before the matcher; `customers` comes last."""

    listings: "Mapping[str, Callable[[Laptop], dict[str, Any]]]"
    customers: "Callable[[Laptop], dict[str, Any]]"


class Laptop:
    """One laptop cloud: its settings, its processes, its stack."""

    def __init__(self, settings: LaptopSettings, *, step: Step, opening: Opening) -> None:
        self.settings = settings
        self.client = clients(settings)
        self.outputs: dict[str, str] = {}
        self._bank_port = 0
        self._step = step
        self._opening = opening
        self._records = ProcessRecords(settings.home / "processes.json")

    def status(self) -> Status:
        """What runs, and what the last start left behind."""
        found = [(record, record.process() is not None) for record in self._records.read()]
        return Status(found, read_stack(self.settings))

    def up(self) -> dict[str, Any]:
        """Start everything and return when an order can be placed. Raises LaptopError, nothing then runs."""
        self._clear_leftovers()
        found = list(preflight.problems(self.settings))
        if found:
            raise LaptopError("\n".join(found))
        try:
            return self._start()
        except (LaptopError, deployment.DeploymentError, packaging.PackagingError) as error:
            self.down()
            raise LaptopError(str(error)) from error
        except BaseException:
            self.down()
            raise

    def forget_the_dead(self) -> bool:
        """Where nothing lives of what was started (the computer was switched off), remove what it left behind."""
        found = self.status()
        dead = not any(alive for _, alive in found.processes)
        if dead:
            self.down()
        return dead and bool(found.stack)

    def update(self) -> bool:
        """Deploy what changed since the last start. Returns whether anything had."""
        package = self._package()
        if deployment.deployed_revision(self.client("cloudformation")) == package.revision:
            return False
        before = self.status().stack.get("outputs", {})
        with self._step("Updating the stack"):
            self._deploy(package)
            if self.outputs["RestApiId"] != before.get("RestApiId"):
                self._restart_edge()
            write_stack(self.settings, {**self.status().stack, **self._stack()})
        return True

    def down(self) -> list[str]:
        """End what `up` started, and only that. Returns the names of the processes that lived."""
        ended = processes.end(self._records.read())
        self._records.clear()
        self.settings.stack_path.unlink(missing_ok=True)
        shutil.rmtree(self.settings.home / "cloud", ignore_errors=True)
        return ended

    def mend(self) -> dict[str, Any] | None:
        """Start again what ended while the cloud, and so all state, lives on; None where there is nothing to go on."""
        found = self.status()
        living = {record.name for record, alive in found.processes if alive}
        # The chain's blocks are in its process, and the ledger stands on them.
        if not found.stack or "chain" not in living or not (self.settings.localstack_url or "cloud" in living):
            return None
        self.outputs = found.stack["outputs"]
        if "edge" not in living:
            with self._step("Starting the edge again"):
                self._restart_edge()
        if "bank" not in living:
            with self._step("Starting the sandbox bank again"):
                self._start_bank()
        if not {"matcher", "matcher" + processes.KEEPER} <= living:
            with self._step("Starting the matcher again"):
                names = ("matcher" + processes.KEEPER, "matcher")
                processes.end([record for record, _ in found.processes if record.name in names])
                for name in names:
                    self._records.forget(name)
                self._start_matcher()
                self._wait_for("matcher", f"http://{HOST}:{self.settings.matcher_port}/health", _leads)
        return found.stack

    @property
    def bank_url(self) -> str:
        """Where the sandbox bank answers: its port is any free one, and stays its own."""
        known = self.status().stack.get("sandbox_bank_url")
        if known:
            return str(known)
        if not self._bank_port:
            with socket.create_server((HOST, 0)) as free:
                self._bank_port = free.getsockname()[1]
        return f"http://{HOST}:{self._bank_port}"

    def _start_bank(self) -> None:
        variables = {
            "STRIPE_API_KEY": self._secret("StripeApiKeyArn"),
            "STRIPE_WEBHOOK_SECRET": self._secret("StripeWebhookSecretArn"),
            "STRIPE_WEBHOOK_URL": f"{self.settings.rest_url}/v1/payments/stripe/events",
            "BANK_FILES_BUCKET": self.outputs["BankFilesBucket"],
            **environment(self.settings),
        }
        url = self.bank_url
        self._run("bank", _module("infra.local.sandbox_bank", port=url.rpartition(":")[2]), variables)
        self._wait_for("bank", f"{url}/health")

    def _start_chain(self) -> None:
        """All of a chain's state is in its process, so one that ended can't be started again: its blocks are gone."""
        try:
            chain_node.install()
        except chain_node.ChainNodeError as error:
            raise LaptopError(str(error)) from error
        self._run("chain", chain_node.command(self.settings.chain_port))
        self._wait_for("chain", self.settings.chain_url, fetch=_asks_for_height)

    def _start_matcher(self) -> None:
        self._keep("matcher", [sys.executable, "-m", "matcher", "run"], self._matcher_environment())

    def _clear_leftovers(self) -> None:
        living = [record.name for record, alive in self.status().processes if alive]
        if living:
            raise LaptopError(
                f"An earlier start left {', '.join(living)} running without the rest: "
                "end it with `make down`, then start again."
            )
        self.down()

    def _start(self) -> dict[str, Any]:
        started = time.monotonic()
        package = self._package()
        if not self.settings.localstack_url:
            with self._step("Starting the laptop cloud"):
                self._run("cloud", _module("infra.local.cloud", port=self.settings.cloud_port, home=self.settings.home))
                self._wait_for("cloud", f"{self.settings.endpoint_url}/_localstack/health")
        with self._step("Starting the chain"):
            self._start_chain()
        with self._step("Deploying template.yaml"):
            self._deploy(package)
        with self._step("Starting the sandbox bank"):
            self._start_bank()
        with self._step("Starting the edge"):
            self._run("edge", self._edge_command(), {"ORIGIN_SECRET": self._origin_secret()})
            self._wait_for("edge", f"{self.settings.rest_url}/time")
        stack = self._stack()
        for title, list_them in self._opening.listings.items():
            with self._step(title):
                stack.update(list_them(self))
        with self._step("Starting the matcher"):
            self._start_matcher()
        with self._step("Registering and funding demo customers"):
            stack.update(self._opening.customers(self))
        with self._step("Waiting until an order can be placed"):
            self._wait_for("matcher", f"http://{HOST}:{self.settings.matcher_port}/health", _leads)
            self._wait_for("edge", f"{self.settings.rest_url}/products")
        stack["pids"] = {record.name: record.pid for record in self._records.read()}
        stack["started_seconds"] = round(time.monotonic() - started, 1)
        write_stack(self.settings, stack)
        return stack

    def _restart_edge(self) -> None:
        """An update of the API's document makes a new API here."""
        processes.end([record for record in self._records.read() if record.name == "edge"])
        self._records.forget("edge")
        self._run("edge", self._edge_command(), {"ORIGIN_SECRET": self._origin_secret()})
        self._wait_for("edge", f"{self.settings.rest_url}/time")

    def _package(self) -> packaging.Package:
        return packaging.package(
            ROOT / "template.yaml", bucket=deployment.ARTIFACTS_BUCKET, endpoint_url=self.settings.endpoint_url
        )

    def _deploy(self, package: packaging.Package) -> None:
        websocket = f"{self.settings.endpoint_url}/_aws/execute-api/{packaging.WEBSOCKET_API_ID}/ws"
        parameters = {
            "Cloud": "local",
            "WebsocketEndpoint": websocket,
            "ConnectionsPerAddress": "0",
            "ChainRail": "on",
            "BankWebhookUrl": f"{self.settings.rest_url}/v1/payments/bank/notifications",
            "StripeRail": "on" if self.settings.stripe else "off",
            "BankFilesRail": "on" if self.settings.bank_files else "off",
            "StripeApiBase": self.bank_url,
            "ScreeningUrl": f"{self.bank_url}/screenings",
            "OAuthCallbackUrls": f"{self.settings.rest_url}/app/callback",
            "PublicRequestsPerSecond": "0",  # Everybody here has one address.
        }
        self.outputs = deployment.deploy(self.client, package, parameters)

    def _edge_command(self) -> list[str]:
        return _module(
            "infra.local.edge",
            port=self.settings.port,
            endpoint_url=self.settings.endpoint_url,
            rest_api_id=self.outputs["RestApiId"],
            websocket_api_id=self.outputs["WebSocketApiId"],
            web_directory=_web_directory(),
        )

    def _origin_secret(self) -> str:
        """What the edge proves itself by to the functions; they were told the same."""
        return self._secret("OriginSecretArn")

    def _secret(self, output: str) -> str:
        return str(self.client("secretsmanager").get_secret_value(SecretId=self.outputs[output])["SecretString"])

    def _matcher_environment(self) -> dict[str, str]:
        return {
            **environment(self.settings),
            "ORDERS_STREAM": self.outputs["OrdersStream"],
            "EXECUTIONS_STREAM": self.outputs["ExecutionsStream"],
            "LEASES_TABLE": self.outputs["LeasesTable"],
            "INSTRUMENTS_TABLE": self.outputs["InstrumentsTable"],
            "SNAPSHOTS_BUCKET": self.outputs["SnapshotsBucket"],
            "QUARANTINE_BUCKET": self.outputs["QuarantineBucket"],
            "HEALTH_PORT": str(self.settings.matcher_port),
            "POLL_MILLISECONDS": str(MATCHER_POLL_MILLISECONDS),
        }

    def _stack(self) -> dict[str, Any]:
        """Where everything is; the demo customers and products come later."""
        return {
            "stack_name": deployment.STACK_NAME,
            "rest_url": self.settings.rest_url,
            "websocket_url": f"ws://{HOST}:{self.settings.port}/ws",
            "sandbox_bank_url": self.bank_url,
            "web_url": f"{self.settings.rest_url}/app/",
            "operators_url": f"{self.settings.endpoint_url}/_aws/execute-api/{self.outputs['OperatorsApiId']}/live",
            "aws_endpoint_url": self.settings.endpoint_url,
            "region": REGION,
            "user_pool_id": self.outputs["UserPoolId"],
            "user_pool_client_id": self.outputs["UserPoolClientId"],
            "matcher_health_url": f"http://{HOST}:{self.settings.matcher_port}/health",
            "tables": named_outputs(self.outputs, "Table"),
            "streams": named_outputs(self.outputs, "Stream"),
            "buckets": named_outputs(self.outputs, "Bucket"),
            "outputs": self.outputs,
            "ports": self.settings.ports,
            "logs": str(self.settings.logs),
        }

    def _run(self, name: str, command: list[str], variables: Mapping[str, str] | None = None) -> None:
        log = self.settings.logs / f"{name}.log"
        log.unlink(missing_ok=True)
        self._records.replace(processes.start(name, command, variables or {}, log))

    def _keep(self, name: str, command: list[str], variables: Mapping[str, str]) -> None:
        """Run it as ECS does: what ends is started again."""
        (self.settings.logs / f"{name}.log").unlink(missing_ok=True)
        told = keeper.variables(name, command, self.settings.home)
        self._run(name + processes.KEEPER, _module("infra.local.keeper"), {**variables, **told})

    def _wait_for(
        self,
        name: str,
        url: str,
        ready: Callable[[bytes], bool] = lambda _: True,
        *,
        fetch: Callable[[str], bytes | None] | None = None,
    ) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            record = next((entry for entry in self._records.read() if entry.name == name), None)
            if record is not None and record.process() is None:
                raise LaptopError(
                    f"The {name} ended while starting. Its last words, from {record.log}:\n{_tail(record.log)}"
                )
            body = (fetch or _fetch)(url)
            if body is not None and ready(body):
                return
            time.sleep(0.1)
        log = self.settings.logs / f"{name}.log"
        raise LaptopError(
            f"The {name} was not ready within {START_SECONDS_MAX} seconds; {url} did not answer. See {log}."
        )


def read_stack(settings: LaptopSettings) -> dict[str, Any]:
    """What `up` left in stack.json; empty where nothing runs."""
    try:
        stack: dict[str, Any] = json.loads(settings.stack_path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return stack


def write_stack(settings: LaptopSettings, stack: dict[str, Any]) -> None:
    """Write stack.json whole, or not at all. It holds the demo customers' keys, so it is its owner's only."""
    partial = settings.stack_path.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(stack, indent=2) + "\n", encoding="utf-8")
    partial.replace(settings.stack_path)


def _module(module: str, /, **options: Any) -> list[str]:
    given = [text for key, value in options.items() for text in (f"--{key.replace('_', '-')}", str(value))]
    return [sys.executable, "-m", module, *given]


def _web_directory() -> Path:
    """The built pages; pages that need no building are served as they are."""
    built = ROOT / "web" / "dist"
    return built if (built / "index.html").is_file() else built.parent


def named_outputs(outputs: Mapping[str, str], ending: str) -> dict[str, str]:
    """The outputs of one kind by their logical names: OrdersTable: x becomes orders: x."""
    return {_snake(key.removesuffix(ending)): value for key, value in outputs.items() if key.endswith(ending)}


def _snake(text: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in text).strip("_")


def _fetch(url: str) -> bytes | None:
    """The body of a 200, else None."""
    try:
        answer = urllib3.request("GET", url, timeout=10, retries=False)
    except urllib3.exceptions.HTTPError:
        return None
    return answer.data if answer.status == 200 else None


def _asks_for_height(url: str) -> bytes | None:
    """A chain's node answers questions only, no plain request."""
    question = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
    try:
        answer = urllib3.request("POST", url, json=question, timeout=10, retries=False)
    except urllib3.exceptions.HTTPError:
        return None
    return answer.data if answer.status == 200 else None


def _leads(body: bytes) -> bool:
    """The matcher reads every shard as their leader."""
    return bool(json.loads(body).get("role") == "leader")


def _tail(path: str, lines: int = 12) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(_last_lines(Path(path), lines))
    return ""


def _last_lines(path: Path, count: int) -> Iterator[str]:
    yield from path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
