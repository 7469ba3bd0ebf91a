"""Verification: the whole store walked from first to last record, in steps that leave room for writers.

Checked are the chain of every stream, the entries (computed again from their intervals) and the day totals.
"""

import sqlite3
from collections.abc import Callable

from gateway.store import totals
from gateway.store.ledger import ENTRIES, INTERVALS, STREAM
from gateway.store.outbox import STREAMS, head
from gateway.store.row_class import RowKind
from sync.errors import Malformed
from sync.messages import GENESIS, chain
from sync.wire import Block, decode_block

Recheck = Callable[[Block, Block], str | None]
"""Says what is wrong with a block of entries, given its block of intervals first; None when nothing is."""


class Verification:
    """One walk. Call `advance` until it returns False, then read `problems`; all in order of the records."""

    def __init__(self, recheck: Recheck) -> None:
        self.records = 0
        """Records looked at so far."""
        self.problems: list[str] = []
        """What is wrong, one sentence each, naming record and row; empty for a sound store."""
        self._recheck = recheck
        self._streams = list(STREAMS)
        self._seq = 0
        self._hash = GENESIS
        self._intervals: tuple[int, Block] | None = None
        self._ends: dict[tuple[str, str], int] = {}
        self._totals: dict[totals.TotalKey, totals.DayTotal] = {}

    def advance(self, conn: sqlite3.Connection, records: int = 200) -> bool:
        """Looks at the next records; False when all was seen. What is appended in between is seen as well."""
        stream = self._streams[0]
        rows = conn.execute(
            "SELECT seq, kind, body, hash FROM record WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
            (stream, self._seq, records),
        ).fetchall()
        for seq, kind, body, stored_hash in rows:
            self._link(stream, seq, body, stored_hash)
            if stream == STREAM:
                self._book(seq, kind, body)
        if rows:
            return True
        self._finish(conn, stream)
        return bool(self._streams)

    def _link(self, stream: str, seq: int, body: object, stored_hash: bytes) -> None:
        self.records += 1
        if seq != self._seq + 1:
            self._missing(stream, self._seq + 1, seq - 1)
        elif not isinstance(body, bytes) or chain(self._hash, seq, body) != stored_hash:
            self._say(stream, seq, "its bytes do not match its hash")
        # Whatever was found, the walk goes on from here: one damage is one problem.
        self._seq, self._hash = seq, stored_hash

    def _book(self, seq: int, kind: str, body: bytes) -> None:
        if kind not in (INTERVALS, ENTRIES):
            return
        source = None
        if kind == ENTRIES:
            source, self._intervals = self._intervals, None
        self._expect_entries()
        try:
            block = decode_block(body)
            if kind == INTERVALS:
                self._intervals = (seq, block)
                self._follow(seq, block)
                return
            if source is None or block.meta["intervals_seq"] != source[0]:
                raise Malformed("the record before it is not the intervals that it was computed from")
            fault = self._recheck(source[1], block)
            if fault is not None:
                raise Malformed(fault)
            totals.merge(totals.from_blocks(source[1], block), self._totals)
        except (Malformed, LookupError, TypeError, ValueError) as error:
            self._say(STREAM, seq, str(error))

    def _follow(self, seq: int, block: Block) -> None:
        """Each interval of a register begins where the one before it ended, or later: none is booked twice."""
        registers = block.meta["registers"]
        columns = (block.ints(name) for name in ("r", "kind", "t0", "t1"))
        for row, (r, kind, t0_ms, t1_ms) in enumerate(zip(*columns, strict=True)):
            if kind != RowKind.NORMAL:
                continue
            register = (registers[r][0], registers[r][1])
            if t0_ms < self._ends.get(register, t0_ms):
                self._say(STREAM, seq, f"row {row}: an interval of {'/'.join(register)} overlaps the one before it")
            self._ends[register] = max(t1_ms, self._ends.get(register, t1_ms))

    def _expect_entries(self) -> None:
        if self._intervals is not None:
            self._say(STREAM, self._intervals[0], "no entries follow its intervals")
            self._intervals = None

    def _finish(self, conn: sqlite3.Connection, stream: str) -> None:
        at = head(conn, stream)
        if at.seq > self._seq:
            self._missing(stream, self._seq + 1, at.seq)
        elif at.hash != self._hash:
            self._say(stream, self._seq, "its hash is not the one at the head of the stream")
        if stream == STREAM:
            self._expect_entries()
            if not self.problems:  # sums over damaged records say nothing new
                self._compare_totals(conn)
        self._streams.pop(0)
        self._seq, self._hash = 0, GENESIS

    def _compare_totals(self, conn: sqlite3.Connection) -> None:
        stored = {total.key: total for total in totals.query(conn, "0000-00-00", "9999-99-99")}
        for key in sorted(stored.keys() | self._totals.keys()):
            kept, computed = stored.get(key), self._totals.get(key)
            if kept != computed:
                day, device, register, lens, account = key
                self.problems.append(
                    f"day total of {day}, {device}/{register}, {lens}, {account}: "
                    f"stored is {_amounts(kept)}, the entries add up to {_amounts(computed)}"
                )

    def _missing(self, stream: str, first: int, last: int) -> None:
        which = f"record {first} is" if first == last else f"records {first} to {last} are"
        self.problems.append(f"stream {stream}: {which} missing")

    def _say(self, stream: str, seq: int, what: str) -> None:
        self.problems.append(f"stream {stream}, record {seq}: {what}")


def verify(conn: sqlite3.Connection, recheck: Recheck) -> list[str]:
    """All problems of a store at once; empty for a sound one. For a stopped gateway: it reads all at once."""
    walk = Verification(recheck)
    while walk.advance(conn):
        pass
    return walk.problems


def _amounts(total: totals.DayTotal | None) -> str:
    if total is None:
        return "nothing"
    baseline = "" if total.baseline_ng is None else f", baseline {total.baseline_ng} ng"
    amounts = f"{total.energy_mWh} mWh, {total.emitted_ng} ng{baseline}"
    return f"{amounts}, {total.missing_ms} ms missing, {total.rows} rows"
