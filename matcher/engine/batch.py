"""What a record of commands did, as the packed bytes that the stream carries: a group of the chain."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch of commands did: the packed results one after the other, and where each ends.

    A command that caused no event has no result here.
    """

    data: bytes
    ends: "array[int]" = field(repr=False)
    commands: int
    events: int

    def __iter__(self) -> Iterator[bytes]:
        """Each packed result."""
        start = 0
        for end in self.ends:
            yield self.data[start:end]
            start = end
