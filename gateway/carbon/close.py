"""Close: intervals, their entries, day totals and register states into the store, in one transaction."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.carbon.entries import Scope, compute, to_block
from gateway.carbon.factors import Factor, FactorSet
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.rules import MEMO, Declaration, Line, lines_of
from gateway.store import outbox, registers, totals
from gateway.store.ledger import STREAM
from gateway.store.registers import RegisterState
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
        if (name.device, name.register) in self.parts:
            return (MEMO,)
        return lines_of(self.devices[name.device], name.flow, self.scope.lens)


def close(
    conn: sqlite3.Connection,
    *,
    intervals: Intervals,
    states: Iterable[RegisterState],
    books: Books,
    now_ms: int,
) -> int:
    """Writes a sweep and the states taken after it, in the caller's transaction; returns how many records.

    The factors are those published at `now_ms`. Raises CarbonError when an entry cannot be computed; the
    caller's transaction then takes everything back.
    """

    def factor_at(t_ms: int) -> Factor:
        return books.factors.lookup(books.scope.region, books.scope.lens, t_ms, now_ms)

    written = 0
    for part in intervals.parts(MAX_ROWS):
        lines = [books.lines_of(name) for name in part.registers]
        source = part.to_block()
        intervals_seq = _append(conn, source, part)
        entries = to_block(compute(part, lines, factor_at), part, lines, intervals_seq, books.scope)
        _append(conn, entries, part)
        totals.add(conn, totals.from_blocks(source, entries))
        written += 2
    registers.save(conn, states)
    return written


def _append(conn: sqlite3.Connection, block: Block, part: Intervals) -> int:
    body = encode_block(block.kind, block.meta, block.columns)
    return outbox.append(conn, STREAM, block.kind, min(part.t0_ms), max(part.t1_ms), body)
