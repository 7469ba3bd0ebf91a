"""Recheck: a stored block of entries computed again from its intervals, to the byte."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from gateway.carbon.booking.contracts import Allowance, RegisterYear, TakenBack, match
from gateway.carbon.booking.entries import NOTHING, Scope, compute, to_block
from gateway.carbon.booking.rules import Account, Line, Method
from gateway.carbon.errors import CarbonError
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.intervals import Intervals
from gateway.store.audit.difference import difference, interval_place
from gateway.store.row_class import RowKind
from sync.wire import Block


def recheck(intervals: Block, entries: Block, taken_back: TakenBack = NOTHING, *, factors: FactorSet) -> str | None:
    """Computes a block of entries again from its intervals; says what differs, None when nothing does.

    The factors are those that the block names, as they were known when it was booked; `taken_back` are the entries
    that each reversal row negates. The result must have the very bytes of the stored block. Raises Malformed,
    LookupError, TypeError or ValueError for blocks that `to_block` cannot have made.
    """
    unknown = _stated(intervals, entries) - {record.ref for record in factors.records}
    if unknown:
        return f"factor {min(unknown)} is not in the factor table"
    try:
        computed = recomputed(intervals, entries, taken_back, factors=factors)
    except CarbonError as error:
        return str(error)
    return difference(entries, computed, lambda found, row: interval_place(intervals, found.ints("i")[row]))


def recomputed(intervals: Block, entries: Block, taken_back: TakenBack = NOTHING, *, factors: FactorSet) -> Block:
    """The block of entries as it follows from its intervals and the factors that it names.

    Raises CarbonError where `compute` does, and what `recheck` raises.
    """
    named, stated = set(entries.meta["factors"]), _stated(intervals, entries)
    if stated != named:
        # A factor of taken-back entries may also stand behind a bound: then it takes all of them.
        with suppress(CarbonError):
            block = _computed(intervals, entries, taken_back, factors, named)
            if block == entries:
                return block
    return _computed(intervals, entries, taken_back, factors, stated)


def _computed(intervals: Block, entries: Block, taken_back: TakenBack, factors: FactorSet, refs: set[str]) -> Block:
    """The block if the factors that `refs` name were all there were."""
    meta = entries.meta
    source = Intervals.from_block(intervals)
    lines = [[_line(meta, *numbers) for numbers in of_register] for of_register in meta["lines"]]
    scope = Scope(lenses=dict(zip(meta["lenses"], meta["regions"], strict=True)), zone=meta["zone"])
    booked_ms = meta["booked_ms"]
    allowances = {
        RegisterYear(r, year): Allowance(cap_mWh, used_mWh) for r, year, cap_mWh, used_mWh, _ in meta["contracts"]
    }
    computed = compute(
        source,
        lines,
        scope=scope,
        factors=factors.only(refs),
        booked_ms=booked_ms,
        matching=match(source, allowances, partial(factors.year_of, scope.contract_region), taken_back),
        taken_back=taken_back,
    )
    return to_block(computed, source, lines, intervals_seq=meta["intervals_seq"], scope=scope, booked_ms=booked_ms)


def _stated(intervals: Block, entries: Block) -> set[str]:
    """The factors that the block looked up: those that only entries of reversal rows name were not."""
    return set(entries.meta["factors"]) - _only_taken_back(intervals, entries)


def _only_taken_back(intervals: Block, entries: Block) -> set[str]:
    """The factors that none but entries of reversal rows name: they are no longer looked up."""
    kinds, refs = intervals.ints("kind"), entries.meta["factors"]
    used: dict[bool, set[str]] = {True: set(), False: set()}
    for i, factor in zip(entries.ints("i"), entries.optional_ints("factor"), strict=True):
        if factor is not None:
            used[kinds[i] == RowKind.REVERSAL].add(refs[factor])
    return used[True] - used[False]


def _line(meta: dict[str, Any], lens: int, account: int, method: int) -> Line:
    return Line(meta["lenses"][lens], Account(meta["accounts"][account]), Method(meta["methods"][method]))
