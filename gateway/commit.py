"""Commit: all that one transaction of the recorder writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.alarms import Alarm
from gateway.carbon.booking.aside import Aside
from gateway.carbon.booking.close import Books, close
from gateway.carbon.metering.sweep import Sweep
from gateway.clock import Anchor
from gateway.series import Work
from gateway.store import boots, lessons, outbox, registers
from gateway.store.registers import RegisterState
from gateway.store.series.raw import Day as RawDay
from sync.wire import encode_block


class Written(NamedTuple):
    """What came of it."""

    aside: list[Aside]
    """What was too large to be booked."""
    raw_day: RawDay | None
    """Raw series so far today, None where none are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Sweeps, states and everything else that becomes durable together, or not at all."""

    sweeps: Sequence[Sweep]
    states: Sequence[RegisterState]
    alarms: Sequence[Alarm]
    lessons: Mapping[str, str]
    """What devices have taught anew, by name."""
    boot: str
    undated: bytes | None
    """What was read without a date since the last commit."""
    undated_is_whole: bool
    """True when that stands instead of all that is stored of this boot."""
    anchor: Anchor | None
    """The date of this boot, when it is to be stored."""
    series: Work | None
    now_ms: int

    def write(self, conn: sqlite3.Connection, books: Books) -> Written:
        """Writes it all, in the caller's transaction."""
        if self.undated is not None:
            boots.append(conn, self.boot, self.undated, is_whole=self.undated_is_whole)
        if self.anchor is not None:
            boots.settle(conn, self.boot, boots.Dated(self.anchor.offset_ms, self.anchor.source))
        closed = [close(conn, sweep=sweep, books=books, now_ms=self.now_ms) for sweep in self.sweeps]
        registers.save(conn, self.states)
        lessons.save(conn, self.lessons)
        for alarm in self.alarms:
            outbox.append(conn, "events", "alarm", alarm.t_ms, alarm.t_ms, encode_block("alarm", alarm.to_meta(), {}))
        raw_day = None if self.series is None else self.series.write(conn)
        return Written([found for each in closed for found in each.aside], raw_day)
