"""What stops an engine. Everything else a command can say is answered by an event.

EngineError
├── SnapshotError       the bytes are no whole snapshot of a version known here: take the one before it
└── UnknownRulesError   the log asks for rules this code does not have: stop, never guess
"""


class EngineError(Exception):
    """The engine can't go on."""


class SnapshotError(EngineError):
    """A snapshot that is corrupt, cut short or of an unknown version."""


class UnknownRulesError(EngineError):
    """The command log switches to a version of the rules that this code does not know."""
