"""Found rows: what the pages of a damaged database still hold, put where it belongs in a new one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from gateway.store import contract_use, totals
from gateway.store.contract_use import ContractYear
from gateway.store.errors import Damaged
from gateway.store.outbox import STREAMS
from gateway.store.pages import Pages
from sync.messages import GENESIS


class FoundRecord(NamedTuple):
    """A record as it was found on a page."""

    seq: int
    kind: str
    t0_ms: int
    t1_ms: int
    body: bytes
    hash: bytes


class Found(NamedTuple):
    """What is known of the records that were found, beside themselves."""

    spare: dict[tuple[str, int], list[FoundRecord]]
    """Further versions of a record."""
    on_whole_pages: set[tuple[str, int]]
    """Those with a neighbourhood that shows no damage."""


def take(damaged: Path, new: sqlite3.Connection) -> Found:
    """Puts every row that was found on any page where it belongs."""
    found = Found({}, set())
    with closing(Pages(damaged)) as pages:
        for rows, is_whole in pages.rows():
            keys: list[tuple[str, int]] = []
            for row in rows:
                match row:
                    case (str(stream), int(seq), str(kind), int(t0_ms), int(t1_ms), bytes(body), bytes(after)):
                        if stream in STREAMS and len(after) == len(GENESIS) and 0 < seq < 1 << 53:
                            keys.append((stream, seq))
                            _take_record(new, stream, FoundRecord(seq, kind, t0_ms, t1_ms, body, after), found.spare)
                    case (None, str(day), bytes(body)):
                        _take_sums(new, day, body)
                    case (str(device), str(register), int(year), int(used_mWh)):
                        _take_use(new, ContractYear(device, register, year), used_mWh)
                    case _:
                        pass
            if is_whole and len(keys) == len(rows) and all(_is_next(one, other) for one, other in pairwise(keys)):
                found.on_whole_pages.update(keys)
    return found


def _is_next(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two records may lie side by side on a page."""
    return one[0] != other[0] or one[1] + 1 == other[1]


def _take_record(
    new: sqlite3.Connection, stream: str, record: FoundRecord, spare: dict[tuple[str, int], list[FoundRecord]]
) -> None:
    there = new.execute(
        "SELECT seq, kind, t0_ms, t1_ms, body, hash FROM record WHERE stream = ? AND seq = ?", (stream, record.seq)
    ).fetchone()
    if there is None:
        put(new, stream, record)
    elif record != there:
        spare.setdefault((stream, record.seq), []).append(record)


def put(new: sqlite3.Connection, stream: str, record: FoundRecord) -> None:
    """Writes a record, over any other of its number."""
    new.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", (stream, *record))


def _take_sums(new: sqlite3.Connection, day: str, body: bytes) -> None:
    """Of two versions of a sum the one that has grown more: old pages keep what was true before."""
    try:
        sums = {total.key: total for total in totals.unpacked(day, body)}
    except Damaged:
        return
    for there in totals.query(new, day, day):
        if there.key not in sums or sums[there.key].rows <= there.rows:
            sums[there.key] = there
    totals.save(new, day, sums.values())


def _take_use(new: sqlite3.Connection, of: ContractYear, used_mWh: int) -> None:
    """The same of what is used of a contract."""
    if contract_use.used_mWh(new, of) < used_mWh:
        contract_use.save(new, [(of, used_mWh)])
