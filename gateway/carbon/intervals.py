"""Intervals: rows of energy that will not change any more, in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gateway.store.record import INTERVALS
from sync.errors import Malformed
from sync.wire import Block

UNIT: Final = "mWh"


class RegisterName(NamedTuple):
    """Whose energy a row is."""

    device: str
    register: str
    flow: str


class Bounds(NamedTuple):
    """Between what the energy of a doubtful reading lies; it may reach back before the row that names it."""

    t0_ms: int
    t1_ms: int
    lo_mWh: int
    hi_mWh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why closed rows are corrected, and which they were."""

    reason: str
    """"step", "recovered" or "accepted"."""
    run: str
    """Tells this correction from others of the same rows."""
    reversed: list[tuple[int, int, str | None]]
    """For each reversal row: row, RowKind and run of the row that it takes back."""
    note: str = ""
    """What a person said about it."""

    def part(self, first: int, end: int) -> Finding:
        """The same of the rows from `first` up to `end`."""
        kept = [(row - first, kind, run) for row, kind, run in self.reversed if first <= row < end]
        return Finding(reason=self.reason, run=self.run, reversed=kept, note=self.note)

    def to_meta(self) -> dict[str, Any]:
        """As keys of a block's meta."""
        said = {"note": self.note} if self.note else {}
        return {"reason": self.reason, "run": self.run, "reversed": [[*row] for row in self.reversed], **said}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Finding:
        """The mirror image of `to_meta`."""
        reversed_rows = [(row, kind, run) for row, kind, run in meta["reversed"]]
        return cls(reason=meta["reason"], run=meta["run"], reversed=reversed_rows, note=meta.get("note", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Parallel columns, sorted by register and time."""

    registers: list[RegisterName]
    """What `r` points into."""
    r: list[int] = field(default_factory=list)
    epoch: list[int] = field(default_factory=list)
    """Grows with each new base of the counter, and when its dates go back; for power with the latter only, from 0."""
    t0_ms: list[int] = field(default_factory=list)
    t1_ms: list[int] = field(default_factory=list)
    energy_mWh: list[int | None] = field(default_factory=list)
    """None when missing."""
    raw_begin: list[int | None] = field(default_factory=list)
    """Last accepted count at or before the begin; None for power."""
    raw_end: list[int | None] = field(default_factory=list)
    row_class: list[int] = field(default_factory=list)
    """A RowClass."""
    flags: list[int] = field(default_factory=list)
    """Bits of Flag."""
    kind: list[int] = field(default_factory=list)
    """A RowKind."""
    bounds: list[tuple[int, Bounds]] = field(default_factory=list)
    """Rows that stand for doubtful readings, with the bounds of each."""
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    """Rows in a span of more than a day between two readings: row, begin and end of that span."""
    correction: Finding | None = None
    """What a correction is about; None for a sweep."""

    def __len__(self) -> int:
        return len(self.r)

    def parts(self, rows: int) -> Iterator[Intervals]:
        """The same rows in pieces of at most `rows`, each naming only the registers that it has rows of."""
        for first in range(0, len(self), rows):
            yield self._part(first, min(first + rows, len(self)))

    def to_block(self) -> Block:
        """As the block of a record of kind "intervals"."""
        return Block(
            kind=INTERVALS,
            meta={
                "registers": [[*name, UNIT] for name in self.registers],
                "bounds": [
                    [row, b.t0_ms, b.t1_ms, str(b.lo_mWh), str(b.hi_mWh)]  # a wild counter's may pass 2^53
                    for row, b in self.bounds
                ],
                "gaps": [[*gap] for gap in self.gaps],
                **(self.correction.to_meta() if self.correction else {}),
            },
            columns={
                "r": [*self.r],
                "epoch": [*self.epoch],
                "t0": [*self.t0_ms],
                "t1": [*self.t1_ms],
                "energy_mWh": [*self.energy_mWh],
                "raw_begin": [*self.raw_begin],
                "raw_end": [*self.raw_end],
                "class": [*self.row_class],
                "flags": [*self.flags],
                "kind": [*self.kind],
            },
        )

    @classmethod
    def from_block(cls, block: Block) -> Intervals:
        """The mirror image of `to_block`. Raises Malformed or ValueError for anything else."""
        if block.kind != INTERVALS:
            raise Malformed(f"a block of kind {block.kind} is not one of intervals")
        return cls(
            registers=[RegisterName(*name) for *name, _ in block.meta["registers"]],
            r=block.ints("r"),
            epoch=block.ints("epoch"),
            t0_ms=block.ints("t0"),
            t1_ms=block.ints("t1"),
            energy_mWh=block.optional_ints("energy_mWh"),
            raw_begin=block.optional_ints("raw_begin"),
            raw_end=block.optional_ints("raw_end"),
            row_class=block.ints("class"),
            flags=block.ints("flags"),
            kind=block.ints("kind"),
            bounds=[
                (row, Bounds(t0_ms, t1_ms, int(lo), int(hi))) for row, t0_ms, t1_ms, lo, hi in block.meta["bounds"]
            ],
            gaps=[(row, t0_ms, t1_ms) for row, t0_ms, t1_ms in block.meta["gaps"]],
            correction=Finding.from_meta(block.meta) if "reason" in block.meta else None,
        )

    def _part(self, first: int, end: int) -> Intervals:
        used = sorted(set(self.r[first:end]))
        position = {r: at for at, r in enumerate(used)}
        return Intervals(
            registers=[self.registers[r] for r in used],
            r=[position[r] for r in self.r[first:end]],
            epoch=self.epoch[first:end],
            t0_ms=self.t0_ms[first:end],
            t1_ms=self.t1_ms[first:end],
            energy_mWh=self.energy_mWh[first:end],
            raw_begin=self.raw_begin[first:end],
            raw_end=self.raw_end[first:end],
            row_class=self.row_class[first:end],
            flags=self.flags[first:end],
            kind=self.kind[first:end],
            bounds=[(row - first, bounds) for row, bounds in self.bounds if first <= row < end],
            gaps=[(row - first, t0_ms, t1_ms) for row, t0_ms, t1_ms in self.gaps if first <= row < end],
            correction=self.correction and self.correction.part(first, end),
        )
