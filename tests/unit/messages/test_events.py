"""Results survive packing and cutting, and the chain sees every change."""

import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from exchange import messages
from exchange.messages import (
    EVENT_RECORD_LENGTH_MAX,
    ChainCheck,
    CommandResult,
    Event,
    EventRecord,
    EventType,
    MalformedRecordError,
    Op,
    RecordError,
    UnknownVersionError,
    chain_hash,
    decode_events,
    encode_event_records,
    genesis_hash,
    pack_result,
    reason_name,
    unpack_result,
    verify_record,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.messages.samples import EPOCH, PRODUCT_ID, RESULTS, result

GOLDEN = Path(__file__).parents[2] / "golden" / "messages" / "v2" / "events.bin"
GENESIS = genesis_hash(PRODUCT_ID)
(RECORD,) = encode_event_records(PRODUCT_ID, EPOCH, RESULTS, hash_before=GENESIS)


def test_every_result_survives_packing() -> None:
    record = decode_events(RECORD)
    assert (record.product_id, record.epoch, record.hash_before) == (PRODUCT_ID, EPOCH, GENESIS)
    assert (record.first_sequence, record.last_sequence) == (1, 17)
    assert [replace(item, hash_after=b"") for item in record.results] == list(RESULTS)
    assert [bool(item.hash_after) for item in record.results] == [False, False, True]
    assert verify_record(record)


def test_version_2_has_the_bytes_it_always_had() -> None:
    assert GOLDEN.read_bytes() == RECORD


def test_one_result_survives_packing_alone() -> None:
    assert unpack_result(pack_result(RESULTS[0])) == RESULTS[0]


def ends_group(result: CommandResult) -> CommandResult:
    """The last result of a group; what its hash is, encoding computes."""
    return replace(result, hash_after=bytes(32))


def plain(records: list[EventRecord]) -> list[CommandResult]:
    return [replace(item, hash_after=b"") for record in records for item in record.results]


def test_the_chain_is_over_groups_and_not_over_epochs_or_cuts() -> None:
    first, second = RESULTS[:2], RESULTS[2:]
    grouped = (first[0], ends_group(first[1]), *second)
    (whole,) = map(decode_events, encode_event_records(PRODUCT_ID, EPOCH, grouped, hash_before=GENESIS))
    one = decode_events(encode_event_records(PRODUCT_ID, 99, first, hash_before=GENESIS)[0])
    two = decode_events(encode_event_records(PRODUCT_ID, 99, second, hash_before=one.hash_at_end)[0])
    assert list(whole.points()) == [*one.points(), *two.points()]
    middle = chain_hash(GENESIS, pack_result(first[0]) + pack_result(first[1]))
    assert list(whole.points()) == [(12, middle), (17, chain_hash(middle, pack_result(second[0])))]
    assert (one.hash_before, two.hash_before) == (GENESIS, middle)


def test_the_hash_at_a_sequence_is_that_of_the_last_point_up_to_it() -> None:
    grouped = (RESULTS[0], ends_group(RESULTS[1]), RESULTS[2])
    (record,) = map(decode_events, encode_event_records(PRODUCT_ID, EPOCH, grouped, hash_before=GENESIS))
    (_, middle), (_, end) = record.points()
    assert [record.hash_at(sequence) for sequence in (0, 11, 12, 16, 17, 18)] == [
        GENESIS, GENESIS, middle, middle, end, None,
    ]  # fmt: skip
    assert record.hash_at(-1) is None


def test_a_result_that_no_record_can_hold_is_cut_between_two_events() -> None:
    long = result(4, 3, 20_000)
    results = (ends_group(result(3, 1, 2)), long, ends_group(result(5, 20_003, 1)), result(6, 20_004, 2))
    records = encode_event_records(PRODUCT_ID, EPOCH, results, hash_before=GENESIS)
    assert len(records) > 5
    assert all(len(record) <= EVENT_RECORD_LENGTH_MAX for record in records)
    assert min(map(len, records[1:-1])) > EVENT_RECORD_LENGTH_MAX - 200
    decoded = [decode_events(record) for record in records]
    for before, after in pairwise(decoded):
        assert after.hash_before == before.hash_at_end
        assert after.first_sequence == before.last_sequence + 1
    assert [record.begins_within for record in decoded] == [False, False, *[True] * (len(decoded) - 2)]
    parts = [part for record in decoded for part in record.results if part.command_id == long.command_id]
    assert tuple(event for part in parts for event in part.events) == long.events
    middle = chain_hash(GENESIS, pack_result(results[0]))
    group = chain_hash(middle, pack_result(long) + pack_result(results[2]))
    assert [hash_after for record in decoded for _, hash_after in record.points()] == [
        middle, group, chain_hash(group, pack_result(results[3])),
    ]  # fmt: skip
    chain = ChainCheck()
    assert all(map(chain.take, decoded))


def test_who_comes_late_to_a_group_checks_the_next() -> None:
    long = result(1, 1, 20_000)
    results = (ends_group(long), ends_group(result(2, 20_001, 3)))
    decoded = [decode_events(data) for data in encode_event_records(PRODUCT_ID, EPOCH, results, hash_before=GENESIS)]
    last = decoded[-1]
    assert verify_record(last)
    broken = replace(last, results=(*last.results[:-1], replace(last.results[-1], account_id=13)))
    assert not verify_record(broken)
    unseen = replace(last, results=(replace(last.results[0], account_id=13), *last.results[1:]))
    assert verify_record(unseen)
    chain = ChainCheck()
    assert all(map(chain.take, decoded[:-1]))
    assert not chain.take(unseen)


def test_a_record_of_another_past_is_no_continuation() -> None:
    (first,) = encode_event_records(PRODUCT_ID, EPOCH, RESULTS[:2], hash_before=GENESIS)
    (second,) = encode_event_records(PRODUCT_ID, EPOCH, RESULTS[2:], hash_before=bytes(32))
    chain = ChainCheck()
    assert chain.take(decode_events(first))
    assert verify_record(decode_events(second))
    assert not chain.take(decode_events(second))


@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=400),
    st.integers(0, 2),
)
@settings(max_examples=30, deadline=None)
def test_whatever_is_packed_is_read_again(shapes: list[tuple[int, bool]], long_results: int) -> None:
    """Groups of any shape, with results that no record holds among them."""
    results, sequence = [], 1
    for number, (events, is_last) in enumerate(shapes + [(9_000, False)] * long_results, start=1):
        item = result(number, sequence, events)
        results.append(ends_group(item) if is_last else item)
        sequence += events
    records = encode_event_records(PRODUCT_ID, EPOCH, results, hash_before=GENESIS)
    decoded, chain = [decode_events(record) for record in records], ChainCheck()
    assert max(map(len, records)) <= EVENT_RECORD_LENGTH_MAX
    assert all(map(chain.take, decoded))
    assert [event for record in decoded for part in record.results for event in part.events] == [
        event for item in results for event in item.events
    ]
    ends = [item.events[-1].sequence for item in results if item.hash_after]
    assert [at for record in decoded for at, _ in record.points()] == sorted({*ends, sequence - 1})
    expected, group = GENESIS, b""
    for item in results:
        group += pack_result(item)
        if item.hash_after or item is results[-1]:
            expected, group = chain_hash(expected, group), b""
    assert decoded[-1].hash_at_end == expected


