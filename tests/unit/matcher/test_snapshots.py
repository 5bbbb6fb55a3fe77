"""A snapshot is read exactly as written or not at all."""

import pytest

from matcher.snapshots import ShardState, SnapshotCorruptError, decode_state, encode_state

STATE = ShardState(
    shard_id="shard-1",
    position="4711",
    first_record="17",
    markets={"ACME-USD": b"\x00\x01engine", "BETA-USD": b"", "BTC-USD": bytes(range(40))},
    paused={"BETA-USD": "99"},
)


def test_it_comes_back_as_it_was() -> None:
    assert decode_state(encode_state(STATE), shard_id="shard-1") == STATE


def test_a_state_before_the_first_record_survives_too() -> None:
    empty = ShardState("shard-1")
    assert decode_state(encode_state(empty), shard_id="shard-1") == empty


def test_every_flipped_byte_is_noticed() -> None:
    data = encode_state(STATE)
    for index in range(len(data)):
        broken = bytearray(data)
        broken[index] ^= 0x40
        with pytest.raises(SnapshotCorruptError):
            decode_state(bytes(broken), shard_id="shard-1")


def test_every_truncation_is_noticed() -> None:
    data = encode_state(STATE)
    for length in range(len(data)):
        with pytest.raises(SnapshotCorruptError):
            decode_state(data[:length], shard_id="shard-1")


def test_another_shard_s_snapshot_is_refused() -> None:
    with pytest.raises(SnapshotCorruptError, match="is of shard-1"):
        decode_state(encode_state(STATE), shard_id="shard-2")
