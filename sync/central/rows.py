"""The columns inside the record kinds that the receiver knows, judged; pure.

Many blocks are read together, their columns end to end: a row of one block would cost ten times as much.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import lt
from typing import Any, Final, TypeVar

from sync.errors import Malformed
from sync.wire import DECIMAL, Blocks

_T = TypeVar("_T")

Meta = Mapping[str, Any]
Register = tuple[str, str, str]
"""(device, register, flow)."""
Line = tuple[str, str, str, str]
"""(lens, account, method, factor); factor is empty where the method needs none."""

MOST_NAME: Final = 128
"""Longest name of a device, register, flow, lens, account, method or factor."""
MOST_CLASS: Final = (1 << 15) - 1
"""Largest quality class that the tables hold."""
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f]")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KINDS: Final = {0, 1, 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalColumns:
    """Energy of registers over [t0, t1)."""

    registers: list[Register]
    t0_ms: list[int]
    t1_ms: list[int]
    register_epoch: list[int]
    energy_mWh: list[int | None]
    """None: missing."""
    raw_begin: list[str | None]
    raw_end: list[str | None]
    quality: list[int]
    """Primary class, a small number."""
    flags: list[int]
    kind: list[int]
    """0 normal, 1 reversal, 2 restatement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryColumns:
    """Carbon of intervals."""

    intervals_seq: list[int]
    """Of each block, the record whose rows its entries are of."""
    interval_row: list[int]
    lines: list[Line]
    emitted_ng: list[str]
    baseline_ng: list[str | None]
    quality: list[int]
    flags: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestatementColumns:
    """Sums over the entries of a day that went over to another factor."""

    registers: list[Register]
    lines: list[Line]
    day: list[str]
    t0_ms: list[int]
    t1_ms: list[int]
    kind: list[int]
    """1: what is taken back, 2: what stands instead."""
    rows: list[int]
    energy_mWh: list[int]
    emitted_ng: list[str]
    baseline_ng: list[str | None]
    quality: list[int]
    flags: list[int]
    hash: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TombstoneSum:
    """What the records of a tombstone would have added for a register, in a lens and account."""

    register: Register
    lens: str
    account: str
    """Both empty: intervals, not entries."""
    rows: int
    energy_mWh: int
    emitted_ng: int
    baseline_ng: int | None
    """None: not known, or none was declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageColumns:
    """Whether registers are in time, and why not."""

    registers: list[Register]
    state: list[int]
    """0 in time; else why not, as the contract says."""
    since_ms: list[int | None]
    at_ms: list[int]


Columns = IntervalColumns | EntryColumns | RestatementColumns | CoverageColumns


def intervals(blocks: Blocks) -> IntervalColumns:
    """Blocks of kind "intervals". Raises Malformed, naming the first thing that cannot be."""
    return IntervalColumns(
        registers=_pick(blocks, "r", "registers", _registers),
        t0_ms=blocks.ints("t0"),
        t1_ms=_ends(blocks),
        register_epoch=blocks.ints("epoch"),
        energy_mWh=blocks.optional_ints("energy_mWh"),
        raw_begin=blocks.optional_decimals("raw_begin"),
        raw_end=blocks.optional_decimals("raw_end"),
        quality=_quality(blocks),
        flags=blocks.ints("flags"),
        kind=_kind(blocks),
    )


def entries(blocks: Blocks) -> EntryColumns:
    """Blocks of kind "entries". Raises Malformed."""
    seqs: list[Any] = [meta.get("intervals_seq") for meta in blocks.metas]
    if not set(map(type, seqs)) <= {int}:
        raise Malformed("kind entries needs meta.intervals_seq, a record number")
    return EntryColumns(
        intervals_seq=seqs,
        interval_row=blocks.ints("i"),
        lines=_lines(blocks),
        emitted_ng=blocks.decimals("emitted_ng"),
        baseline_ng=blocks.optional_decimals("baseline_ng"),
        quality=_quality(blocks),
        flags=blocks.ints("flags"),
    )


def restatement(blocks: Blocks) -> RestatementColumns:
    """Blocks of kind "restatement". Raises Malformed."""
    return RestatementColumns(
        registers=_pick(blocks, "r", "registers", _registers),
        lines=_lines(blocks),
        day=[day for meta, count in zip(blocks.metas, blocks.counts, strict=True) for day in [_day(meta)] * count],
        t0_ms=blocks.ints("t0"),
        t1_ms=_ends(blocks),
        kind=_kind(blocks),
        rows=blocks.ints("rows"),
        energy_mWh=blocks.ints("energy_mWh"),
        emitted_ng=blocks.decimals("emitted_ng"),
        baseline_ng=blocks.optional_decimals("baseline_ng"),
        quality=_quality(blocks),
        flags=blocks.ints("flags"),
        hash=_hashes(blocks),
    )


def coverage(blocks: Blocks) -> CoverageColumns:
    """Blocks of kind "coverage". Raises Malformed."""
    times: list[Any] = [meta.get("at_ms") for meta in blocks.metas]
    if not set(map(type, times)) <= {int}:
        raise Malformed("kind coverage needs meta.at_ms, a time")
    return CoverageColumns(
        registers=_pick(blocks, "r", "registers", _registers),
        state=blocks.ints("state"),
        since_ms=blocks.optional_ints("since_ms"),
        at_ms=[at_ms for at_ms, count in zip(times, blocks.counts, strict=True) for _ in range(count)],
    )


def tombstone_sums(meta: Meta) -> list[TombstoneSum] | None:
    """The sums in the meta of a tombstone; None when nobody knows them. Raises Malformed."""
    sums = meta.get("sums")
    if sums is None:
        return None
    if not isinstance(sums, list) or not all(isinstance(found, dict) for found in sums):
        raise Malformed("meta.sums of kind tombstone must be a list of objects, or null")
    found = [_sum(each) for each in sums]
    if len({(each.register, each.lens, each.account) for each in found}) < len(found):
        raise Malformed("meta.sums of kind tombstone names a register, lens and account twice")
    return found


def _sum(found: Meta) -> TombstoneSum:
    names: list[Any] = [found.get(key) for key in ("device", "register", "flow", "lens", "account")]
    counts: list[Any] = [found.get(key) for key in ("rows", "energy_mWh")]
    emitted_ng: Any = found.get("emitted_ng")
    baseline_ng: Any = found.get("baseline_ng")
    amounts = [emitted_ng] if baseline_ng is None else [emitted_ng, baseline_ng]
    if set(map(type, [*names, *amounts])) != {str} or set(map(type, counts)) != {int}:
        raise Malformed("meta.sums of kind tombstone needs names, rows, energy_mWh, emitted_ng and baseline_ng of each")
    if not all(map(DECIMAL.fullmatch, amounts)):
        raise Malformed("emitted_ng and baseline_ng in meta.sums of kind tombstone must be decimal strings")
    _require_names(names, "sums")
    device, register, flow, lens, account = names
    return TombstoneSum(
        register=(device, register, flow),
        lens=lens,
        account=account,
        rows=counts[0],
        energy_mWh=counts[1],
        emitted_ng=int(emitted_ng),
        baseline_ng=None if baseline_ng is None else int(baseline_ng),
    )


READERS: Final[Mapping[str, Callable[[Blocks], Columns]]] = {
    "intervals": intervals,
    "entries": entries,
    "restatement": restatement,
    "coverage": coverage,
}
"""What reads a kind of the stream "ledger"; every other kind is kept as its bytes only."""


def _ends(blocks: Blocks) -> list[int]:
    """Column t1, all after t0."""
    t0, t1 = blocks.ints("t0"), blocks.ints("t1")
    if all(map(lt, t0, t1)):
        return t1
    row = next(row for row, (begin, end) in enumerate(zip(t0, t1, strict=True)) if end <= begin)
    raise Malformed(f"row {row} of kind {blocks.kind} ends at {t1[row]}, which is not after its begin {t0[row]}")


def _quality(blocks: Blocks) -> list[int]:
    quality = blocks.ints("class")
    if quality and not 0 <= min(quality) <= max(quality) <= MOST_CLASS:
        raise Malformed(f"column class of kind {blocks.kind} must hold numbers from 0 to {MOST_CLASS}")
    return quality


def _kind(blocks: Blocks) -> list[int]:
    kind = blocks.ints("kind")
    if not set(kind) <= _KINDS:
        raise Malformed(f"column kind of kind {blocks.kind} must hold 0, 1 or 2")
    return kind


def _hashes(blocks: Blocks) -> list[str]:
    found = [value for value in blocks.columns.get("hash", ()) if isinstance(value, str) and _SHA256.fullmatch(value)]
    if len(found) != blocks.rows:
        raise Malformed(f"column hash of kind {blocks.kind} must hold 64 hex digits")
    return found


def _day(meta: Meta) -> str:
    day = meta.get("day")
    try:
        if isinstance(day, str) and date.fromisoformat(day).isoformat() == day:
            return day
    except ValueError:
        pass
    raise Malformed("kind restatement needs meta.day, YYYY-MM-DD")


def _lines(blocks: Blocks) -> list[Line]:
    names = (("lens", "lenses"), ("account", "accounts"), ("method", "methods"), ("factor", "factors"))
    return list(zip(*(_pick(blocks, column, key, _names) for column, key in names), strict=True))


def _pick(blocks: Blocks, column: str, key: str, read: Callable[[Blocks, list[Any], str], list[_T]]) -> list[_T]:
    """What a column of indexes into meta.`key` stands for; a null factor stands for an empty name."""
    nullable = column == "factor" and blocks.kind == "entries"
    indexes: list[Any] = [*(blocks.optional_ints(column) if nullable else blocks.ints(column))]
    picked: list[_T] = []
    blocks_and_counts = zip((meta.get(key) for meta in blocks.metas), blocks.counts, strict=True)
    for found, run in groupby(blocks_and_counts, lambda pair: pair[0]):  # mostly all are the same
        if not isinstance(found, list):
            raise Malformed(f"kind {blocks.kind} needs meta.{key}, a list")
        items: list[Any] = read(blocks, found, key)
        part = indexes[len(picked) : len(picked) + sum(count for _, count in run)]
        known = [index for index in part if index is not None] if nullable else part
        for index in (min(known), max(known)) if known else ():
            if not 0 <= index < len(items):
                raise Malformed(f"index {index} is outside meta.{key}, which has {len(items)} items")
        if nullable:
            items = [*items, ""]
            part = [len(items) - 1 if index is None else index for index in part]
        picked += map(items.__getitem__, part)
    return picked


def _names(blocks: Blocks, names: list[Any], key: str) -> list[str]:
    if not set(map(type, names)) <= {str}:
        raise Malformed(f"meta.{key} of kind {blocks.kind} must hold text")
    _require_names(names, key)
    return names


def _registers(blocks: Blocks, items: list[Any], key: str) -> list[Register]:
    if set(map(type, items)) <= {list} and set(map(len, items)) <= {4}:
        devices, registers, flows, units = zip(*items, strict=True) if items else ((), (), (), ())
        names = (*devices, *registers, *flows)
        if set(map(type, names)) <= {str} and set(units) <= {"mWh"}:
            _require_names(names, key)
            return list(zip(devices, registers, flows, strict=True))
    raise Malformed(f'meta.{key} of kind {blocks.kind} must hold [device, register, flow, "mWh"]')


def _require_names(names: Sequence[str], key: str) -> None:
    if max(map(len, names), default=0) > MOST_NAME or _UNFIT.search("".join(names)):
        raise Malformed(f"a name in meta.{key} has more than {MOST_NAME} characters, or control characters")
