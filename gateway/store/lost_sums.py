"""Lost sums: what records that cannot be read any more had added to the day totals, found as what is left over."""

import sqlite3
import time
from dataclasses import replace
from typing import Final

from gateway.store import totals
from gateway.store.errors import StoreError
from gateway.store.record import ENTRIES, HEADER, INTERVALS, RESTATEMENT, STREAM, decoded, readable
from gateway.store.totals import DayTotal, TotalKey
from sync.wire import Block

BUDGET_S: Final = 10.0
"""Longest time to add a ledger up; a greater one keeps its day totals, and the lost sums stay unknown."""


def take_out(conn: sqlite3.Connection, *, is_whole: bool) -> list[DayTotal] | None:
    """What the day totals hold beyond the records, in the caller's transaction; None when that took too long.

    Where they hold less than the records, or differ from those of a ledger that is whole, they are damaged themselves
    and are set to what the records add up to.
    """
    there = _of_records(conn)
    if there is None:
        return None
    stored = {total.key: total for total in totals.query(conn, "", "\U0010ffff")}
    lost: list[DayTotal] = []
    right = there if is_whole else stored | there
    for key, kept in stored.items():
        found = there.get(key)
        if not is_whole and (found is None or kept.rows > found.rows):
            lost.append(kept if found is None else _minus(kept, found))
            right[key] = kept
    for day in {key[0] for key in stored.keys() | there.keys() if stored.get(key) != right.get(key)}:
        totals.save(conn, day, [total for total in right.values() if total.day == day])
    return sorted(lost, key=lambda total: total.key)


def _of_records(conn: sqlite3.Connection) -> dict[TotalKey, DayTotal] | None:
    deadline = time.monotonic() + BUDGET_S
    sums: dict[TotalKey, DayTotal] = {}
    intervals: Block | None = None
    for seq, kind, body in conn.execute("SELECT seq, kind, body FROM record WHERE stream = ? ORDER BY seq", (STREAM,)):
        if time.monotonic() > deadline:
            return None
        if kind not in (INTERVALS, ENTRIES, RESTATEMENT, HEADER):
            continue
        try:
            with readable(seq):
                block = decoded(body)
                if kind == ENTRIES and intervals is not None:
                    totals.merge(totals.from_blocks(intervals, block), sums)
                elif kind == RESTATEMENT:
                    totals.merge(totals.from_restatement(block), sums)
                elif kind == HEADER:
                    totals.merge((totals.from_meta(kept) for kept in block.meta["totals"]), sums)
                intervals = block if kind == INTERVALS else None
        except StoreError:  # its hash is right, so it was written like this: `huxi ledger verify` names it
            intervals = None
    return sums


def _minus(total: DayTotal, part: DayTotal) -> DayTotal:
    baseline_ng = None
    if total.baseline_ng is not None and part.baseline_ng is not None:
        baseline_ng = total.baseline_ng - part.baseline_ng
    return replace(
        total,
        energy_mWh=total.energy_mWh - part.energy_mWh,
        emitted_ng=total.emitted_ng - part.emitted_ng,
        baseline_ng=baseline_ng,
        missing_ms=total.missing_ms - part.missing_ms,
        rows=total.rows - part.rows,
    )
