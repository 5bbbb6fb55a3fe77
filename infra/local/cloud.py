"""The laptop cloud's process: `python -m infra.local.cloud`.

MiniStack under uvicorn, with the workarounds applied. All state is in memory and ends with the process.
"""

import argparse
import gc
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

GARBAGE_THRESHOLD = 100_000

# Only standard library up here: the fork server's children import this module again as their main module.


def main(before: Callable[[Any], Any] = lambda app: app) -> None:
    """Serve until told to end. `before` puts an application before MiniStack's: one that counts, or disturbs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True, help="where code is unpacked and logs are written")
    arguments = parser.parse_args()
    _set_environment(arguments.port, arguments.home)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    from infra.local import function_pool, functions, workarounds

    function_pool.prepare_fork_server()
    pools = functions.FunctionPools(
        code_directory=arguments.home / "cloud" / "code", log_directory=arguments.home / "logs" / "functions"
    )
    workarounds.apply_all(pools)

    import uvicorn
    from ministack.app import app

    from infra.local.http_protocol import JoinedHttpProtocol

    # Tables and streams are long-lived and have no cycles: walking them over and over was a quarter of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 50, 100)
    try:
        uvicorn.run(
            before(app),
            host="127.0.0.1",
            port=arguments.port,
            loop="uvloop",
            http=JoinedHttpProtocol,
            ws="wsproto",
            lifespan="on",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
    finally:
        function_pool.kill_all()


def _set_environment(port: int, home: Path) -> None:
    """MiniStack reads its settings at import."""
    os.environ.update(
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        LOG_LEVEL=os.environ.get("EXCHANGE_CLOUD_LOG_LEVEL", "WARNING"),
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        PERSIST_STATE="0",
        AWS_DEFAULT_REGION=os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
        MINISTACK_STATE_DIR=str(home / "cloud" / "state"),
    )


if __name__ == "__main__":
    main()
