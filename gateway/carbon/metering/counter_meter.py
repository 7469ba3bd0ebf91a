"""CounterMeter: the counters of the site, from raw counts to spans of energy on their timelines."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ext import CounterOverflow, EventKind, Events, Quality
from gateway.carbon.intervals import Bounds
from gateway.carbon.metering.cross_check import CrossCheck
from gateway.carbon.metering.notice import Notice, notice_of, overflow, unreadable_scale
from gateway.carbon.metering.placing import Placing
from gateway.carbon.metering.register import Register, whole
from gateway.carbon.metering.scaled_counters import ScaledCounters
from gateway.carbon.metering.span import Span
from gateway.carbon.metering.trace import Count
from gateway.store.flag import Flag
from gateway.store.ledger.booked import Booked
from gateway.store.row_class import RowClass

if TYPE_CHECKING:
    from drivers.device import Reading

_OF_KIND: Final = {
    EventKind.OK: (RowClass.MEASURED, Flag(0)),
    EventKind.STEP: (RowClass.MEASURED, Flag(0)),
    EventKind.JITTER: (RowClass.MEASURED, Flag.JITTER),
    EventKind.WRAP: (RowClass.MEASURED, Flag.WRAP),
    EventKind.RESET: (RowClass.MEASURED, Flag.RESET | Flag.LOWER_BOUND),
    EventKind.GLITCH: (RowClass.MEASURED, Flag.GLITCH),
    EventKind.AMBIGUOUS: (RowClass.MEASURED, Flag.AMBIGUOUS),
    EventKind.SWAP: (RowClass.MISSING, Flag.SWAP),
    EventKind.JUMP_REBASED: (RowClass.SUSPECT, Flag.JUMP),
    EventKind.AMBIGUOUS_WRAP: (RowClass.SUSPECT, Flag.AMBIGUOUS | Flag.WRAP),
    EventKind.RECOVERED: (RowClass.MEASURED, Flag.RECOVERED),
    EventKind.CYCLE_END: (RowClass.MEASURED, Flag.LOWER_BOUND),
    EventKind.STALE_DAY: (RowClass.MEASURED, Flag.STALE_DAY),
}

_RESETS: Final = (EventKind.RESET, EventKind.CYCLE_END)
"""From these on the core remembers the epoch before."""


class CounterMeter:
    """The core's counter table, and what its events mean for the registers."""

    def __init__(self, registers: Sequence[Register]) -> None:
        """`registers` have a counter each; their slots are their positions."""
        self._registers = registers
        self._table = ScaledCounters([register.spec.counter for register in registers if register.spec.counter])
        self._cross_check = CrossCheck(registers)

    def feed(self, registers: Sequence[Register], reading: Reading, t_ms: int) -> list[Notice]:
        """Takes in the counts of these registers of one device; values of other quality than OK do not count."""
        table = self._table
        slots, raws, ulps = array("i"), array("q"), array("q")
        notices = self._cross_check.feed(registers, reading, t_ms)
        for register in registers:
            point, slot = register.spec.point, register.slot
            if reading.quality[point] != Quality.OK:
                continue
            exponent = reading.exponents[point]
            if exponent != table.exponent(slot) and not table.rescale(slot, exponent):
                notices.append(unreadable_scale(register.spec, exponent))
                continue
            if register.begins_anew(whole(reading, register.spec.uptime), whole(reading, register.spec.session)):
                table.restarted(slot)
            slots.append(slot)
            raws.append(reading.raws[point])
            ulps.append(reading.ulps[point])
            register.changed = True
        if not slots:
            return notices
        return notices + self._judge(slots, raws, ulps, array("q", [t_ms]) * len(slots))

    def replay(
        self, register: Register, boots: Sequence[tuple[int, Sequence[Count]]], placing: Placing
    ) -> list[Notice]:
        """Takes in what was kept of a register in boots without a date, each with the date of its monotonic zero."""
        table, slot = self._table, register.slot
        notices: list[Notice] = []
        table.move(slot, placing.virtual)
        for offset_ms, counts in boots:
            for count in counts:
                if count.identity and register.identity not in ("", count.identity):
                    table.swap(slot)
                register.identity = count.identity or register.identity
                if count.exponent != table.exponent(slot) and not table.rescale(slot, count.exponent):
                    notices.append(unreadable_scale(register.spec, count.exponent))
                    continue
                if register.begins_anew(count.uptime, count.session):
                    table.restarted(slot)
                t_ms = placing.virtual(offset_ms + count.mono_ms)
                raws, ulps, times = (array("q", [number]) for number in (count.raw, count.ulp, t_ms))
                notices += self._judge(array("i", [slot]), raws, ulps, times, placing)
        table.move(slot, placing.true)
        return notices

    def swap(self, register: Register) -> None:
        """Another device answers: the next reading opens a new epoch and books nothing."""
        self._table.swap(register.slot)

    def shift(self, by_ms: int) -> None:
        """Dates jumped forward and no time passed: all registers go on from times that are `by_ms` later."""
        for register in self._registers:
            self._table.move(register.slot, lambda t_ms: t_ms + by_ms)
        self._cross_check.forget()

    def turn_back(self, by_ms: int) -> None:
        """Dates went back and time did not: all registers go on from earlier times, in epochs of their own."""
        for register in self._registers:
            self._table.turn_back(register.slot, by_ms)
        self._cross_check.forget()

    def advance(self, register: Register, booked: Booked) -> None:
        """The ledger has rows that the register's state does not know: they are not booked again."""
        timeline = register.timeline
        known_mWh = booked.energy_mWh - timeline.open_mWh
        rest_mWh = self._table.advance(register.slot, known_mWh, booked.until_ms, booked.epoch)
        timeline.go_on(booked.until_ms, rest_mWh, booked.epoch)

    def held(self, register: Register) -> bool:
        """True while a reading is held back and nothing may be closed."""
        return self._table.held(register.slot)

    def settled_ms(self, register: Register) -> int:
        """Time of the last accepted reading; -1 when there is none."""
        return self._table.settled_ms(register.slot)

    def state(self, register: Register) -> Sequence[int] | None:
        """The register's state in the core; None before the first reading."""
        return self._table.state(register.slot)

    def load(self, register: Register, state: Sequence[int]) -> None:
        """Takes over what `state` gave. Raises ValueError for anything else."""
        self._table.load(register.slot, state)

    def _judge(
        self,
        slots: array[int],
        raws: array[int],
        ulps: array[int],
        t_ms: array[int],
        placing: Placing | None = None,
    ) -> list[Notice]:
        try:
            return self._book(self._table.step(slots, raws, ulps, t_ms), placing)
        except CounterOverflow as error:
            beyond = [overflow(self._registers[slot].spec) for slot in error.registers]
            return self._book(error.events, placing) + beyond

    def _book(self, events: Events, placing: Placing | None) -> list[Notice]:
        notices: list[Notice] = []
        moved: list[Register] = []
        columns = (events.t0_ms, events.t1_ms, events.energy_mWh, events.raw_begin, events.raw_end)
        for slot, number, t0_ms, t1_ms, energy_mWh, begin, end, lo_mWh, hi_mWh, epoch in zip(
            events.register, events.kind, *columns, events.lo_mWh, events.hi_mWh, events.epoch, strict=True
        ):
            register, kind = self._registers[slot], EventKind(number)
            register.urgent |= kind in (EventKind.FIRST, EventKind.SWAP)
            notice = notice_of(register.spec, kind, begin, end)
            if notice is not None:
                notices.append(notice)
            if t0_ms == t1_ms:  # a first reading, or one that was not accepted
                continue
            self._cross_check.count(slot, energy_mWh)
            row_class, flags = _OF_KIND[kind]
            if kind in _RESETS:
                register.skipped_ms = 0
            elif kind == EventKind.RECOVERED and register.skipped_ms:
                # The rows that it replaces kept the dates that they had before the clock jumped.
                t0_ms -= register.skipped_ms
                flags |= Flag.CLOCK_STEP
            if kind == EventKind.RESET and register.spec.session is not None:
                flags = Flag.RESET  # a session ends where the next begins: nothing is lost
            if energy_mWh and t1_ms - t0_ms > register.spec.max_gap_ms:
                flags |= Flag.INTERP_PROFILE
            flags |= register.take_marks()
            # A recovery gives its net energy, and the gross as its bounds: what it replaces falls with its rows.
            replaces = kind == EventKind.RECOVERED
            booked_mWh = lo_mWh if replaces else energy_mWh
            doubtful = not lo_mWh == booked_mWh == hi_mWh
            bounds = Bounds(t0_ms, t1_ms, lo_mWh, hi_mWh) if doubtful else None
            span = Span(t0_ms, t1_ms, booked_mWh, 0, begin, end, row_class, flags, epoch, bounds, replaces)
            register.timeline.book(span if placing is None else placing.placed(span))
            moved.append(register)
        for register in moved:
            if not self.held(register):
                register.timeline.close()
        return notices
