"""The engine that this process runs, behind what the markets need of one."""

from exchange.messages import ProductParameters

from matcher.engine import Engine, ProductSpec, SnapshotError
from matcher.snapshots import SnapshotCorruptError


class ProductEngines:
    """Makes engines for listed products and from their snapshots."""

    def create(self, product_id: str, parameters: ProductParameters) -> Engine:
        """An engine with an empty book. Raises ProductError where the terms make no product."""
        return Engine(ProductSpec.from_parameters(product_id, parameters))

    def restore(self, data: bytes) -> Engine:
        """The engine that a snapshot was taken of. Raises SnapshotCorruptError."""
        try:
            return Engine.restore(data)
        except SnapshotError as error:
            raise SnapshotCorruptError(str(error)) from error
