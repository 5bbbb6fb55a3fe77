"""Whatever bytes arrive as a record, both engines judge them alike, and no engine falls.

`try_bytes` is what a fuzzer calls. The property test feeds it damaged records; a coverage-guided fuzzer, which is no
dependency of ours, feeds it what it likes:

    uv run --with atheris python -m tests.properties.record_fuzz -max_total_time=600
"""

import sys
from collections.abc import Callable
from random import Random
from typing import Final

from exchange.messages import RecordError, encode_commands
from exchange.messages.commands import COMMAND_HEADER, COMMAND_STRUCT, COMMANDS_PER_RECORD_MAX

from matcher.engine import UnknownRulesError
from matcher.engine.batch import Batch
from tests.properties.engine_flow import PRODUCT, Flow
from tests.unit.engine.engines import ENGINES

_BOOK: Final = [Flow(Random(seed)).command() for seed in range(8)]
_HEADER: Final = encode_commands(PRODUCT.product_id, [])


def try_bytes(data: bytes) -> None:
    """Offer the bytes as a record, and once more as the commands of a record whose header is right."""
    count = min(len(data) // COMMAND_STRUCT.size, COMMANDS_PER_RECORD_MAX)
    for version in (1, 2):
        header = bytearray(_HEADER)
        header[4], header[6:8] = version, count.to_bytes(2, "little")
        _try_record(bytes(header) + data)
    _try_record(data)


def _try_record(record: bytes) -> None:
    engines = [engine_class(PRODUCT) for engine_class in ENGINES]
    for engine in engines:
        engine.apply_record(encode_commands(PRODUCT.product_id, _BOOK))
    verdicts = [_verdict(engine.apply_record, record) for engine in engines]
    assert all(verdict == verdicts[0] for verdict in verdicts)
    if verdicts[0] is not UnknownRulesError:
        assert len({engine.snapshot() for engine in engines}) == 1


def _verdict(apply: Callable[[bytes], Batch], record: bytes) -> Batch | type[Exception]:
    try:
        return apply(record)
    except (RecordError, UnknownRulesError) as error:
        return type(error)


def seeds() -> list[bytes]:
    """Records that are right, to be damaged."""
    flow = Flow(Random(1))
    return [encode_commands(PRODUCT.product_id, [flow.command() for _ in range(count)]) for count in (1, 2, 5, 20)]


def main() -> None:
    """Run the coverage-guided fuzzer."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    assert COMMAND_HEADER.size == len(_HEADER)
    atheris.instrument_all()
    atheris.Setup(sys.argv, try_bytes)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
