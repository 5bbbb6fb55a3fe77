"""Awards and the journal they are posted to, in memory; writes that fail before or after they were done."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.awards.model import Award, AwardKey, Standing
from exchange.kernel.errors import OutcomeUnknownError
from exchange.ledger.model import Batch, Entry, EntryKind, Head, may_be_negative, next_batch
from exchange.referrals.model import Referral


@dataclass
class FakeLedger:
    """Chains, balances and awards. `before_post` happens ahead of each post; `lost_answers` posts are done unheard."""

    chains: dict[str, list[Batch]] = field(default_factory=lambda: defaultdict(list))
    balances: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: dict[tuple[int, AwardKey], Award] = field(default_factory=dict)
    carries: dict[AwardKey, tuple[int, int]] = field(default_factory=dict)  # closing and micro-units
    referrals: dict[int, Referral] = field(default_factory=dict)
    before_post: Callable[[], object] | None = None
    lost_answers: int = 0

    def append(self, partition: str, at_ns: int, reference: str, entries: Sequence[Entry]) -> Batch:
        """Post entries at a chain's end."""
        made = next_batch(
            self.head(partition), partition=partition, posted_at_ns=at_ns, reference=reference, entries=entries
        )
        self._apply(made)
        return made

    def _apply(self, batch: Batch) -> None:
        self.chains[batch.partition].append(batch)
        for entry in batch.entries:
            self.balances[entry.account, entry.asset] += entry.units

    def head(self, partition: str) -> Head:
        """A chain's end."""
        chain = self.chains[partition]
        return Head(chain[-1].number, chain[-1].hash()) if chain else Head()

    def batch(self, partition: str, number: int) -> Batch | None:
        """One batch."""
        chain = self.chains[partition]
        return chain[number - 1] if 0 < number <= len(chain) else None

    def referral(self, account_id: int) -> Referral | None:
        """Who brought an account's owner."""
        return self.referrals.get(account_id)

    def standings(self, closing: int, keys: Sequence[AwardKey]) -> Mapping[AwardKey, Standing]:
        """Where payees stand."""
        found = {}
        for key in keys:
            row = self.rows.get((closing, key))
            carried = row.carried_micro_units if row else self.carries.get(key, (0, 0))[1]
            found[key] = Standing(carried, row)
        return found

    def post(self, awards: Sequence[Award], batch: Batch | None) -> bool:
        """All or nothing."""
        if self.before_post is not None:
            waiting, self.before_post = self.before_post, None
            waiting()
        if batch is not None and batch.previous_hash != self.head(batch.partition).hash:
            return False
        if any((award.closing, award.key) in self.rows for award in awards):
            return False
        if any(self.carries.get(award.key, (0, 0))[0] >= award.closing for award in awards):
            return False
        if batch is not None:
            after = self.balances.copy()
            for entry in batch.entries:
                after[entry.account, entry.asset] += entry.units
            if any(after[e.account, e.asset] < 0 and not may_be_negative(e.account) for e in batch.entries):
                return False
            self._apply(batch)
        for award in awards:
            self.rows[award.closing, award.key] = award
            self.carries[award.key] = award.closing, award.carry_micro_units
        if self.lost_answers:
            self.lost_answers -= 1
            raise OutcomeUnknownError("the answer was lost")
        return True

    def posted(self) -> Iterator[Entry]:
        """What awards gave to payees, entry by entry."""
        for partition, chain in self.chains.items():
            if partition.startswith("awards:"):
                for batch in chain:
                    yield from (entry for entry in batch.entries if entry.units > 0)


def trade_entries(
    product_id: str, trade_id: int, *, maker: int, taker: int, size: int, value: int, fees: tuple[int, int]
) -> list[Entry]:
    """A trade as settlement posts it, the maker's side first; the taker buys."""
    base, quote = product_id.split("-")
    reference, income = str(trade_id), f"house:fees:{product_id}"
    entries: list[Entry] = []
    for account, sign, fee in ((maker, -1, fees[0]), (taker, 1, fees[1])):
        entries.append(Entry(str(account), base, sign * size, EntryKind.MATCH, reference))
        entries.append(Entry(str(account), quote, -sign * value, EntryKind.MATCH, reference))
        if fee:
            entries.append(Entry(str(account), quote, -fee, EntryKind.FEE, reference))
            entries.append(Entry(income, quote, fee, EntryKind.FEE, reference))
    return entries
