"""The ledger as it lies in the store, read entry by entry.

Each record of kind `intervals` is followed by one of kind `entries` that was computed from it.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.store.errors import StoreError
from gateway.store.flag import flag_names
from gateway.store.row_class import RowClass
from sync.errors import Malformed
from sync.wire import Block, decode_block

STREAM: Final = "ledger"
INTERVALS: Final = "intervals"
ENTRIES: Final = "entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Carbon of one interval of one register in one account, with the evidence it rests on."""

    seq: int
    """Record of the ledger stream that holds it."""
    row: int
    """Its position in that record."""
    device: str
    register: str
    flow: str
    t0_ms: int
    t1_ms: int
    energy_mWh: int | None
    raw_begin: int | None
    """Counter at the begin, None for a register without one."""
    raw_end: int | None
    lens: str
    account: str
    method: str
    factor: str | None
    """Reference of the factor, None where the method needs none."""
    emitted_ng: int
    baseline_ng: int | None
    row_class: RowClass
    flags: list[str]


def page(conn: sqlite3.Connection, limit: int, before_seq: int | None = None) -> tuple[list[LedgerEntry], int | None]:
    """The newest entries of records before `before_seq` (None: of all), and the `before_seq` to go on with.

    The newest record comes first. Records come whole, so there may be more than `limit` entries. The second
    value is None when nothing is left.
    Raises StoreError for a record that cannot be read.
    """
    found: list[LedgerEntry] = []
    bound = _BEYOND if before_seq is None else before_seq
    while len(found) < limit:
        step = _step(conn, "seq < ? ORDER BY seq DESC", bound)
        if step is None:
            return found, None
        bound, entries = step
        found += entries
    return found, bound


def after(conn: sqlite3.Connection, seq: int) -> tuple[int, list[LedgerEntry]] | None:
    """The first record of entries beyond `seq`: its number and its entries; None at the end.

    For an export in steps. Raises StoreError for a record that cannot be read.
    """
    return _step(conn, "seq > ? ORDER BY seq", seq)


def iter_entries(conn: sqlite3.Connection) -> Iterator[LedgerEntry]:
    """All entries, oldest first. Raises StoreError for a record that cannot be read."""
    step = after(conn, 0)
    while step is not None:
        seq, entries = step
        yield from entries
        step = after(conn, seq)


_BEYOND = 2**62


def _step(conn: sqlite3.Connection, where: str, seq: int) -> tuple[int, list[LedgerEntry]] | None:
    row = conn.execute(
        f"SELECT seq FROM record WHERE stream = ? AND kind = ? AND {where} LIMIT 1", (STREAM, ENTRIES, seq)
    ).fetchone()
    return None if row is None else (row[0], list(_entries(conn, row[0])))


def _entries(conn: sqlite3.Connection, seq: int) -> Iterator[LedgerEntry]:
    entries = _read(conn, seq)
    meta = entries.meta
    intervals = _read(conn, meta["intervals_seq"])
    registers, t0s, t1s = (intervals.ints(name) for name in ("r", "t0", "t1"))
    energies, begins, ends = (intervals.optional_ints(name) for name in ("energy_mWh", "raw_begin", "raw_end"))
    lenses, accounts, methods = (entries.ints(name) for name in ("lens", "account", "method"))
    factors, baselines = entries.optional_ints("factor"), entries.optional_ints("baseline_ng")
    emitted, classes, flags = (entries.ints(name) for name in ("emitted_ng", "class", "flags"))
    for row, i in enumerate(entries.ints("i")):
        device, register, flow, _ = meta["registers"][registers[i]]
        factor = factors[row]
        yield LedgerEntry(
            seq=seq,
            row=row,
            device=device,
            register=register,
            flow=flow,
            t0_ms=t0s[i],
            t1_ms=t1s[i],
            energy_mWh=energies[i],
            raw_begin=begins[i],
            raw_end=ends[i],
            lens=meta["lenses"][lenses[row]],
            account=meta["accounts"][accounts[row]],
            method=meta["methods"][methods[row]],
            factor=None if factor is None else meta["factors"][factor],
            emitted_ng=emitted[row],
            baseline_ng=baselines[row],
            row_class=RowClass(classes[row]),
            flags=flag_names(flags[row]),
        )


def _read(conn: sqlite3.Connection, seq: int) -> Block:
    row = conn.execute("SELECT body FROM record WHERE stream = ? AND seq = ?", (STREAM, seq)).fetchone()
    try:
        if row is None:
            raise Malformed("it is missing")
        return decode_block(row[0])
    except Malformed as error:
        raise StoreError(f"record {seq} of the ledger cannot be read ({error}); run `huxi ledger verify`") from error
