"""What never travels as it is: a tombstone stands for it in the chain, remainders carry the rows that may go.

A receiver that rejects a record gets a tombstone in its place. Its two halves, as remainders, go to the end of the
stream; of these the one with the bad row is rejected in turn, until one row is left.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sync.errors import Malformed
from sync.messages import TOMBSTONE, Record, Tombstone
from sync.wire import Block, decode_block, encode_block

REMAINDER: Final = "remainder"

QUARANTINED: Final = "quarantined"
"""The receiver rejects it, and it is one row or cannot be divided."""
SPLIT: Final = "split"
"""The receiver rejects it; its rows follow in two remainders."""

_MOST_ROWS: Final = 1 << 31

Sum = Mapping[str, str | int | None]
"""What is missing: device, register, flow, lens, account, rows, energy_mWh, emitted_ng, baseline_ng (ng as strings)."""


def stone(stream: str, seq: int, span: Tombstone, *, reason: str, detail: str, sums: Sequence[Sum]) -> Record:
    """The record that stands for `span`, which ends at `seq`.

    `reason` is QUARANTINED or SPLIT, `detail` a sentence for people. `sums` say what is missing, of each register over
    intervals (lens and account empty) and over entries; of SPLIT there are none.
    """
    meta = {
        "first_seq": span.first_seq,
        "last_seq": seq,
        "hash_before": span.hash_before.hex(),
        "hash_after": span.hash_after.hex(),
        "reason": reason,
        "detail": detail,
        "sums": [dict(found) for found in sums],
    }
    return Record(stream=stream, seq=seq, kind=TOMBSTONE, body=encode_block(TOMBSTONE, meta, {}), tombstone=span)


def halves(seq: int, body: bytes) -> tuple[bytes, bytes] | None:
    """The rows of record `seq` in two remainders; None when it has one row or none, or is no block."""
    try:
        block = decode_block(body)
    except Malformed:
        return None
    if block.kind == TOMBSTONE or block.rows < 2:
        return None
    origin, first_row = (seq, 0) if block.kind != REMAINDER else (block.meta["of_seq"], block.meta["first_row"])
    kind, meta = (block.kind, block.meta) if block.kind != REMAINDER else (block.meta["kind"], block.meta["meta"])
    middle = block.rows // 2
    return (
        _remainder(kind, meta, block, origin, first_row, slice(0, middle)),
        _remainder(kind, meta, block, origin, first_row + middle, slice(middle, None)),
    )


def _remainder(kind: str, meta: dict[str, Any], block: Block, of_seq: int, first_row: int, rows: slice) -> bytes:
    columns = {name: cells[rows] for name, cells in block.columns.items()}
    return encode_block(REMAINDER, {"of_seq": of_seq, "first_row": first_row, "kind": kind, "meta": meta}, columns)


def whole(block: Block) -> tuple[Block, int | None, int]:
    """A remainder as a block of its first kind, with the record and row in which it began; any other as it is, None, 0.

    Raises Malformed for a remainder that `halves` cannot have made.
    """
    if block.kind != REMAINDER:
        return block, None, 0
    origin = origin_of(block.meta, block.rows)
    return Block(kind=origin.kind, meta=origin.meta, columns=block.columns), origin.seq, origin.first_row


class Origin(NamedTuple):
    """Where the rows of a remainder were at first."""

    seq: int
    first_row: int
    kind: str
    meta: dict[str, Any]


def origin_of(meta: Mapping[str, Any], rows: int) -> Origin:
    """What the meta of a remainder with so many rows says. Raises Malformed when `halves` cannot have made it."""
    match meta:
        case {"of_seq": int(seq), "first_row": int(first_row), "kind": str(kind), "meta": dict(inner)}:
            is_place = seq >= 1 and 0 <= first_row <= _MOST_ROWS - rows and bool not in (type(seq), type(first_row))
            if is_place and kind not in (REMAINDER, TOMBSTONE):
                return Origin(seq, first_row, kind, inner)
    raise Malformed('a remainder needs "of_seq", "first_row", "kind" and "meta" in its meta')
