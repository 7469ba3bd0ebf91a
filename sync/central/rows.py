"""The columns inside the record kinds that the receiver knows, judged; pure. Whole columns, for many come."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import lt
from typing import Any, Final, TypeVar

from sync.errors import Malformed
from sync.wire import Block

_T = TypeVar("_T")

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
    raw_begin: list[int | None]
    raw_end: list[int | None]
    quality: list[int]
    """Primary class, a small number."""
    flags: list[int]
    kind: list[int]
    """0 normal, 1 reversal, 2 restatement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryColumns:
    """Carbon of intervals."""

    intervals_seq: int
    """The record whose rows they are of."""
    interval_row: list[int]
    lines: list[Line]
    emitted_ng: list[int]
    baseline_ng: list[int | None]
    quality: list[int]
    flags: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestatementColumns:
    """Sums over the entries of a day that went over to another factor."""

    registers: list[Register]
    lines: list[Line]
    day: str
    t0_ms: list[int]
    t1_ms: list[int]
    kind: list[int]
    """1: what is taken back, 2: what stands instead."""
    rows: list[int]
    energy_mWh: list[int]
    emitted_ng: list[int]
    baseline_ng: list[int | None]
    quality: list[int]
    flags: list[int]
    hash: list[str]


Columns = IntervalColumns | EntryColumns | RestatementColumns


def intervals(block: Block) -> IntervalColumns:
    """A block of kind "intervals". Raises Malformed, naming the first thing that cannot be."""
    return IntervalColumns(
        registers=_pick(block, "r", _registers(block), "registers"),
        t0_ms=block.ints("t0"),
        t1_ms=_ends(block),
        register_epoch=block.ints("epoch"),
        energy_mWh=block.optional_ints("energy_mWh"),
        raw_begin=block.optional_ints("raw_begin"),
        raw_end=block.optional_ints("raw_end"),
        quality=_quality(block),
        flags=block.ints("flags"),
        kind=_kind(block),
    )


def entries(block: Block) -> EntryColumns:
    """A block of kind "entries". Raises Malformed."""
    seq = block.meta.get("intervals_seq")
    if type(seq) is not int:
        raise Malformed("kind entries needs meta.intervals_seq, a record number")
    factors = _names(block, "factors")
    factor = block.optional_ints("factor")
    known = [index for index in factor if index is not None]
    _inside(known, factors, "factors")
    return EntryColumns(
        intervals_seq=seq,
        interval_row=block.ints("i"),
        lines=_lines(block, ["" if index is None else factors[index] for index in factor]),
        emitted_ng=block.ints("emitted_ng"),
        baseline_ng=block.optional_ints("baseline_ng"),
        quality=_quality(block),
        flags=block.ints("flags"),
    )


def restatement(block: Block) -> RestatementColumns:
    """A block of kind "restatement". Raises Malformed."""
    day = block.meta.get("day")
    try:
        if not isinstance(day, str) or date.fromisoformat(day).isoformat() != day:
            raise ValueError
    except ValueError:
        raise Malformed("kind restatement needs meta.day, YYYY-MM-DD") from None
    return RestatementColumns(
        registers=_pick(block, "r", _registers(block), "registers"),
        lines=_lines(block, _pick(block, "factor", _names(block, "factors"), "factors")),
        day=day,
        t0_ms=block.ints("t0"),
        t1_ms=_ends(block),
        kind=_kind(block),
        rows=block.ints("rows"),
        energy_mWh=block.ints("energy_mWh"),
        emitted_ng=block.ints("emitted_ng"),
        baseline_ng=block.optional_ints("baseline_ng"),
        quality=_quality(block),
        flags=block.ints("flags"),
        hash=_hashes(block),
    )


READERS: Final[Mapping[str, Callable[[Block], Columns]]] = {
    "intervals": intervals,
    "entries": entries,
    "restatement": restatement,
}
"""What reads a kind of the stream "ledger"; every other kind is kept as its bytes only."""


def _ends(block: Block) -> list[int]:
    """Column t1, all after t0."""
    t0, t1 = block.ints("t0"), block.ints("t1")
    if all(map(lt, t0, t1)):
        return t1
    for row, (begin, end) in enumerate(zip(t0, t1, strict=True)):
        if end <= begin:
            break
    raise Malformed(f"row {row} of kind {block.kind} ends at {end}, which is not after its begin {begin}")


def _quality(block: Block) -> list[int]:
    quality = block.ints("class")
    if quality and not 0 <= min(quality) <= max(quality) <= MOST_CLASS:
        raise Malformed(f"column class of kind {block.kind} must hold numbers from 0 to {MOST_CLASS}")
    return quality


def _kind(block: Block) -> list[int]:
    kind = block.ints("kind")
    if not set(kind) <= _KINDS:
        raise Malformed(f"column kind of kind {block.kind} must hold 0, 1 or 2")
    return kind


def _hashes(block: Block) -> list[str]:
    found = [value for value in block.columns.get("hash", ()) if isinstance(value, str) and _SHA256.fullmatch(value)]
    if len(found) != block.rows:
        raise Malformed(f"column hash of kind {block.kind} must hold 64 hex digits")
    return found


def _lines(block: Block, factors: list[str]) -> list[Line]:
    lenses = _pick(block, "lens", _names(block, "lenses"), "lenses")
    accounts = _pick(block, "account", _names(block, "accounts"), "accounts")
    methods = _pick(block, "method", _names(block, "methods"), "methods")
    return list(zip(lenses, accounts, methods, factors, strict=True))


def _pick(block: Block, column: str, items: Sequence[_T], key: str) -> list[_T]:
    """What a column of indexes into meta.`key` stands for."""
    indexes = block.ints(column)
    _inside(indexes, items, key)
    return list(map(items.__getitem__, indexes))


def _inside(indexes: list[int], items: Sequence[object], key: str) -> None:
    if not indexes:
        return
    for index in (min(indexes), max(indexes)):
        if not 0 <= index < len(items):
            raise Malformed(f"index {index} is outside meta.{key}, which has {len(items)} items")


def _list(block: Block, key: str) -> list[Any]:
    value = block.meta.get(key)
    if not isinstance(value, list):
        raise Malformed(f"kind {block.kind} needs meta.{key}, a list")
    return value


def _names(block: Block, key: str) -> list[str]:
    names = _list(block, key)
    if not set(map(type, names)) <= {str}:
        raise Malformed(f"meta.{key} of kind {block.kind} must hold text")
    _require_names(names, key)
    return names


def _registers(block: Block) -> list[Register]:
    items = _list(block, "registers")
    if not set(map(type, items)) <= {list} or not set(map(len, items)) <= {4}:
        raise _no_registers(block)
    devices, registers, flows, units = zip(*items, strict=True) if items else ((), (), (), ())
    names = (*devices, *registers, *flows)
    if not set(map(type, names)) <= {str} or set(units) - {"mWh"}:
        raise _no_registers(block)
    _require_names(names, "registers")
    return list(zip(devices, registers, flows, strict=True))


def _no_registers(block: Block) -> Malformed:
    return Malformed(f'meta.registers of kind {block.kind} must hold [device, register, flow, "mWh"]')


def _require_names(names: Sequence[str], key: str) -> None:
    if max(map(len, names), default=0) > MOST_NAME or _UNFIT.search("".join(names)):
        raise Malformed(f"a name in meta.{key} has more than {MOST_NAME} characters, or control characters")
