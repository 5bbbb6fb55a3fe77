"""How each state and each branch of the state machines is come to. tests/contract/test_sagas.py holds this against the
definitions, so nothing can be added to them without a case; test_sagas.py walks it on the laptop cloud.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DEPOSIT, WITHDRAWAL, SETTLEMENT = "deposit.asl.yaml", "withdrawal.asl.yaml", "settlement.asl.yaml"
FAULTS = ("before", "after", "twice")
# Every time, until the machine gives the state up.
ALWAYS = "always"

# The amounts by which the sandboxes choose their answers.
PLAIN, DECLINED, DOUBTFUL, UNSCREENED = "3.21", "3.666", "3.444", "3.555"
COINS = "0.01"


@dataclass(frozen=True, slots=True)
class Way:
    """A way through a machine: its states in order, and what brings a transfer onto it.

    `amount` chooses the bank's and the screening's answers; `decision` is what is done while the withdrawal waits in
    review; `chain` pays over a chain, `refused` to an address that takes nothing.
    """

    file: str
    states: tuple[str, ...]
    amount: str = PLAIN
    decision: str = ""
    chain: bool = False
    refused: bool = False

    @property
    def completes(self) -> bool:
        """Whether money moves; else the transfer is canceled."""
        return self.states[-1] == "Done"


_CLEARED = ("Clear", "Cleared", "ChoosePayer")
_REVIEWED = ("Clear", "Cleared", "AwaitReview", "Clear", "Cleared")
_PAID = ("Post", "Announce", "Done")
_BACK = ("GiveBack", "Refused")
_UNKNOWN = ("Clear", "Cleared", "ClearLater")
WAYS: Mapping[str, Way] = {
    "a deposit that the bank pays": Way(DEPOSIT, ("AskBank", "Credit", "Announce", "Done")),
    "a deposit that the bank declines": Way(DEPOSIT, ("AskBank", "Fail", "Refused"), DECLINED),
    "a withdrawal to a bank": Way(WITHDRAWAL, (*_CLEARED, "AskBank", *_PAID)),
    "a withdrawal that the bank declines": Way(WITHDRAWAL, (*_CLEARED, "AskBank", *_BACK), DECLINED),
    "a withdrawal to a chain": Way(WITHDRAWAL, (*_CLEARED, "PayOnChain", *_PAID), COINS, chain=True),
    "a withdrawal to who takes none": Way(
        WITHDRAWAL, (*_CLEARED, "PayOnChain", *_BACK), COINS, chain=True, refused=True
    ),
    "a withdrawal that operators release": Way(
        WITHDRAWAL, (*_REVIEWED, "ChoosePayer", "AskBank", *_PAID), DOUBTFUL, "withdrawal.release"
    ),
    "a withdrawal that operators refuse": Way(WITHDRAWAL, (*_REVIEWED, *_BACK), DOUBTFUL, "withdrawal.refuse"),
    "a withdrawal that is called off": Way(WITHDRAWAL, (*_REVIEWED, "Withdrawn"), DOUBTFUL, "cancel"),
    "a withdrawal that nobody can screen yet": Way(
        WITHDRAWAL, (*_UNKNOWN, *_UNKNOWN, *_CLEARED, "AskBank", *_PAID), UNSCREENED
    ),
}
# On which way each task is made to fail before, to fail after, and to run twice.
TASKS: Mapping[tuple[str, str], str] = {
    (DEPOSIT, "AskBank"): "a deposit that the bank pays",
    (DEPOSIT, "Credit"): "a deposit that the bank pays",
    (DEPOSIT, "Announce"): "a deposit that the bank pays",
    (DEPOSIT, "Fail"): "a deposit that the bank declines",
    (WITHDRAWAL, "Clear"): "a withdrawal to a bank",
    (WITHDRAWAL, "AwaitReview"): "a withdrawal that operators release",
    (WITHDRAWAL, "AskBank"): "a withdrawal to a bank",
    (WITHDRAWAL, "PayOnChain"): "a withdrawal to a chain",
    (WITHDRAWAL, "Post"): "a withdrawal to a bank",
    (WITHDRAWAL, "Announce"): "a withdrawal to a bank",
    (WITHDRAWAL, "GiveBack"): "a withdrawal that the bank declines",
}
# The one that trades walk, and not transfers; Express keeps no history, so its end is its answer.
TRADES = (SETTLEMENT, "Settle")
# Where a task goes that failed with what nobody tries again, until it is come to again. What is announced is tried
# again whatever happened, so it makes no detour.
DETOURS: Mapping[tuple[str, str], tuple[str, ...]] = {
    (DEPOSIT, "AskBank"): ("AskAgainLater",),
    (DEPOSIT, "Credit"): ("CreditLater",),
    (DEPOSIT, "Announce"): (),
    (DEPOSIT, "Fail"): ("FailLater",),
    (WITHDRAWAL, "Clear"): ("ClearLater",),
    (WITHDRAWAL, "AwaitReview"): ("ClearLater", "Clear", "Cleared"),
    (WITHDRAWAL, "AskBank"): ("AskAgainLater",),
    (WITHDRAWAL, "PayOnChain"): ("PayOnChainLater",),
    (WITHDRAWAL, "Post"): ("PostLater",),
    (WITHDRAWAL, "Announce"): (),
    (WITHDRAWAL, "GiveBack"): ("GiveBackLater",),
}
# Tasks that are given up for good: what catches them leads where success does.
GIVEN_UP = ((DEPOSIT, "Announce"), (WITHDRAWAL, "Announce"))
# What the settlement machine walks: its task's own end, and the one after an error that nobody tries again.
SETTLED, NOT_SETTLED = ("Settle",), ("Settle", "NotSettled")


def walk_of(task: tuple[str, str], fault: str) -> tuple[str, ...]:
    """The states that a transfer comes through while its task meets a fault once."""
    states, detour = WAYS[TASKS[task]].states, DETOURS[task]
    if fault != "after" or not detour:
        return states
    at = states.index(task[1])
    return (*states[: at + 1], *detour, *states[at:])


def walked(file: str) -> Iterator[tuple[str, ...]]:
    """Every way through a machine that some case walks to its end."""
    yield from (way.states for way in WAYS.values() if way.file == file)
    yield from (walk_of(task, fault) for task in TASKS for fault in FAULTS if task[0] == file)
    if file == SETTLEMENT:
        yield SETTLED
        yield NOT_SETTLED
