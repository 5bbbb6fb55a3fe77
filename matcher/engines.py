"""The engine that this process runs, behind what the markets need of one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from exchange.messages import MalformedRecordError, ProductParameters, decode_commands

from matcher.engine import Engine, ProductSpec, SnapshotError
from matcher.snapshots import SnapshotCorruptError


@dataclass(frozen=True, slots=True)
class RecordAnswers:
    """What the commands of one record did."""

    commands: int
    results: tuple[bytes, ...]

    def __iter__(self) -> Iterator[bytes]:
        """Each packed result."""
        return iter(self.results)


class RecordEngine(Engine):
    """An engine that takes whole records of the orders stream."""

    def apply_record(self, record: bytes, *, arrival_ns: int) -> RecordAnswers:
        """Carry out every command of a record, all at its arrival time.

        Raises:   UnknownVersionError, MalformedRecordError before anything was done; UnknownRulesError.
        """
        decoded = decode_commands(record)
        if decoded.product_id != self.product.product_id:
            raise MalformedRecordError(f"a record of {decoded.product_id} was put under {self.product.product_id}")
        results = [self.apply_packed(replace(command, time_ns=arrival_ns)) for command in decoded.commands]
        return RecordAnswers(len(decoded.commands), tuple(result for result in results if result is not None))


class ProductEngines:
    """Makes engines for listed products and from their snapshots."""

    def create(self, product_id: str, parameters: ProductParameters) -> RecordEngine:
        """An engine with an empty book. Raises ProductError where the terms make no product."""
        return RecordEngine(ProductSpec.from_parameters(product_id, parameters))

    def restore(self, data: bytes) -> RecordEngine:
        """The engine that a snapshot was taken of. Raises SnapshotCorruptError."""
        try:
            engine = RecordEngine.restore(data)
        except SnapshotError as error:
            raise SnapshotCorruptError(str(error)) from error
        # `restore` makes an engine of the class that it is called on, which its type does not say.
        return cast("RecordEngine", engine)
