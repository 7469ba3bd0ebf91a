"""Rows in force: what the ledger says of a register now, with corrections and restatements applied."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.store.body import unpack
from gateway.store.ledger.day_index import SeqRange
from gateway.store.ledger.restatement import Change, changes
from gateway.store.record import ENTRIES, HEADER, INTERVALS, RESTATEMENT, STREAM, decoded, readable
from gateway.store.row_class import RowClass, RowKind
from sync.errors import Malformed
from sync.wire import Block, canonical

_BEYOND: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEntry:
    """Carbon of a live row under one lens in one account, as it is in force."""

    lens: str
    account: str
    method: str
    factor: str | None
    """Reference of the factor, None where the method needs none."""
    emitted_ng: int
    baseline_ng: int | None
    matched_mWh: int
    """Energy that a contract covers."""
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """An interval that no later reversal has taken back."""

    device: str
    register: str
    flow: str
    epoch: int
    t0_ms: int
    t1_ms: int
    energy_mWh: int | None
    """None: missing."""
    raw_begin: int | None
    raw_end: int | None
    row_class: RowClass
    flags: int
    kind: RowKind
    """NORMAL or RESTATEMENT."""
    run: str | None
    """The correction that wrote it, None for a normal row."""
    seq: int
    """Record that holds it."""
    row: int
    """Its position in that record."""
    entries: list[LiveEntry]
    """In the order of their record."""
    bounds: tuple[tuple[int, int, int, int], ...] = ()
    """t0_ms, t1_ms, lo_mWh, hi_mWh of the doubtful readings that it stands for."""


def of_register(
    conn: sqlite3.Connection, device: str, register: str, since_ms: int, before_seq: int | None = None
) -> list[LiveRow]:
    """The live rows of a register that end after `since_ms`, ascending; only records before `before_seq` count.

    Reads back from the newest record until a normal row that begins at or before `since_ms`, or to the records
    that were pruned. Raises StoreError for a record that cannot be read.
    """
    everything = SeqRange(1, _BEYOND if before_seq is None else before_seq - 1)
    return in_records(conn, [everything], device, register, since_ms)


def in_records(
    conn: sqlite3.Connection, ranges: Sequence[SeqRange], device: str, register: str, since_ms: int
) -> list[LiveRow]:
    """The same, as far as the records in these ranges tell; they are ascending."""
    walk = _Walk(device, register, since_ms)
    for first, last in reversed(ranges):
        records = conn.execute(
            "SELECT seq, kind, body FROM record WHERE stream = ? AND seq BETWEEN ? AND ? AND kind IN (?, ?, ?, ?)"
            " ORDER BY seq DESC",
            (STREAM, first, last, INTERVALS, ENTRIES, RESTATEMENT, HEADER),
        )
        for seq, kind, body in records:
            if kind == HEADER:
                return walk.found()
            with readable(seq):
                if not walk.take(seq, kind, body):
                    return walk.found()
    return walk.found()


class _Walk:
    """Takes records from the newest to the oldest and keeps what is live of one register."""

    def __init__(self, device: str, register: str, since_ms: int) -> None:
        self._rows: list[LiveRow] = []
        self._register = [device, register]
        self._since_ms = since_ms
        # Bodies are canonical: a record that has rows of the register holds exactly these bytes.
        self._needle = canonical(self._register)[:-1] + b","
        self._taken_back: set[tuple[int, int, int]] = set()
        self._changes: list[Change] = []
        self._entries: tuple[int, object] | None = None

    def take(self, seq: int, kind: str, body: object) -> bool:
        """The next older record; False when nothing before it can matter."""
        if kind == ENTRIES:
            self._entries = (seq, body)
        elif self._needle in unpack(body):
            if kind == INTERVALS:
                return self._take_intervals(seq, decoded(body))
            self._changes = [change for change in changes(decoded(body)) if self._is_mine(change)] + self._changes
        return True

    def found(self) -> list[LiveRow]:
        """The live rows of the records so far, ascending."""
        return sorted(self._rows, key=lambda row: (row.t0_ms, row.t1_ms))

    def _is_mine(self, change: Change) -> bool:
        return [change.device, change.register] == self._register

    def _take_intervals(self, seq: int, block: Block) -> bool:
        names = block.meta["registers"]
        mine = {number for number, name in enumerate(names) if name[:2] == self._register}
        t0s, t1s, epochs, kinds = (block.ints(name) for name in ("t0", "t1", "epoch", "kind"))
        reached = False
        kept = []
        for row, r in reversed(list(enumerate(block.ints("r")))):
            if r not in mine:
                continue
            key = (epochs[row], t0s[row], t1s[row])
            if kinds[row] == RowKind.REVERSAL:
                self._taken_back.add(key)
            elif t1s[row] > self._since_ms and key not in self._taken_back:
                kept.append(row)
            reached |= kinds[row] == RowKind.NORMAL and t0s[row] <= self._since_ms
        if kept:
            self._rows += self._live(seq, block, kept)
        return not reached

    def _live(self, seq: int, block: Block, rows: Sequence[int]) -> Iterator[LiveRow]:
        entries = self._entries_of(seq, block, rows)
        epochs, t0s, t1s, classes, flags, kinds, registers = (
            block.ints(name) for name in ("epoch", "t0", "t1", "class", "flags", "kind", "r")
        )
        energies, begins, ends = (block.optional_ints(name) for name in ("energy_mWh", "raw_begin", "raw_end"))
        for row in rows:
            device, register, flow, _ = block.meta["registers"][registers[row]]
            kind = RowKind(kinds[row])
            yield LiveRow(
                device=device,
                register=register,
                flow=flow,
                epoch=epochs[row],
                t0_ms=t0s[row],
                t1_ms=t1s[row],
                energy_mWh=energies[row],
                raw_begin=begins[row],
                raw_end=ends[row],
                row_class=RowClass(classes[row]),
                flags=flags[row],
                kind=kind,
                run=None if kind == RowKind.NORMAL else block.meta["run"],
                seq=seq,
                row=row,
                entries=entries[row],
                bounds=tuple((t0, t1, int(lo), int(hi)) for at, t0, t1, lo, hi in block.meta["bounds"] if at == row),
            )

    def _entries_of(self, seq: int, intervals: Block, rows: Sequence[int]) -> dict[int, list[LiveEntry]]:
        """The entries of each of these rows as they are in force; none for a row without an amount."""
        if self._entries is None or self._entries[0] != seq + 1:
            raise Malformed("no entries follow its intervals")
        with readable(seq + 1):
            block = decoded(self._entries[1])
            if block.meta["intervals_seq"] != seq:
                raise Malformed("the record before it is not the intervals that it was computed from")
            found: dict[int, list[LiveEntry]] = {row: [] for row in rows}
            t0s, energies = intervals.ints("t0"), intervals.optional_ints("energy_mWh")
            for i, row_class, entry in _entries(block):
                if i in found:
                    found[i].append(self._restated(entry, row_class, t0s[i], energies[i]))
            return found

    def _restated(self, entry: LiveEntry, row_class: int, t0_ms: int, energy_mWh: int | None) -> LiveEntry:
        """The entry after all restatements that were written later than its record."""
        for change in self._changes:
            if energy_mWh is not None and _concerns(change, entry, row_class, t0_ms):
                after = change.after
                emitted_ng, baseline_ng, flags = after.amounts(
                    energy_mWh, entry.matched_mWh, entry.baseline_ng, entry.flags
                )
                entry = replace(entry, factor=after.ref, emitted_ng=emitted_ng, baseline_ng=baseline_ng, flags=flags)
        return entry


def _concerns(change: Change, entry: LiveEntry, row_class: int, t0_ms: int) -> bool:
    return change.t0_ms <= t0_ms < change.t1_ms and (
        (change.lens, change.account, change.method, change.before, change.row_class)
        == (entry.lens, entry.account, entry.method, entry.factor, row_class)
    )


def _entries(block: Block) -> Iterator[tuple[int, int, LiveEntry]]:
    """Row of the intervals, class, and the entry as it was written."""
    meta = block.meta
    matched = block.ints("matched_mWh") if "matched_mWh" in block.columns else [0] * block.rows
    columns = (block.ints(name) for name in ("i", "lens", "account", "method", "emitted_ng", "class", "flags"))
    optional = (block.optional_ints(name) for name in ("factor", "baseline_ng"))
    for i, lens, account, method, emitted_ng, row_class, flags, factor, baseline_ng, matched_mWh in zip(
        *columns, *optional, matched, strict=True
    ):
        yield (
            i,
            row_class,
            LiveEntry(
                lens=meta["lenses"][lens],
                account=meta["accounts"][account],
                method=meta["methods"][method],
                factor=None if factor is None else meta["factors"][factor],
                emitted_ng=emitted_ng,
                baseline_ng=baseline_ng,
                matched_mWh=matched_mWh,
                flags=flags,
            ),
        )
