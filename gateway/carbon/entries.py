"""Entries: the carbon of intervals, computed exactly, and computed again to prove a stored ledger."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ext import multiply
from gateway.carbon.errors import CarbonError
from gateway.carbon.factors import Factor, FactorSet
from gateway.carbon.intervals import UNIT, Intervals
from gateway.carbon.rules import Account, Line, Method
from gateway.store.flag import Flag
from gateway.store.ledger import ENTRIES
from sync.wire import Block

_FOREVER_MS: Final = 2**53
_ACCOUNTS: Final = tuple(Account)
_METHODS: Final = tuple(Method)
"""Their order gives the numbers in a block; the names stand in its meta."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What holds for all entries of a block."""

    region: str
    zone: str
    """Time zone whose midnight ends a day of the totals."""
    lens: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Parallel columns, in the order of the intervals and of the lines of their registers."""

    i: list[int] = field(default_factory=list)
    """Row of the intervals."""
    line: list[Line] = field(default_factory=list)
    factor: list[Factor | None] = field(default_factory=list)
    """None where the method needs none."""
    emitted_ng: list[int] = field(default_factory=list)
    baseline_ng: list[int | None] = field(default_factory=list)
    """None: no baseline is declared, which is not zero."""


def compute(intervals: Intervals, lines: Sequence[Sequence[Line]], factor_at: Callable[[int], Factor]) -> Entries:
    """The entries of all intervals that have an amount.

    `lines` are those of each of `intervals.registers`; `factor_at` gives the factor of a row by its begin.
    Raises CarbonError for an amount beyond 64 bits, naming the register, and what `factor_at` raises.
    """
    needs_factor = [any(line.method != Method.NONE for line in of_register) for of_register in lines]
    wanted = [
        row
        for row, (r, energy_mWh) in enumerate(zip(intervals.r, intervals.energy_mWh, strict=True))
        if energy_mWh is not None and needs_factor[r]
    ]
    factors = {t0_ms: factor_at(t0_ms) for t0_ms in {intervals.t0_ms[row] for row in wanted}}
    factor_of = {row: factors[intervals.t0_ms[row]] for row in wanted}
    carbon_ng = _carbon(intervals, factor_of)
    entries = Entries()
    for row, (r, energy_mWh) in enumerate(zip(intervals.r, intervals.energy_mWh, strict=True)):
        if energy_mWh is None:
            continue
        for line in lines[r]:
            entries.i.append(row)
            entries.line.append(line)
            entries.factor.append(None if line.method == Method.NONE else factor_of[row])
            entries.emitted_ng.append(carbon_ng[row] if line.method == Method.GRID_AVERAGE else 0)
            entries.baseline_ng.append(carbon_ng[row] if line.method == Method.DISPLACED else None)
    return entries


def to_block(
    entries: Entries,
    intervals: Intervals,
    lines: Sequence[Sequence[Line]],
    intervals_seq: int,
    scope: Scope,
) -> Block:
    """The block of a record of kind "entries"; `intervals_seq` is the record of their intervals."""
    refs = sorted({factor.ref for factor in entries.factor if factor})
    position = {ref: at for at, ref in enumerate(refs)}
    flags = [intervals.flags[row] for row in entries.i]
    for at, factor in enumerate(entries.factor):
        if factor and factor.provisional:
            flags[at] |= Flag.PROVISIONAL
    return Block(
        kind=ENTRIES,
        meta={
            "registers": [[*name, UNIT] for name in intervals.registers],
            "lenses": [scope.lens],
            "accounts": [account.value for account in _ACCOUNTS],
            "methods": [method.value for method in _METHODS],
            "factors": refs,
            "intervals_seq": intervals_seq,
            "region": scope.region,
            "zone": scope.zone,
            "lines": [[[0, *_numbers(line)] for line in of_register] for of_register in lines],
        },
        columns={
            "i": [*entries.i],
            "lens": [0] * len(entries.i),
            "account": [_numbers(line)[0] for line in entries.line],
            "method": [_numbers(line)[1] for line in entries.line],
            "factor": [None if factor is None else position[factor.ref] for factor in entries.factor],
            "emitted_ng": [*entries.emitted_ng],
            "baseline_ng": [*entries.baseline_ng],
            "class": [intervals.row_class[row] for row in entries.i],
            "flags": [int(bits) for bits in flags],
        },
    )


def recheck(intervals: Block, entries: Block, *, factors: FactorSet) -> str | None:
    """Computes a block of entries again from its intervals; says what differs, None when nothing does.

    The factors are those that the block names, as they stand in `factors`. Raises Malformed, LookupError,
    TypeError or ValueError for blocks that `to_block` cannot have made.
    """
    meta = entries.meta
    known = factors.only(meta["factors"])
    unknown = set(meta["factors"]) - {factor.ref for factor in known.records}
    if unknown:
        return f"factor {min(unknown)} is not in the factor table"
    lines = [[_line(meta, *numbers) for numbers in of_register] for of_register in meta["lines"]]
    scope = Scope(region=meta["region"], zone=meta["zone"], lens=meta["lenses"][0])

    def factor_at(t_ms: int) -> Factor:
        return known.lookup(scope.region, scope.lens, t_ms, _FOREVER_MS)

    source = Intervals.from_block(intervals)
    try:
        computed = to_block(compute(source, lines, factor_at), source, lines, meta["intervals_seq"], scope)
    except CarbonError as error:
        return str(error)
    return _difference(entries, computed)


def _carbon(intervals: Intervals, factor_of: dict[int, Factor]) -> dict[int, int]:
    """Energy times factor of the rows given, in ng; the rows of one factor in one go."""
    rows_of: dict[int, list[int]] = {}
    for row, factor in factor_of.items():
        rows_of.setdefault(factor.value_mg_per_kWh, []).append(row)
    carbon_ng: dict[int, int] = {}
    for value, rows in rows_of.items():
        energies = array("q", (intervals.energy_mWh[row] or 0 for row in rows))
        try:
            carbon_ng.update(zip(rows, multiply(energies, value), strict=True))
        except OverflowError as error:
            row = next(row for row, energy in zip(rows, energies, strict=True) if abs(energy * value) >> 63)
            name = intervals.registers[intervals.r[row]]
            raise CarbonError(f"the carbon of {name.device}/{name.register} leaves 64 bits") from error
    return carbon_ng


def _difference(stored: Block, computed: Block) -> str | None:
    for key in sorted(stored.meta.keys() | computed.meta.keys()):
        if stored.meta.get(key) != computed.meta.get(key):
            return f"its {key} are {stored.meta.get(key)!r}, computed {computed.meta.get(key)!r}"
    if stored.columns.keys() != computed.columns.keys():
        return f"its columns are {', '.join(sorted(stored.columns))}"
    if stored.rows != computed.rows:
        return f"it has {stored.rows} rows, computed {computed.rows}"
    for row in range(stored.rows):
        for name, values in computed.columns.items():
            if stored.columns[name][row] != values[row]:
                return f"row {row}: {name} is {stored.columns[name][row]}, computed {values[row]}"
    return None


def _numbers(line: Line) -> tuple[int, int]:
    return _ACCOUNTS.index(line.account), _METHODS.index(line.method)


def _line(meta: dict[str, Any], lens: int, account: int, method: int) -> Line:
    if lens != 0:
        raise ValueError(f"there is no lens {lens}")
    return Line(Account(meta["accounts"][account]), Method(meta["methods"][method]))
