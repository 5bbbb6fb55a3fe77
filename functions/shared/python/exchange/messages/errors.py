"""What a record can be besides readable.

RecordError
├── MalformedRecordError   the bytes are not a record: quarantine it whole, never discard
└── UnknownVersionError    the bytes are a record of a version this code does not know: stop, never guess
"""


class RecordError(ValueError):
    """A stream record that can't be read."""


class MalformedRecordError(RecordError):
    """The bytes are not what the format allows."""


class UnknownVersionError(RecordError):
    """The record was written by newer code (or by something else): stop, never guess."""
