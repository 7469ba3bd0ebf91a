"""LiveDay: the entries in force of one day, gathered from the ledger in short steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.restatement import Change, NewFactor, changes
from gateway.store.record import ENTRIES, HEADER, INTERVALS, RESTATEMENT, STREAM, decoded, readable
from gateway.store.row_class import RowKind
from gateway.store.site_day import end_ms
from sync.errors import Malformed
from sync.wire import Block


class Group(NamedTuple):
    """What the entries of one group have in common."""

    device: str
    register: str
    flow: str
    lens: str
    region: str
    account: str
    method: str
    factor: str
    row_class: int


Cells = tuple[int, int, int, int, int, int, int | None, int]
"""One entry of a group: t0_ms, t1_ms, epoch, energy_mWh, matched_mWh, emitted_ng, baseline_ng, flags.

A plain tuple: a day of a large site has a hundred thousand of them.
"""


class LiveDay:
    """All live entries with a factor whose interval begins on one day of a time zone.

    Call `read_on` until it returns False; what is written afterwards is taken in by calling it again.
    """

    def __init__(self, day: date, zone: str) -> None:
        self.day = day
        self.zone = zone
        self.t0_ms, self.t1_ms = (end_ms(each, ZoneInfo(zone)) for each in (day - timedelta(days=1), day))
        self.groups: dict[Group, list[Cells]] = {}
        """In no particular order, neither the groups nor the entries."""
        self.booked_ms = 0
        """When the newest of its records was booked."""
        self.is_pruned = False
        """True when rows of the day are gone: what is left does not tell what is in force."""
        self._next_seq = 1
        self._intervals: tuple[int, Block] | None = None

    def read_on(self, conn: sqlite3.Connection, index: DayIndex, records: int = 200) -> bool:
        """Takes in the next records; False when all that `index` knows are in. Raises StoreError for a bad one."""
        for first, last in index.ranges(self.t0_ms, self.t1_ms):
            if last < self._next_seq:
                continue
            found = conn.execute(
                "SELECT seq, kind, body FROM record WHERE stream = ? AND seq BETWEEN ? AND ?"
                " AND t0_ms < ? AND t1_ms >= ? ORDER BY seq LIMIT ?",
                (STREAM, max(first, self._next_seq), last, self.t1_ms, self.t0_ms, records),
            ).fetchall()
            for seq, kind, body in found:
                with readable(seq):
                    self._take(seq, kind, body)
            if len(found) == records:
                self._next_seq = found[-1][0] + 1
                return True
            self._next_seq = last + 1
        return False

    def _take(self, seq: int, kind: str, body: object) -> None:
        if kind == HEADER:
            self.is_pruned = True
        elif kind == INTERVALS:
            block = decoded(body)
            self._intervals = (seq, block)
            self._take_back(block)
        elif kind == ENTRIES:
            block = decoded(body)
            if self._intervals is not None and self._intervals[0] == block.meta["intervals_seq"]:
                self._book(self._intervals[1], block)
            elif not self.is_pruned:
                raise Malformed("the record before it is not the intervals that it was computed from")
        elif kind == RESTATEMENT:
            block = decoded(body)
            self.booked_ms = max(self.booked_ms, block.meta["booked_ms"])
            for change in changes(block):
                self._restate(change)

    def _book(self, intervals: Block, entries: Block) -> None:
        """Sorts the entries of normal and restated rows into their groups, column by column."""
        meta = entries.meta
        self.booked_ms = max(self.booked_ms, meta["booked_ms"])
        registers, epochs, t0s, t1s, kinds = (intervals.ints(name) for name in ("r", "epoch", "t0", "t1", "kind"))
        energies = intervals.optional_ints("energy_mWh")
        columns = (entries.ints(name) for name in ("i", "lens", "account", "method", "class", "emitted_ng", "flags"))
        optional = (entries.optional_ints(name) for name in ("factor", "baseline_ng"))
        matched = entries.ints("matched_mWh") if "matched_mWh" in entries.columns else [0] * entries.rows
        begin_ms, end_ms = self.t0_ms, self.t1_ms
        sorted_in: dict[tuple[int, int, int, int, int, int], list[Cells]] = {}
        for i, lens, account, method, row_class, emitted_ng, flags, factor, baseline_ng, matched_mWh in zip(
            *columns, *optional, matched, strict=True
        ):
            t0_ms = t0s[i]
            if factor is None or not begin_ms <= t0_ms < end_ms or kinds[i] == RowKind.REVERSAL:
                continue
            energy_mWh = energies[i]
            if energy_mWh is None:
                raise Malformed(f"an entry refers to row {i}, which has no amount")
            cells = (t0_ms, t1s[i], epochs[i], energy_mWh, matched_mWh, emitted_ng, baseline_ng, flags)
            sorted_in.setdefault((registers[i], lens, account, method, factor, row_class), []).append(cells)
        for numbers, found in sorted_in.items():
            self.groups.setdefault(_group(meta, *numbers), []).extend(found)

    def _take_back(self, intervals: Block) -> None:
        """Drops the entries of the rows that a correction takes back."""
        kinds = intervals.ints("kind")
        if RowKind.REVERSAL not in kinds:
            return
        names = intervals.meta["registers"]
        taken: dict[tuple[str, str], set[tuple[int, int, int]]] = {}
        columns = (intervals.ints(name) for name in ("r", "t0", "t1", "epoch"))
        for kind, r, t0_ms, t1_ms, epoch in zip(kinds, *columns, strict=True):
            if kind == RowKind.REVERSAL:
                taken.setdefault((names[r][0], names[r][1]), set()).add((t0_ms, t1_ms, epoch))
        for group, found in self.groups.items():
            if rows := taken.get((group.device, group.register)):
                found[:] = [cells for cells in found if cells[:3] not in rows]

    def _restate(self, change: Change) -> None:
        """Moves entries to the group of their new factor."""
        group = Group(
            device=change.device,
            register=change.register,
            flow=change.flow,
            lens=change.lens,
            region=change.region,
            account=change.account,
            method=change.method,
            factor=change.before,
            row_class=change.row_class,
        )
        found = self.groups.get(group, [])
        moved = [cells for cells in found if change.t0_ms <= cells[0] < change.t1_ms]
        found[:] = [cells for cells in found if not change.t0_ms <= cells[0] < change.t1_ms]
        self.groups.setdefault(group._replace(factor=change.after.ref), []).extend(revalued(moved, change.after))


def revalued(found: Iterable[Cells], after: NewFactor) -> list[Cells]:
    """The same entries under another factor."""
    amounts = after.amounts
    return [
        (t0_ms, t1_ms, epoch, energy_mWh, matched_mWh, *amounts(energy_mWh, matched_mWh, baseline_ng, flags))
        for t0_ms, t1_ms, epoch, energy_mWh, matched_mWh, _, baseline_ng, flags in found
    ]


def _group(meta: Mapping[str, Any], r: int, lens: int, account: int, method: int, factor: int, row_class: int) -> Group:
    device, register, flow, _ = meta["registers"][r]
    return Group(
        device=device,
        register=register,
        flow=flow,
        lens=meta["lenses"][lens],
        region=meta["regions"][lens],
        account=meta["accounts"][account],
        method=meta["methods"][method],
        factor=meta["factors"][factor],
        row_class=row_class,
    )
