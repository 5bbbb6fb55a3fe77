# ruff: noqa: SLF001 - MiniStack has no public way to a layer's archive.
"""How a Python function of the laptop cloud runs: a pool of forked workers in place of MiniStack's subprocesses.

MiniStack starts `python` anew for each worker, unzips code and layers for each, waits 50 ms for logs after each
invocation, and kills the worker at each error. Here the code is unpacked once a version, a worker is a fork of a
process that has the libraries already, and an answer carries its own log.
"""

import hashlib
import io
import os
import threading
import zipfile
from pathlib import Path
from typing import Any

from infra.local.function_pool import Pool
from infra.local.function_worker import FunctionSpec

# Two cores cannot use more; a burst waits in the pool's queue.
WORKERS_MAX = 3

_pools: dict[str, Pool] = {}
_lock = threading.Lock()


class FunctionPools:
    """The pools of every function version, and where their code is unpacked."""

    def __init__(self, *, code_directory: Path, log_directory: Path, workers_max: int = WORKERS_MAX) -> None:
        self._code_directory = code_directory
        self._log_directory = log_directory
        self._workers_max = workers_max

    def pool(self, func: dict[str, Any]) -> Pool:
        """The function's pool, made at its first invocation."""
        config = func.get("config") or func
        key = _key(config)
        with _lock:
            pool = _pools.get(key)
            if pool is None:
                pool = _pools[key] = Pool(self._spec(func, config), self._size_max(func))
            return pool

    def _size_max(self, func: dict[str, Any]) -> int:
        reserved = func.get("concurrency")
        if isinstance(reserved, dict):
            reserved = reserved.get("ReservedConcurrentExecutions")
        return min(self._workers_max, reserved) if reserved else self._workers_max

    def _spec(self, func: dict[str, Any], config: dict[str, Any]) -> FunctionSpec:
        from ministack.services import lambda_svc

        name = config["FunctionName"]
        code = self._unpack(func["code_zip"])
        layers = [lambda_svc._resolve_layer_zip(layer) for layer in config.get("Layers") or []]
        self._log_directory.mkdir(parents=True, exist_ok=True)
        return FunctionSpec(
            name=name,
            arn=config.get("FunctionArn", ""),
            version=config.get("Version", "$LATEST"),
            handler=config.get("Handler", "index.handler"),
            timeout_seconds=int(config.get("Timeout") or 3),
            memory_mb=int(config.get("MemorySize") or 128),
            code_directory=str(code),
            layer_directories=tuple(str(self._unpack(layer)) for layer in layers if layer),
            environment=_environment(config, code),
            log_path=str(self._log_directory / f"{name}.log"),
        )

    def _unpack(self, archive: bytes) -> Path:
        """Unpack an archive once; its digest names the folder."""
        target = self._code_directory / hashlib.sha256(archive).hexdigest()[:24]
        if not target.exists():
            partial = target.with_suffix(f".{os.getpid()}.partial")
            with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                opened.extractall(partial)
            partial.rename(target)
        return target


def invalidate(name: str, qualifier: str | None = None, account: str | None = None, region: str | None = None) -> None:
    """Forget the workers of a function whose code or configuration changed or went away."""
    with _lock:
        doomed = [key for key in _pools if _matches(key, name, qualifier, account, region)]
        pools = [_pools.pop(key) for key in doomed]
    for pool in pools:
        pool.close()


def idle_workers() -> set[int]:
    """The processes that wait for an invocation, by pid; every other worker is in one, or starts for one."""
    with _lock:
        pools = list(_pools.values())
    return {worker.process.pid for pool in pools for worker in tuple(pool.idle) if worker.process.pid is not None}


def _matches(key: str, name: str, qualifier: str | None, account: str | None, region: str | None) -> bool:
    wanted = (account, region, name, qualifier)
    return all(want is None or want == got for want, got in zip(wanted, key.split("|"), strict=True))


def _key(config: dict[str, Any]) -> str:
    _, _, _, region, account, *_ = config["FunctionArn"].split(":")
    return "|".join((account, region, config["FunctionName"], config.get("Version", "$LATEST")))


def _environment(config: dict[str, Any], code: Path) -> dict[str, str]:
    """What Lambda sets, then the function's own variables; nothing of the developer's shell but how to run at all."""
    from ministack.core import lambda_runtime

    region = config["FunctionArn"].split(":")[3]
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    runtime = {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
        lambda_runtime.HOST_PREFIX_ENV: "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize") or 128),
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{config['FunctionName']}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "laptop",
        "AWS_XRAY_SDK_ENABLED": "false",
        "LAMBDA_TASK_ROOT": str(code),
        "POWERTOOLS_TRACE_DISABLED": "true",
        "TZ": ":UTC",
    }
    own = (config.get("Environment") or {}).get("Variables") or {}
    # On AWS a function's session says whose a request is; here the name that botocore puts into its User-Agent does.
    name = {"AWS_SDK_UA_APP_ID": config["FunctionName"]}
    return {**inherited, **runtime, **lambda_runtime.execution_credentials(config), **name, **own}
