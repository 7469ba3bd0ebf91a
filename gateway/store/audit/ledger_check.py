"""LedgerCheck: whether each record of the ledger follows from the records before it, one after the other."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, Protocol

from gateway.store import totals
from gateway.store.audit import correction_check
from gateway.store.audit.difference import interval_place, utc
from gateway.store.audit.sums_check import SumsCheck
from gateway.store.contract_use import ContractWalk
from gateway.store.errors import StoreError
from gateway.store.flag import Flag
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.live import LiveEntry, in_records
from gateway.store.ledger.live_day import LiveDay
from gateway.store.record import ENTRIES, HEADER, INTERVALS, RESTATEMENT, UNDELIVERED, decoded
from gateway.store.row_class import RowKind
from sync.errors import Malformed
from sync.wire import Block

_UNREADABLE = (Malformed, StoreError, LookupError, TypeError, ValueError)


class Auditor(Protocol):
    """Computes stored blocks again and says what is wrong with them; None when nothing is.

    Raises Malformed, LookupError, TypeError or ValueError for blocks that nobody can have written.
    """

    def entries(self, intervals: Block, entries: Block, taken_back: Mapping[int, Sequence[LiveEntry]]) -> str | None:
        """A block of entries; `taken_back` are the entries in force that each reversal row negates."""
        ...

    def restatement(self, live: LiveDay, stored: Block) -> str | None:
        """A restatement; `live` is its day as it was before."""
        ...


class StoredRecord(NamedTuple):
    """A record of the ledger as it lies in the store."""

    seq: int
    kind: str
    t0_ms: int
    t1_ms: int
    body: bytes


class LedgerCheck:
    """Give it the records in their order; it tells what is wrong by `say`, with the record's number."""

    def __init__(self, auditor: Auditor, say: Callable[[int, str], None]) -> None:
        self.sums = SumsCheck()
        """What the records add up to."""
        self._auditor = auditor
        self._say = say
        self._contracts = ContractWalk()
        self._index = DayIndex()
        self._ends: dict[tuple[str, str], _End] = {}
        self._returns: dict[tuple[str, str], list[int]] = {}
        """Of each register the epochs in which dates went back, ascending."""
        self._intervals: _Intervals | None = None
        self._corrected: _Corrected | None = None
        self._restated: _Restated | None = None
        self._is_past_pruned = False
        self._pruned_until_ms = 0

    def take(self, conn: sqlite3.Connection, record: StoredRecord) -> bool:
        """Judges the next record; True when that was enough for one step, and then `go_on` comes first."""
        try:
            return self._judge(conn, record)
        except _UNREADABLE as error:
            self._say(record.seq, str(error))
            return False
        finally:
            if self._restated is None:
                self._index.note(record.seq, record.t0_ms, record.t1_ms)

    def go_on(self, conn: sqlite3.Connection) -> bool:
        """Reads more of the day of a restatement, or judges it; False when there is none to be judged."""
        if self._restated is None:
            return False
        record, block, live = self._restated
        try:
            if live.read_on(conn, self._index):
                return True
            fault = None if live.is_pruned else self._auditor.restatement(live, block)
            if fault is not None:
                raise Malformed(fault)
            self.sums.take(conn, totals.from_restatement(block))
        except _UNREADABLE as error:
            self._say(record.seq, str(error))
        self._restated = None
        self._index.note(record.seq, record.t0_ms, record.t1_ms)
        return True

    def finish(self, conn: sqlite3.Connection) -> None:
        """After the last record: what it should have been followed by."""
        self._expect_entries()
        self._settle(conn)

    def kept_problems(self, conn: sqlite3.Connection) -> list[str]:
        """What is wrong with the sums that are kept beside a ledger without a fault."""
        return [*self.sums.problems, *self._contracts.finish(conn)]

    def _judge(self, conn: sqlite3.Connection, record: StoredRecord) -> bool:
        source, self._intervals = self._intervals, None
        if source is not None and record.kind != ENTRIES:
            self._say(source.record.seq, _NO_ENTRIES)
        block = decoded(record.body)
        if block.kind != record.kind:
            raise Malformed(f"it is kept as {record.kind} and says that it is {block.kind}")
        _require_times(record, block)
        if record.kind == HEADER:
            self._take_header(conn, record, block)
            return False
        self._is_past_pruned = True
        if record.kind != ENTRIES and not self._goes_on(block):
            self._settle(conn)
        if record.kind == INTERVALS:
            return self._take_intervals(conn, record, block)
        if record.kind == ENTRIES:
            self._take_entries(conn, record, block, source)
        elif record.kind == RESTATEMENT:
            live = LiveDay(date.fromisoformat(block.meta["day"]), block.meta["zone"])
            self._restated = _Restated(record, block, live)
        return self._restated is not None

    def _take_header(self, conn: sqlite3.Connection, record: StoredRecord, header: Block) -> None:
        if self._is_past_pruned and UNDELIVERED not in header.meta:
            raise Malformed("it is pruned, and records before it are not")
        self._pruned_until_ms = max(self._pruned_until_ms, record.t1_ms)
        self._contracts.skip()
        self.sums.take(conn, [totals.from_meta(kept) for kept in header.meta["totals"]])

    def _take_intervals(self, conn: sqlite3.Connection, record: StoredRecord, block: Block) -> bool:
        self._intervals = _Intervals(record, block, {})
        if "reason" not in block.meta:
            self._follow(record.seq, block)
            return False
        device, register, _, _ = block.meta["registers"][0]
        if record.t0_ms < self._pruned_until_ms:  # what it takes back may be gone
            self._intervals = _Intervals(record, block, None)
            return False
        before = in_records(conn, self._index.ranges(record.t0_ms, record.t1_ms), device, register, record.t0_ms)
        taken = correction_check.taken_back(block, before)
        self._intervals = _Intervals(record, block, {row: found.entries for row, found in taken.items()})
        self._corrected = _Corrected(record, block.meta["run"], device, register)
        return True

    def _follow(self, seq: int, block: Block) -> None:
        """Each interval of a register begins where the one before it ended, or later: none is booked twice.

        Only a new epoch whose first interval says that the clock was set may begin earlier.
        """
        registers = block.meta["registers"]
        columns = (block.ints(name) for name in ("r", "kind", "t0", "t1", "epoch", "flags"))
        for row, (r, kind, t0_ms, t1_ms, epoch, flags) in enumerate(zip(*columns, strict=True)):
            if kind != RowKind.NORMAL:
                raise Malformed(
                    f"row {row} ({interval_place(block, row)}) stands in no correction and is no normal row"
                )
            register = (registers[r][0], registers[r][1])
            before = self._ends.get(register, _End(t0_ms, epoch))
            if t0_ms >= before.t1_ms:
                self._ends[register] = _End(t1_ms, epoch)
            elif epoch > before.epoch and flags & Flag.CLOCK_STEP:
                self._returns.setdefault(register, []).append(epoch)
                self._ends[register] = _End(t1_ms, epoch)
            else:
                place = interval_place(block, row)
                self._say(seq, f"row {row} ({place}): an interval of {'/'.join(register)} overlaps the one before it")
                self._ends[register] = _End(max(t1_ms, before.t1_ms), epoch)

    def _take_entries(
        self, conn: sqlite3.Connection, record: StoredRecord, block: Block, source: "_Intervals | None"
    ) -> None:
        if source is None or block.meta["intervals_seq"] != source.record.seq:
            raise Malformed("the record before it is not the intervals that it was computed from")
        fault = None
        if source.taken_back is not None:
            fault = self._auditor.entries(source.block, block, source.taken_back)
        if fault is None and (record.t0_ms, record.t1_ms) != (source.record.t0_ms, source.record.t1_ms):
            fault = _WRONG_TIMES
        fault = fault or self._contracts.take(block)
        if fault is not None:
            raise Malformed(fault)
        self.sums.take(conn, totals.from_blocks(source.block, block))

    def _goes_on(self, block: Block) -> bool:
        """Whether a block is the next part of the correction before it."""
        return self._corrected is not None and self._corrected.run == block.meta.get("run")

    def _settle(self, conn: sqlite3.Connection) -> None:
        """After a whole correction no two rows in force hold the same time."""
        if self._corrected is None:
            return
        corrected, self._corrected = self._corrected, None
        record = corrected.record
        ranges = self._index.ranges(record.t0_ms, record.t1_ms)
        rows = in_records(conn, ranges, corrected.device, corrected.register, record.t0_ms)
        returns = self._returns.get((corrected.device, corrected.register), [])
        found = correction_check.overlap(rows, returns)
        if found is not None:
            one, other = found
            self._say(
                record.seq,
                f"after it, row {other.row} of record {other.seq} ({corrected.device}/{corrected.register}, "
                f"{utc(other.t0_ms)}) overlaps row {one.row} of record {one.seq}",
            )

    def _expect_entries(self) -> None:
        if self._intervals is not None:
            self._say(self._intervals.record.seq, _NO_ENTRIES)


class _End(NamedTuple):
    """The end of a register's last interval, and its epoch."""

    t1_ms: int
    epoch: int


class _Intervals(NamedTuple):
    """Intervals whose entries come next."""

    record: StoredRecord
    block: Block
    taken_back: Mapping[int, Sequence[LiveEntry]] | None
    """None when that cannot be told any more."""


class _Corrected(NamedTuple):
    """The last part so far of a correction."""

    record: StoredRecord
    run: str
    device: str
    register: str


class _Restated(NamedTuple):
    """A restatement whose day is being read."""

    record: StoredRecord
    block: Block
    live: LiveDay


_NO_ENTRIES = "no entries follow its intervals"
_WRONG_TIMES = "its times are not those of its rows"


def _require_times(record: StoredRecord, block: Block) -> None:
    if record.kind not in (INTERVALS, RESTATEMENT):
        return
    if (record.t0_ms, record.t1_ms) != (min(block.ints("t0")), max(block.ints("t1"))):
        raise Malformed(_WRONG_TIMES)
