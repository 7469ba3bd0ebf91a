"""The receiver's judgement of one batch, pure: what is new in it, or why it is not taken."""

from collections.abc import Callable

from sync.errors import Forked, Gap, Rejected
from sync.messages import Batch, Record


def admit(
    batch: Batch, *, acked_through: int, hash_at: Callable[[int], bytes | None]
) -> tuple[tuple[Record, bytes], ...]:
    """What is new in `batch`: the records above the receiver's mark, each with the chain hash after it.

    `acked_through` is the mark; `hash_at(seq)` gives the hash held after record `seq`, for 0 (GENESIS) up to
    the mark, and None where a tombstone that is held stands for that record and others. A tombstone that reaches beyond
    the mark is new; what it says of records up to the mark is the caller's to take off. Raises Rejected when the batch
    contradicts itself, Gap when it starts after the mark + 1, Forked when it contradicts what is held.
    """
    hashes = batch.hashes()
    if hashes[-1] != batch.hash_after:
        raise Rejected("hash_after is not the chain hash of hash_before and the records")
    if batch.first_seq > acked_through + 1:
        raise Gap(acked_through + 1)
    known = sum(record.seq <= acked_through for record in batch.records)
    last_known = batch.records[known - 1].seq if known else batch.first_seq - 1
    held = hash_at(last_known)
    if held is not None and hashes[known] != held:
        raise Forked(
            f"stream {batch.stream} of gateway {batch.gateway}, epoch {batch.epoch}, differs from what is "
            f"held at or before record {last_known}"
        )
    return tuple(zip(batch.records[known:], hashes[known + 1 :], strict=True))
