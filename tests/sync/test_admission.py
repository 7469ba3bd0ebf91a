import pytest

from sync.admission import admit
from sync.errors import Forked, Gap, Rejected

BODIES = [b"one", b"two", b"three", b"four"]


def seqs(admitted):
    return [record.seq for record, _ in admitted]


def test_everything_is_new_to_an_empty_receiver(make_batch):
    batch = make_batch(BODIES)
    admitted = admit(batch, acked_through=0, hash_at=lambda seq: batch.hashes()[seq])
    assert seqs(admitted) == [1, 2, 3, 4]
    assert [h for _, h in admitted] == list(batch.hashes()[1:])


@pytest.mark.parametrize(("mark", "new"), [(1, [2, 3, 4]), (3, [4]), (4, [])])
def test_what_is_held_is_skipped(make_batch, mark, new):
    batch = make_batch(BODIES)
    assert seqs(admit(batch, acked_through=mark, hash_at=lambda seq: batch.hashes()[seq])) == new


def test_a_batch_far_below_the_mark_is_compared_too(make_batch):
    held = make_batch([*BODIES, b"five", b"six"])
    assert admit(held.head(2), acked_through=6, hash_at=lambda seq: held.hashes()[seq]) == ()
    with pytest.raises(Forked):
        admit(make_batch([b"one", b"TWO"]), acked_through=6, hash_at=lambda seq: held.hashes()[seq])


@pytest.mark.parametrize("first_seq", [2, 3, 100])
def test_a_gap_names_the_record_that_is_wanted(make_batch, first_seq):
    with pytest.raises(Gap) as gap:
        admit(make_batch(BODIES, first_seq=first_seq), acked_through=0, hash_at=lambda _: bytes(32))
    assert gap.value.expected == 1


@pytest.mark.parametrize("position", range(4))
def test_other_content_under_a_held_number_is_a_fork(make_batch, position):
    held = make_batch(BODIES)
    other = make_batch([*BODIES[:position], b"other", *BODIES[position + 1 :], b"five"])
    with pytest.raises(Forked, match="qiyang-01"):
        admit(other, acked_through=4, hash_at=lambda seq: held.hashes()[seq])


def test_a_batch_that_continues_another_history_is_a_fork(make_batch):
    held = make_batch(BODIES)
    with pytest.raises(Forked):
        admit(
            make_batch([b"five"], first_seq=5, hash_before=b"\x01" * 32),
            acked_through=4,
            hash_at=lambda seq: held.hashes()[seq],
        )


def test_the_first_record_must_build_on_the_genesis(make_batch):
    with pytest.raises(Forked):
        admit(make_batch(BODIES, hash_before=b"\x01" * 32), acked_through=0, hash_at=lambda _: bytes(32))


def test_a_batch_that_contradicts_itself_is_rejected(make_batch):
    with pytest.raises(Rejected, match="hash_after"):
        admit(make_batch(BODIES, hash_after=b"\x01" * 32), acked_through=0, hash_at=lambda _: bytes(32))
