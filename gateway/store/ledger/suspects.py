"""Suspect rows: energy that a counter claims and nothing proves, waiting for a person's decision."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.store.flag import flag_names
from gateway.store.ledger import live
from gateway.store.record import ENTRIES, INTERVALS, STREAM, decoded, readable
from gateway.store.row_class import RowClass
from sync.wire import Block

# Canonical JSON: exactly the blocks with bounds hold these bytes.
_NEEDLE: Final = b'"bounds":[['
STEP: Final = 500


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


def step(conn: sqlite3.Connection, after_seq: int) -> tuple[list[Suspect], int | None]:
    """The undecided ones of the next records beyond `after_seq`, and where to go on; None at the end.

    Raises StoreError for a record that cannot be read.
    """
    rows = conn.execute(
        "SELECT seq, kind, CASE WHEN instr(body, ?) THEN body END FROM record"
        " WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
        (_NEEDLE, STREAM, after_seq, STEP),
    ).fetchall()
    found: list[Suspect] = []
    for seq, kind, body in rows:
        if kind == INTERVALS and body is not None:
            with readable(seq):
                found += _in_block(seq, decoded(body))
    return [suspect for suspect in found if _is_live(conn, suspect)], rows[-1][0] if rows else None


class Undecided:
    """All that nobody has decided about, as far as the ledger was looked through; it catches up in steps."""

    def __init__(self) -> None:
        self.found: list[Suspect] = []
        self._after_seq = 0

    def advance(self, conn: sqlite3.Connection) -> None:
        """Looks through the next records, and drops what was decided meanwhile."""
        self.found = [suspect for suspect in self.found if _is_live(conn, suspect)]
        more, after_seq = step(conn, self._after_seq)
        self.found += more
        self._after_seq = self._after_seq if after_seq is None else after_seq


def find(conn: sqlite3.Connection, seq: int, row: int) -> Suspect | None:
    """The undecided one that this row of intervals, or this entry, belongs to; None when there is none."""
    record = conn.execute("SELECT kind, body FROM record WHERE stream = ? AND seq = ?", (STREAM, seq)).fetchone()
    if record is None or record[0] not in (INTERVALS, ENTRIES):
        return None
    with readable(seq):
        block = decoded(record[1])
        if block.kind == ENTRIES:
            rows = block.ints("i")
            return find(conn, block.meta["intervals_seq"], rows[row]) if row < len(rows) else None
        named = [suspect for suspect in _in_block(seq, block) if _holds(block, suspect, row)]
    return next((suspect for suspect in named if _is_live(conn, suspect)), None)


def _holds(block: Block, suspect: Suspect, row: int) -> bool:
    """The row lies in the span of the suspect, in the same register."""
    registers, t0s, t1s = block.ints("r"), block.ints("t0"), block.ints("t1")
    if row >= len(registers) or registers[row] != registers[suspect.row]:
        return False
    return suspect.t0_ms <= t0s[row] and t1s[row] <= suspect.t1_ms


def _in_block(seq: int, block: Block) -> Iterator[Suspect]:
    registers, classes, flags = block.ints("r"), block.ints("class"), block.ints("flags")
    begins, ends = block.optional_ints("raw_begin"), block.optional_ints("raw_end")
    for row, t0_ms, t1_ms, lo, hi in block.meta["bounds"]:
        if classes[row] == RowClass.SUSPECT:
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


def _is_live(conn: sqlite3.Connection, suspect: Suspect) -> bool:
    rows = live.of_register(conn, suspect.device, suspect.register, suspect.t1_ms - 1)
    return any((row.seq, row.row) == (suspect.seq, suspect.row) for row in rows)