def test_many_small_results_fill_records() -> None:
    results = [result(number, number, 1) for number in range(1, 3000)]
    records = encode_event_records(PRODUCT_ID, EPOCH, results, hash_before=GENESIS)
    assert plain([decode_events(record) for record in records]) == results
    assert max(map(len, records)) <= EVENT_RECORD_LENGTH_MAX
    assert min(map(len, records[:-1])) > EVENT_RECORD_LENGTH_MAX - 300


def test_no_results_make_no_records() -> None:
    assert encode_event_records(PRODUCT_ID, EPOCH, [], hash_before=GENESIS) == []


def test_every_truncation_is_refused() -> None:
    for length in range(len(RECORD)):
        with pytest.raises(MalformedRecordError):
            decode_events(RECORD[:length])


def test_an_unknown_version_is_never_guessed() -> None:
    with pytest.raises(UnknownVersionError):
        decode_events(RECORD[:4] + struct.pack("<H", 3) + RECORD[6:])


@given(st.binary(max_size=400))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    with pytest.raises(RecordError):
        decode_events(noise)


@given(st.integers(96, len(RECORD) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_breaks_the_chain(position: int, mask: int) -> None:
    damaged = bytearray(RECORD)
    damaged[position] ^= mask
    try:
        record = decode_events(bytes(damaged))
    except RecordError:
        return
    # Padding is all that neither the format nor the chain sees. A last result that now claims to go on can be checked
    # only by who reads the record that should continue it, and that one starts from another hash.
    seen = not verify_record(record) or record.hash_at_end != decode_events(RECORD).hash_at_end
    assert seen or record == decode_events(RECORD)


@pytest.mark.parametrize(
    "broken",
    [
        replace(RESULTS[0], events=()),
        replace(RESULTS[0], events=RESULTS[0].events[1:]),
        replace(RESULTS[0], events=(RESULTS[0].events[0], *RESULTS[0].events[2:]), total_events=10),
        CommandResult(bytes(16), Op.PLACE, 1, 1, 1, (Event(99, 1, 1),)),
        CommandResult(bytes(16), Op.PLACE, 1, 1, 1, (Event(EventType.OPEN, 1, 1, price=2**63),)),
        CommandResult(bytes(15), Op.PLACE, 2**64, 1, 1, (Event(EventType.OPEN, 1, 1),)),
    ],
)
def test_what_is_no_whole_result_is_not_packed(broken: CommandResult) -> None:
    with pytest.raises(MalformedRecordError):
        pack_result(broken)


def test_reasons_have_the_words_of_the_wire() -> None:
    words = [reason_name(event) for event in RESULTS[0].events]
    assert words == ["", "size_below_filled", "", "", "", "", "amend", "stp", "market", "", ""]


def test_every_public_name_exists() -> None:
    assert sorted(messages.__all__) == sorted(set(messages.__all__))
    assert all(hasattr(messages, name) for name in messages.__all__)
