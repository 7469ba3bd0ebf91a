"""Close: what a sweep gave, its entries and day totals into the store, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from gateway.carbon.booking.aside import Aside, set_aside
from gateway.carbon.booking.contracts import UNMATCHED, Allowance, Matching, TakenBack, caps_of, match
from gateway.carbon.booking.entries import Scope, compute, to_block
from gateway.carbon.booking.rules import Declaration, Line, lines_of, memo
from gateway.carbon.errors import RuleError
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.correction import Correction, corrected
from gateway.carbon.metering.sweep import Sweep, coverage
from gateway.store import contract_use, outbox, totals
from gateway.store.contract_use import ContractYear
from gateway.store.errors import StoreError
from gateway.store.ledger import live
from gateway.store.ledger.live import LiveRow
from gateway.store.record import STREAM
from sync.wire import Block, encode_block

MAX_ROWS: Final = 2000
"""Most intervals in a record: what comes back after a long outage must still fit the batches of sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the ledger has to know of the site."""

    scope: Scope
    factors: FactorSet
    devices: Mapping[str, Declaration]
    """By name."""
    parts: frozenset[tuple[str, str]] = frozenset()
    """Device and register whose energy is part of another register's: booked once, there."""

    def lines_of(self, name: RegisterName) -> tuple[Line, ...]:
        """The entries that each interval of a register gives. Raises RuleError when there is no rule."""
        if name.device not in self.devices:
            raise RuleError(f"device {name.device} is not in the configuration any more; name it again to book for it")
        if (name.device, name.register) in self.parts:
            return memo(self.scope.lenses)
        return lines_of(self.devices[name.device], name.flow, self.scope.lenses)


class Written(NamedTuple):
    """What has been written."""

    records: int
    aside: Sequence[Aside] = ()
    """Intervals too large to be booked: a person should know of them."""

    def plus(self, other: Written) -> Written:
        """Both together."""
        return Written(self.records + other.records, [*self.aside, *other.aside])


def close(conn: sqlite3.Connection, *, sweep: Sweep, books: Books, now_ms: int) -> Written:
    """Writes a sweep in the caller's transaction.

    The factors are those published at `now_ms`. Raises CarbonError when an entry cannot be computed; the
    caller's transaction then takes everything back.
    """
    written = _book(conn, sweep.intervals, {}, books, now_ms)
    for correction in sweep.corrections:
        written = written.plus(_found(conn, correction, books, now_ms))
    if sweep.late:
        block = coverage(sweep.late, now_ms)
        since_ms = min((late.closed_until_ms or now_ms for late in sweep.late), default=now_ms)
        outbox.append(conn, STREAM, block.kind, since_ms, now_ms, encode_block(block.kind, block.meta, block.columns))
        written = written.plus(Written(1))
    return written


def _found(conn: sqlite3.Connection, correction: Correction, books: Books, now_ms: int) -> Written:
    """A correction of the meter's; set aside where an old record cannot be read, so that nothing else waits for it."""
    device, register, _ = correction.name
    try:
        before = live.of_register(conn, device, register, correction.span.t0_ms)
    except StoreError as error:
        energy_mWh = sum(piece.energy_mWh for piece in correction.pieces)
        span = correction.span
        return Written(0, [Aside(correction.name, span.t0_ms, span.t1_ms, energy_mWh, f"not booked: {error}")])
    return correct(conn, correction, before, books=books, now_ms=now_ms)


def correct(
    conn: sqlite3.Connection, correction: Correction, before: Sequence[LiveRow], *, books: Books, now_ms: int
) -> Written:
    """Writes one correction in the caller's transaction; `before` are the register's rows in force by then."""
    rows, taken_back = corrected(correction, before)
    return _book(conn, rows, {at: row.entries for at, row in taken_back.items()}, books, now_ms)


def _book(conn: sqlite3.Connection, intervals: Intervals, taken_back: TakenBack, books: Books, now_ms: int) -> Written:
    """Each part as a record of intervals and one of entries; `taken_back` are the entries that reversal rows negate."""
    written = Written(0)
    for number, part in enumerate(intervals.parts(MAX_ROWS)):
        first = number * MAX_ROWS
        own = {at - first: entries for at, entries in taken_back.items() if first <= at < first + len(part)}
        written = written.plus(_book_part(conn, part, own, books, now_ms))
    return written


def _book_part(conn: sqlite3.Connection, part: Intervals, taken_back: TakenBack, books: Books, now_ms: int) -> Written:
    lines = [books.lines_of(name) for name in part.registers]
    scope, factors = books.scope, books.factors
    part, aside = set_aside(part, lines, scope=scope, factors=factors, booked_ms=now_ms)
    source = part.to_block()
    intervals_seq = _append(conn, source, part)
    matching = _match(conn, part, lines, taken_back, books)
    computed = compute(
        part, lines, scope=scope, factors=factors, booked_ms=now_ms, matching=matching, taken_back=taken_back
    )
    entries = to_block(computed, part, lines, intervals_seq=intervals_seq, scope=scope, booked_ms=now_ms)
    _append(conn, entries, part)
    totals.add(conn, totals.from_blocks(source, entries))
    return Written(2, aside)


def _match(
    conn: sqlite3.Connection,
    part: Intervals,
    lines: Sequence[Sequence[Line]],
    taken_back: TakenBack,
    books: Books,
) -> Matching:
    """What contracts cover of the rows; what they have used by then is kept."""
    year_of = partial(books.factors.year_of, books.scope.contract_region)
    declared_mWh = [books.devices[name.device].contract_mWh for name in part.registers]
    caps = caps_of(part, lines, declared_mWh, year_of, taken_back)
    if not caps:
        return UNMATCHED
    years = {key: ContractYear(*part.registers[key.r][:2], key.year) for key in caps}
    allowances = {key: Allowance(cap_mWh, contract_use.used_mWh(conn, years[key])) for key, cap_mWh in caps.items()}
    matching = match(part, allowances, year_of, taken_back)
    contract_use.save(conn, ((years[key], used_mWh) for key, used_mWh in matching.used_mWh.items()))
    return matching


def _append(conn: sqlite3.Connection, block: Block, part: Intervals) -> int:
    body = encode_block(block.kind, block.meta, block.columns)
    return outbox.append(conn, STREAM, block.kind, min(part.t0_ms), max(part.t1_ms), body)
