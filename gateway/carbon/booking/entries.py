"""Entries: the carbon of intervals, computed exactly under every lens side by side."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from ext import ProductOverflow, carbon
from gateway.carbon.booking.contracts import UNMATCHED, Matching, TakenBack
from gateway.carbon.booking.rules import Account, Lens, Line, Method
from gateway.carbon.errors import CarbonError
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.factors.vintages import Vintages
from gateway.carbon.intervals import UNIT, Intervals
from gateway.store.flag import Flag
from gateway.store.record import ENTRIES
from gateway.store.row_class import RowKind
from sync.wire import Block

NOTHING: Final[TakenBack] = MappingProxyType({})
"""Taken back by a block without reversals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What holds for all entries of a site."""

    lenses: Mapping[str, str]
    """The region whose factors each lens takes, in the order of their numbers in a block."""
    zone: str
    """Time zone whose midnight ends a day of the totals."""

    @property
    def contract_region(self) -> str:
        """The region in whose calendar years contracts run."""
        return self.lenses.get(Lens.MARKET) or next(iter(self.lenses.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Parallel columns, in the order of the intervals and of the lines of their registers."""

    i: list[int]
    """Row of the intervals."""
    lens: list[str]
    account: list[str]
    method: list[str]
    factor: list[str | None]
    """Its reference; None where the method needs none."""
    emitted_ng: list[int]
    baseline_ng: list[int | None]
    """None: no baseline is declared, which is not zero."""
    matched_mWh: list[int]
    """Energy that a contract covers."""
    flags: list[int]
    bounds: list[tuple[int, int, int]]
    """Entry, least and most of its amount in ng, where nobody knows under which factor the energy flowed."""
    bounding: set[str]
    """References of the factors behind the bounds."""
    matching: Matching
    """What contracts cover of the rows."""


def compute(
    intervals: Intervals,
    lines: Sequence[Sequence[Line]],
    *,
    scope: Scope,
    factors: FactorSet,
    booked_ms: int,
    matching: Matching = UNMATCHED,
    taken_back: TakenBack = NOTHING,
) -> Entries:
    """The entries of all intervals that have an amount, with the factors as they were known at `booked_ms`.

    `lines` are those of each of `intervals.registers`. A reversal row gets its entries from `taken_back`, negated.
    Raises CarbonError when there is no factor, for an amount beyond 64 bits, naming the register, and for a
    reversal of something that is not in force.
    """
    products: dict[str, _Products] = {}
    for lens, region in scope.lenses.items():
        if rows := _rows_with_factor(intervals, lines, lens):
            matched_mWh = matching.rows if lens == Lens.MARKET else {}
            vintages = Vintages(factors, region, lens, intervals, booked_ms)
            products[lens] = _Products(intervals, rows, matched_mWh, vintages)
    windows = {row: (t0_ms, t1_ms) for row, t0_ms, t1_ms in intervals.gaps}
    found: list[_Cells] = []
    bounds: list[tuple[int, int, int]] = []
    bounding: set[str] = set()
    columns = (intervals.r, intervals.energy_mWh, intervals.kind, intervals.flags)
    for row, (r, energy_mWh, kind, flags) in enumerate(zip(*columns, strict=True)):
        if energy_mWh is None:
            continue
        if kind == RowKind.REVERSAL:
            found += _taken_back(intervals, row, taken_back)
            continue
        for line in lines[r]:
            lens, account, method = line
            if method == Method.NONE:
                found.append((row, lens, account, method, None, 0, None, 0, flags))
                continue
            of_lens = products[lens]
            carbon_ng, (ref, provisional) = of_lens.carbon_ng[row], of_lens.factor[row]
            if row in windows and (between := of_lens.bounds(row, windows[row])):
                bounds.append((len(found), between.lo_ng, between.hi_ng))
                bounding |= between.refs
            if method == Method.DISPLACED:
                found.append((row, lens, account, method, ref, 0, carbon_ng, 0, flags | provisional))
            else:
                covered = matching.rows[row] if method == Method.CONTRACT_RESIDUAL else 0
                found.append((row, lens, account, method, ref, carbon_ng, None, covered, flags | provisional))
    return _in_columns(found, bounds, bounding, matching)


def to_block(
    entries: Entries,
    intervals: Intervals,
    lines: Sequence[Sequence[Line]],
    *,
    intervals_seq: int,
    scope: Scope,
    booked_ms: int,
) -> Block:
    """The block of a record of kind "entries"; `intervals_seq` is the record of their intervals."""
    lenses, accounts, methods = (
        _names(known, found)
        for known, found in ((scope.lenses, entries.lens), (Account, entries.account), (Method, entries.method))
    )
    refs = sorted({ref for ref in entries.factor if ref is not None} | entries.bounding)
    position = {ref: at for at, ref in enumerate(refs)}
    columns: dict[str, list[int | str | None]] = {
        "i": [*entries.i],
        "lens": [lenses[name] for name in entries.lens],
        "account": [accounts[name] for name in entries.account],
        "method": [methods[name] for name in entries.method],
        "factor": [None if ref is None else position[ref] for ref in entries.factor],
        "emitted_ng": [*entries.emitted_ng],
        "baseline_ng": [*entries.baseline_ng],
        "class": [intervals.row_class[row] for row in entries.i],
        "flags": [int(bits) for bits in entries.flags],
    }
    matching = entries.matching
    if matching.allowances:
        columns["matched_mWh"] = [*entries.matched_mWh]
    return Block(
        kind=ENTRIES,
        meta={
            "registers": [[*name, UNIT] for name in intervals.registers],
            "lenses": [*lenses],
            "regions": [scope.lenses.get(lens, "") for lens in lenses],
            "accounts": [*accounts],
            "methods": [*methods],
            "factors": refs,
            "intervals_seq": intervals_seq,
            "zone": scope.zone,
            "booked_ms": booked_ms,
            "lines": [
                [[lenses[line.lens], accounts[line.account], methods[line.method]] for line in of_register]
                for of_register in lines
            ],
            "bounds": [[at, str(lo_ng), str(hi_ng)] for at, lo_ng, hi_ng in entries.bounds],
            "contracts": [
                [*key, *matching.allowances[key], matching.used_mWh[key]] for key in sorted(matching.allowances)
            ],
        },
        columns=columns,
    )


