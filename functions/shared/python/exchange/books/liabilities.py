"""The proof of liabilities: a tree of hashes and sums over what each customer is owed of one asset.

Every node has a hash and the sum of all below it; the root's sum is what customers are owed together. Whoever knows a
leaf and the nodes beside its way up can compute the root, sum included: with one customer left out, or owed less than
their leaf says, it is another root.

    leaf    SHA-256(00 | SHA-256("closing/asset") | nonce | sum | account)
    node    SHA-256(01 | left hash | left sum | right hash | right sum)
    nonce   HMAC-SHA256(the closing's salt, "account/asset")

A node without a neighbour goes up as it is. A sum is 16 bytes, unsigned, big-endian. Leaves stand in the order of their
nonces, which are random to everybody else, so neither a place in the tree nor a hash says whose it is. What a way up
does show is what the neighbour of one's own leaf is owed, without a name.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exchange.kernel.errors import require

HASH_BYTES = 32
SUM_BYTES = 16
NODE_BYTES = HASH_BYTES + SUM_BYTES
LEAF_BYTES = HASH_BYTES + NODE_BYTES
_LEAF, _NODE = b"\x00", b"\x01"

ReadRange = Callable[[int, int], bytes]  # offset and length to bytes


class Node(NamedTuple):
    """A hash, and in units what is owed below it."""

    hash: bytes
    units: int

    def encode(self) -> bytes:
        """Both, as they are hashed and stored. Raises InvariantError for a sum below zero or beyond 16 bytes."""
        require(0 <= self.units < 1 << 8 * SUM_BYTES, f"a sum of {self.units} has no place in a proof")
        return self.hash + self.units.to_bytes(SUM_BYTES, "big")


class Step(NamedTuple):
    """A node beside the way up, and whether it stands to the left."""

    left: bool
    node: Node


class Leaf(NamedTuple):
    """What one account is owed, ready to stand in a tree."""

    nonce: bytes
    node: Node


@dataclass(frozen=True, slots=True)
class Way:
    """How one leaf leads to the root."""

    leaf: Leaf
    steps: tuple[Step, ...]


def nonce_of(salt: bytes, account: str, asset: str) -> bytes:
    """What keeps others from guessing a leaf."""
    return hmac.digest(salt, f"{account}/{asset}".encode(), "sha256")


def make_leaf(closing: int, asset: str, account: str, nonce: bytes, units: int) -> Leaf:
    """The leaf of one account. Raises InvariantError for a balance below zero."""
    require(units >= 0, f"account {account} is owed {units} {asset}")
    context = hashlib.sha256(f"{closing}/{asset}".encode()).digest()
    said = _LEAF + context + nonce + units.to_bytes(SUM_BYTES, "big") + account.encode()
    return Leaf(nonce, Node(hashlib.sha256(said).digest(), units))


def parent(left: Node, right: Node) -> Node:
    """The node over two others."""
    return Node(hashlib.sha256(_NODE + left.encode() + right.encode()).digest(), left.units + right.units)


def grow(leaves: Sequence[Node]) -> list[list[Node]]:
    """All levels of a tree, the leaves first, the root alone in the last. Shape: at least one leaf."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [parent(*below[place : place + 2]) for place in range(0, len(below) - 1, 2)]
        levels.append(above + below[len(above) * 2 :])
    return levels


def write_tree(leaves: Iterable[Leaf]) -> tuple[bytes, Node]:
    """A tree as one block of bytes, level by level, its leaves by nonce; and its root."""
    ordered = sorted(leaves)
    levels = grow([leaf.node for leaf in ordered])
    base = b"".join(leaf.nonce + leaf.node.encode() for leaf in ordered)
    return base + b"".join(node.encode() for level in levels[1:] for node in level), levels[-1][0]


def find_way(read: ReadRange, count: int, nonce: bytes) -> Way | None:
    """The way from the leaf with this nonce to the root, in a written tree of `count` leaves; None where it is not."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if read(middle * LEAF_BYTES, HASH_BYTES) < nonce:
            low = middle + 1
        else:
            high = middle
    leaf = _leaf(read(low * LEAF_BYTES, LEAF_BYTES)) if low < count else None
    if leaf is None or leaf.nonce != nonce:
        return None
    steps: list[Step] = []
    start, place, width, size = 0, low, count, LEAF_BYTES
    while width > 1:
        beside = place ^ 1
        if beside < width:
            row = read(start + beside * size, size)
            steps.append(Step(beside < place, _node(row[-NODE_BYTES:])))
        start, place, width, size = start + width * size, place // 2, (width + 1) // 2, NODE_BYTES
    return Way(leaf, tuple(steps))


def root_of(way: Way) -> Node:
    """The root that a way leads to."""
    node = way.leaf.node
    for step in way.steps:
        node = parent(step.node, node) if step.left else parent(node, step.node)
    return node


def _leaf(row: bytes) -> Leaf:
    return Leaf(row[:HASH_BYTES], _node(row[HASH_BYTES:]))


def _node(row: bytes) -> Node:
    return Node(row[:HASH_BYTES], int.from_bytes(row[HASH_BYTES:], "big"))
