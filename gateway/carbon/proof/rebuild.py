"""Rebuild: every block of entries and every restatement computed anew, from intervals and factors alone."""

import sqlite3
from datetime import date

from gateway.carbon.booking.restate import recomputed_restatement
from gateway.carbon.errors import CarbonError
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.proof.recheck import recomputed
from gateway.store.audit import correction_check
from gateway.store.errors import StoreError
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.live import in_records
from gateway.store.ledger.live_day import LiveDay
from gateway.store.record import ENTRIES, HEADER, STREAM, read
from sync.wire import Block


class Rebuilder:
    """Fulfils `gateway.store.ledger.pages.Rebuild`; the records must come in their order.

    What rests on pruned records is taken as it was written: their rows are at the receiver.
    """

    def __init__(self, factors: FactorSet) -> None:
        self._factors = factors
        self._index = DayIndex()
        self._indexed_seq = 0
        self._pruned_until_ms = 0

    def __call__(self, conn: sqlite3.Connection, seq: int, block: Block) -> Block:
        """What the record must be. Raises StoreError, naming it, when it does not follow from what is before it."""
        try:
            if block.kind == ENTRIES:
                return self._entries(conn, block)
            return self._restatement(conn, seq, block)
        except CarbonError as error:
            raise StoreError(f"record {seq} of the ledger cannot be rebuilt: {error}") from error

    def _entries(self, conn: sqlite3.Connection, block: Block) -> Block:
        seq = block.meta["intervals_seq"]
        intervals = read(conn, seq)
        if "reason" not in intervals.meta:
            return recomputed(intervals, block, factors=self._factors)
        index = self._index_before(conn, seq)
        device, register, _, _ = intervals.meta["registers"][0]
        t0_ms, t1_ms = min(intervals.ints("t0")), max(intervals.ints("t1"))
        if t0_ms < self._pruned_until_ms:
            return block
        before = in_records(conn, index.ranges(t0_ms, t1_ms), device, register, t0_ms)
        taken = correction_check.taken_back(intervals, before)
        taken_back = {row: found.entries for row, found in taken.items()}
        return recomputed(intervals, block, taken_back, factors=self._factors)

    def _restatement(self, conn: sqlite3.Connection, seq: int, block: Block) -> Block:
        live = LiveDay(date.fromisoformat(block.meta["day"]), block.meta["zone"])
        index = self._index_before(conn, seq)
        while live.read_on(conn, index):
            pass
        if live.is_pruned:
            return block
        return recomputed_restatement(live, block, self._factors)

    def _index_before(self, conn: sqlite3.Connection, seq: int) -> DayIndex:
        rows = conn.execute(
            "SELECT seq, kind, t0_ms, t1_ms FROM record WHERE stream = ? AND seq > ? AND seq < ? ORDER BY seq",
            (STREAM, self._indexed_seq, seq),
        )
        for number, kind, t0_ms, t1_ms in rows:
            self._index.note(number, t0_ms, t1_ms)
            self._indexed_seq = number
            if kind == HEADER:
                self._pruned_until_ms = max(self._pruned_until_ms, t1_ms)
        return self._index