_Cells = tuple[int, str, str, str, str | None, int, int | None, int, int]
"""One entry: what the columns of Entries hold of it, in their order."""


class _Bounds(NamedTuple):
    lo_ng: int
    hi_ng: int
    refs: set[str]
    """The factors behind them."""


class _Products:
    """Energy times factor of the rows that need it under one lens, in one go."""

    def __init__(
        self, intervals: Intervals, rows: Sequence[int], matched_mWh: Mapping[int, int], vintages: Vintages
    ) -> None:
        self.carbon_ng = dict.fromkeys(rows, 0)
        self.factor: dict[int, tuple[str, int]] = {}
        """Its reference, and the flag of a provisional one."""
        self._vintages = vintages
        self._energy_mWh = {row: (intervals.energy_mWh[row] or 0) - matched_mWh.get(row, 0) for row in rows}
        for row in rows:
            factor = vintages.at(intervals.t0_ms[row])
            self.factor[row] = factor.ref, int(Flag.PROVISIONAL) if factor.provisional else 0
        # Nothing stays nothing, whatever the factor.
        self._multiply(intervals, [row for row in rows if self._energy_mWh[row]])

    def bounds(self, row: int, window: tuple[int, int]) -> _Bounds | None:
        """Between what the carbon of a row lies whose energy flowed at some time of the window; None if it is sure."""
        factors = self._vintages.between(*window)
        amounts_ng = {self._energy_mWh[row] * factor.value_mg_per_kWh for factor in factors}
        if amounts_ng == {self.carbon_ng[row]}:
            return None
        return _Bounds(min(amounts_ng), max(amounts_ng), {factor.ref for factor in factors})

    def _multiply(self, intervals: Intervals, rows: Sequence[int]) -> None:
        energies = array("q", [self._energy_mWh[row] for row in rows])
        times = array("q", [intervals.t0_ms[row] for row in rows])
        try:
            self.carbon_ng.update(zip(rows, carbon(energies, times, *self._vintages.columns(times)), strict=True))
        except ProductOverflow as error:
            name = intervals.registers[intervals.r[rows[error.row]]]
            raise CarbonError(f"the carbon of {name.device}/{name.register} leaves 64 bits") from error


def _rows_with_factor(intervals: Intervals, lines: Sequence[Sequence[Line]], lens: str) -> list[int]:
    needs = [any(line.lens == lens and line.method != Method.NONE for line in of_register) for of_register in lines]
    return [
        row
        for row, (r, energy_mWh, kind) in enumerate(zip(intervals.r, intervals.energy_mWh, intervals.kind, strict=True))
        if needs[r] and energy_mWh is not None and kind != RowKind.REVERSAL
    ]


def _in_columns(
    found: Sequence[_Cells], bounds: list[tuple[int, int, int]], bounding: set[str], matching: Matching
) -> Entries:
    i, lens, account, method, factor, emitted_ng, baseline_ng, matched_mWh, flags = (
        map(list, zip(*found, strict=True)) if found else ([] for _ in range(9))
    )
    return Entries(
        i=i,
        lens=lens,
        account=account,
        method=method,
        factor=factor,
        emitted_ng=emitted_ng,
        baseline_ng=baseline_ng,
        matched_mWh=matched_mWh,
        flags=flags,
        bounds=bounds,
        bounding=bounding,
        matching=matching,
    )


def _taken_back(intervals: Intervals, row: int, taken_back: TakenBack) -> Iterator[_Cells]:
    if row not in taken_back:
        name = intervals.registers[intervals.r[row]]
        raise CarbonError(f"row {row} takes back a row of {name.device}/{name.register} that is not in force")
    for entry in taken_back[row]:
        baseline_ng = None if entry.baseline_ng is None else -entry.baseline_ng
        yield (
            *(row, entry.lens, entry.account, entry.method, entry.factor),
            *(-entry.emitted_ng, baseline_ng, -entry.matched_mWh, entry.flags),
        )


def _names(known: Iterable[str], found: Iterable[str]) -> dict[str, int]:
    """Number of each name: those known in their order, then what only taken-back entries of older days have."""
    names = [str(name) for name in known]
    return {name: at for at, name in enumerate([*names, *sorted(set(found) - set(names))])}
