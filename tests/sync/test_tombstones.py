"""Tombstones on the wire: what stands for a run of records fits into the chain, or is refused."""

import pytest

from sync.admission import admit
from sync.errors import Malformed, Rejected
from sync.messages import GENESIS, TOMBSTONE, Batch, Record, Tombstone, chain
from sync.wire import decode_batch, encode_batch, encode_block

BEFORE, AFTER = b"\1" * 32, b"\2" * 32


def stone(first: int, last: int, before: bytes = BEFORE, after: bytes = AFTER, **meta: object) -> Record:
    numbers = {"first_seq": first, "last_seq": last, "hash_before": before.hex(), "hash_after": after.hex()}
    return Record(
        stream="ledger",
        seq=last,
        kind=TOMBSTONE,
        body=encode_block(TOMBSTONE, numbers | {"reason": "evicted", "sums": []} | meta, {}),
        tombstone=Tombstone(first_seq=first, hash_before=before, hash_after=after),
    )


def batch(*records: Record, before: bytes, after: bytes) -> Batch:
    return Batch(
        gateway="gw",
        epoch="0" * 16,
        stream="ledger",
        first_seq=records[0].first_seq,
        hash_before=before,
        hash_after=after,
        records=records,
    )


def plain(seq: int) -> Record:
    return Record(stream="ledger", seq=seq, kind="test", body=encode_block("test", {"n": seq}, {}))


def mixed() -> Batch:
    """Record 1, records 2 to 9 under a tombstone, record 10."""
    first, last = plain(1), plain(10)
    before = chain(GENESIS, 1, first.body)
    return batch(first, stone(2, 9, before), last, before=GENESIS, after=chain(AFTER, 10, last.body))


def test_a_batch_keeps_its_numbers_and_its_chain() -> None:
    sent = mixed()
    found = decode_batch(encode_batch(sent))
    assert found == sent
    assert [(record.first_seq, record.seq) for record in found.records] == [(1, 1), (2, 9), (10, 10)]
    assert found.last_seq == 10
    assert found.hashes()[-1] == found.hash_after
    assert [record.seq for record, _ in admit(found, acked_through=0, hash_at={0: GENESIS}.get)] == [1, 9, 10]


@pytest.mark.parametrize(
    ("mark", "new"),
    [(1, [9, 10]), (5, [9, 10]), (9, [10]), (10, [])],
    ids=["just before it", "inside of it", "at its end", "beyond it"],
)
def test_only_what_lies_above_the_mark_is_new(mark: int, new: list[int]) -> None:
    """Inside a tombstone of its own the receiver has no hash to compare."""
    sent = mixed()
    held = {0: GENESIS, 1: sent.hashes()[1], 10: sent.hashes()[3]}
    if mark < 10:
        held[9] = AFTER
    assert [record.seq for record, _ in admit(sent, acked_through=mark, hash_at=held.get)] == new


def test_a_tombstone_that_does_not_go_on_from_the_record_before_it() -> None:
    torn = batch(plain(1), stone(2, 9), before=GENESIS, after=AFTER)
    with pytest.raises(Rejected, match="hash_after"):
        admit(decode_batch(encode_batch(torn)), acked_through=0, hash_at={0: GENESIS}.get)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"first_seq": 4}, "a tombstone begins at 4 where record 3 is due"),
        ({"last_seq": 2}, "whole numbers from 1 on"),
        ({"first_seq": "3"}, "whole numbers from 1 on"),
        ({"hash_after": "00"}, "hash_before and meta.hash_after"),
        ({"hash_before": None}, "hash_before and meta.hash_after"),
    ],
)
def test_what_is_no_tombstone(wrong: dict[str, object], says: str) -> None:
    packed = encode_batch(batch(stone(3, 9, **wrong), before=BEFORE, after=AFTER))
    with pytest.raises(Malformed, match=says):
        decode_batch(packed)
