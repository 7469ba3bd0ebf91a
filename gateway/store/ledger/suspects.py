"""Suspect rows: energy that a counter claims and nothing proves, waiting for a person's decision."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.store.body import unpack
from gateway.store.flag import Flag, flag_names
from gateway.store.record import ENTRIES, INTERVALS, STREAM, decoded, readable
from gateway.store.row_class import RowClass, RowKind
from sync.wire import Block, decode_block

# Canonical JSON: exactly the blocks with bounds, or with reversals, hold these bytes.
_BOUNDS: Final = b'"bounds":[['
_REVERSED: Final = b'"reversed":[['
STEP: Final = 500
_Row = tuple[object, ...]  # device, register, epoch, t0_ms, t1_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One span between two readings, with what its energy can have been."""

    seq: int
    row: int
    """Record and row that hold the bounds: the last row of the span."""
    device: str
    register: str
    flow: str
    t0_ms: int
    t1_ms: int
    lo_mWh: int
    hi_mWh: int
    raw_begin: int | None
    raw_end: int | None
    flags: int

    @property
    def is_claimed(self) -> bool:
        """True when the counter itself says how much it was: it rose by all of it. A turn unseen claims nothing."""
        return bool(Flag.JUMP & self.flags)

    def as_json(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "id": f"{self.seq}:{self.row}",
            "device": self.device,
            "register": self.register,
            "flow": self.flow,
            "t0_ms": self.t0_ms,
            "t1_ms": self.t1_ms,
            "lo_mWh": str(self.lo_mWh),  # a wild counter's may pass 2^53
            "hi_mWh": str(self.hi_mWh),
            "raw_begin": None if self.raw_begin is None else str(self.raw_begin),
            "raw_end": None if self.raw_end is None else str(self.raw_end),
            "flags": flag_names(self.flags),
        }


class Undecided:
    """All that nobody has decided about, as far as the ledger was looked through: one walk forward, in steps."""

    def __init__(self) -> None:
        self.found: tuple[Suspect, ...] = ()
        """In the order of the ledger."""
        self._rows: dict[_Row, Suspect] = {}
        self._seq = 0

    def advance(self, conn: sqlite3.Connection) -> bool:
        """Looks through the next records; False when all was seen. Raises StoreError for one that cannot be read."""
        rows = conn.execute(
            "SELECT seq, CASE WHEN kind = ? THEN body END FROM record WHERE stream = ? AND seq > ?"
            " ORDER BY seq LIMIT ?",
            (INTERVALS, STREAM, self._seq, STEP),
        ).fetchall()
        for seq, stored in rows:
            if stored is not None:
                with readable(seq):
                    body = unpack(stored)
                    if _BOUNDS in body or _REVERSED in body:
                        self._take(seq, decode_block(body))
            self._seq = seq
        self.found = tuple(self._rows.values())
        return len(rows) == STEP

    def of_row(self, conn: sqlite3.Connection, seq: int, row: int) -> Suspect | None:
        """The one that this row of intervals, or this entry, belongs to; None when it is of none."""
        record = conn.execute("SELECT kind, body FROM record WHERE stream = ? AND seq = ?", (STREAM, seq)).fetchone()
        if record is None or record[0] not in (INTERVALS, ENTRIES):
            return None
        with readable(seq):
            block = decoded(record[1])
            if block.kind == ENTRIES:
                rows = block.ints("i")
                return self.of_row(conn, block.meta["intervals_seq"], rows[row]) if row < len(rows) else None
        return next((each for each in self.found if each.seq == seq and _holds(block, each, row)), None)

    def _take(self, seq: int, block: Block) -> None:
        columns = (block.ints(name) for name in ("kind", "r", "epoch", "t0", "t1"))
        names = [tuple(name[:2]) for name in block.meta["registers"]]
        rows = [(kind, (*names[r], epoch, t0_ms, t1_ms)) for kind, r, epoch, t0_ms, t1_ms in zip(*columns, strict=True)]
        for kind, place in rows:
            if kind == RowKind.REVERSAL:
                self._rows.pop(place, None)
        for suspect in _in_block(seq, block):
            self._rows[rows[suspect.row][1]] = suspect


def _holds(block: Block, suspect: Suspect, row: int) -> bool:
    """The row lies in the span of the suspect, in the same register."""
    registers, t0s, t1s = block.ints("r"), block.ints("t0"), block.ints("t1")
    if row >= len(registers) or registers[row] != registers[suspect.row]:
        return False
    return suspect.t0_ms <= t0s[row] and t1s[row] <= suspect.t1_ms


def _in_block(seq: int, block: Block) -> Iterator[Suspect]:
    registers, classes, flags, kinds = (block.ints(name) for name in ("r", "class", "flags", "kind"))
    begins, ends = block.optional_ints("raw_begin"), block.optional_ints("raw_end")
    for row, t0_ms, t1_ms, lo, hi in block.meta["bounds"]:
        if classes[row] == RowClass.SUSPECT and kinds[row] != RowKind.REVERSAL:
            device, register, flow, _ = block.meta["registers"][registers[row]]
            yield Suspect(
                seq=seq,
                row=row,
                device=device,
                register=register,
                flow=flow,
                t0_ms=t0_ms,
                t1_ms=t1_ms,
                lo_mWh=int(lo),
                hi_mWh=int(hi),
                raw_begin=begins[row],
                raw_end=ends[row],
                flags=flags[row],
            )
