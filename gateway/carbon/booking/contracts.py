"""Contracts: which part of a register's energy the year's contract covers, and matching as reports state it.

The first energy of a calendar year is covered, in the order of booking, until the contract's amount is used up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from gateway.carbon.booking.rules import Line, Method
from gateway.carbon.intervals import Intervals
from gateway.store.ledger.live import LiveEntry
from gateway.store.row_class import RowKind

YearOf = Callable[[int], int]
"""The calendar year of a time in ms, in the residual region."""
TakenBack = Mapping[int, Sequence[LiveEntry]]
"""For each reversal row, the entries in force of the row that it takes back."""


class RegisterYear(NamedTuple):
    """What a contract is for."""

    r: int
    """Number of the register in its block."""
    year: int
    """Of the residual region's calendar."""


class Allowance(NamedTuple):
    """How a contract stands before a block."""

    cap_mWh: int
    """0 when there is none any more, and rows are taken back that it had covered."""
    used_mWh: int


class Matching(NamedTuple):
    """What contracts cover of a block."""

    rows: Mapping[int, int]
    """Energy covered, in mWh, of each row that is booked under a contract."""
    allowances: Mapping[RegisterYear, Allowance]
    """All contracts that the block concerns, before it."""
    used_mWh: Mapping[RegisterYear, int]
    """How much of each is used after it."""


UNMATCHED: Final = Matching({}, {}, {})
"""Of a block without contracts."""


def caps_of(
    intervals: Intervals,
    lines: Sequence[Sequence[Line]],
    declared_mWh: Sequence[int | None],
    year_of: YearOf,
    taken_back: TakenBack,
) -> dict[RegisterYear, int]:
    """The caps of all contracts that the rows concern; `lines` and `declared_mWh` are those of each register."""
    caps: dict[RegisterYear, int] = {}
    is_covered = [any(line.method == Method.CONTRACT_RESIDUAL for line in of_register) for of_register in lines]
    for row, (r, t0_ms) in enumerate(zip(intervals.r, intervals.t0_ms, strict=True)):
        cap_mWh = declared_mWh[r] if is_covered[r] else None
        if cap_mWh is not None or any(entry.matched_mWh for entry in taken_back.get(row, ())):
            caps[RegisterYear(r, year_of(t0_ms))] = cap_mWh or 0
    return caps


def match(
    intervals: Intervals,
    allowances: Mapping[RegisterYear, Allowance],
    year_of: YearOf,
    taken_back: TakenBack,
) -> Matching:
    """Covers the rows in their order, after what all reversal rows among them give back."""
    numbers = {r for r, _ in allowances}
    used_mWh = {key: allowance.used_mWh for key, allowance in allowances.items()}
    stated: list[tuple[int, RegisterYear, int]] = []
    for row, (r, t0_ms, energy_mWh, kind) in enumerate(
        zip(intervals.r, intervals.t0_ms, intervals.energy_mWh, intervals.kind, strict=True)
    ):
        if r not in numbers or energy_mWh is None:
            continue
        key = RegisterYear(r, year_of(t0_ms))
        if kind != RowKind.REVERSAL:
            stated.append((row, key, energy_mWh))
        elif given_back_mWh := sum(entry.matched_mWh for entry in taken_back.get(row, ())):
            used_mWh[key] -= given_back_mWh
    rows: dict[int, int] = {}
    for row, key, energy_mWh in stated:
        if key in allowances:
            rows[row] = max(0, min(energy_mWh, allowances[key].cap_mWh - used_mWh[key]))
            used_mWh[key] += rows[row]
    return Matching(rows, allowances, used_mWh)


def matched_annual(load_mWh: Sequence[int], supply_mWh: Sequence[int]) -> int:
    """Energy of a year's load that the supply of the same year covers, in mWh."""
    return min(sum(load_mWh), sum(supply_mWh))


def matched_hourly(load_mWh: Sequence[int], supply_mWh: Sequence[int]) -> int:
    """Energy of the load that the supply of the very same hour covers, in mWh; the columns are equally long."""
    return sum(min(load, supply) for load, supply in zip(load_mWh, supply_mWh, strict=True))
