"""The receiver's judgement of one batch, pure: what is new in it, or why it is not taken."""

from collections.abc import Callable

from sync.errors import Forked, Gap, Rejected
from sync.messages import Batch, Record


def admit(
    batch: Batch, *, acked_through: int, hash_at: Callable[[int], bytes | None]
) -> tuple[tuple[Record, bytes], ...]:
    """What is new in `batch`: the records that end above the receiver's mark, each with the chain hash after it.

    `acked_through` is the mark; `hash_at(seq)` gives the hash held after record `seq`, for 0 (GENESIS) up to
    the mark, and None inside the range of a tombstone. Raises Rejected when the batch contradicts itself, Gap when
    it starts after the mark + 1, Forked when it contradicts what is held.
    """
    hashes = batch.hashes()
    if hashes[-1] != batch.hash_after:
        raise Rejected("hash_after is not the chain hash of hash_before and the records")
    if batch.first_seq > acked_through + 1:
        raise Gap(acked_through + 1)
    new = tuple((record, h) for record, h in zip(batch.records, hashes[1:], strict=True) if record.seq > acked_through)
    known = [(batch.first_seq - 1, batch.hash_before)]
    known += [(record.seq, h) for record, h in zip(batch.records, hashes[1:], strict=True)]
    for seq, h in reversed(known[: len(known) - len(new)]):
        held = hash_at(seq)
        if held == h:
            return new
        if held is not None or seq == batch.first_seq - 1:
            raise Forked(
                f"stream {batch.stream} of gateway {batch.gateway}, epoch {batch.epoch}, differs from what is "
                f"held at or before record {seq}"
            )
    raise AssertionError("the number before the batch is never above the mark + 1")
