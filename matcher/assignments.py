"""Who should lead how many shards: an equal share each, moved one at a time and never by force."""

from collections import Counter
from collections.abc import Collection, Mapping

from matcher.lease import LeaseRecord
from matcher.shards import Shard


def share_of(shards: int, members: int) -> int:
    """The most that one process leads while the others could lead as many."""
    return -(-shards // max(members, 1))


def may_take(*, held: int, shards: int, members: int, unwanted_seconds: float, patience_seconds: float) -> bool:
    """Whether a process takes one more free shard: within its share, or when nobody else has taken it for a while."""
    return held < share_of(shards, members) or unwanted_seconds >= patience_seconds


def shard_to_release(
    held: Collection[str], shards: Collection[Shard], leases: Mapping[str, LeaseRecord], members: Collection[str]
) -> str | None:
    """The shard to hand over because another process leads at least two fewer; None where the shares are fair."""
    counts = Counter(leases[shard.shard_id].owner for shard in shards if shard.shard_id in leases)
    fewest = min((counts[member] for member in members), default=len(held))
    if len(held) - fewest < 2 or len(held) <= share_of(len(shards), len(members) + 1):
        return None
    return max(held)
