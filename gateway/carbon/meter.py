"""Meter: readings in, rows of energy out; its saved state lets a killed process go on exactly."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ext import CounterOverflow, EventKind, Events, PowerEvents, PowerOverflow, PowerTable, Quality, ratio
from gateway.carbon.errors import StateError
from gateway.carbon.intervals import Bounds, Intervals, RegisterName
from gateway.carbon.notice import Notice, notice_of, overflow
from gateway.carbon.register_spec import FLOWS_BACK, RegisterSpec
from gateway.carbon.scaled_counters import ScaledCounters
from gateway.carbon.timeline import Boundaries, Row, Span, Timeline
from gateway.store.flag import Flag
from gateway.store.registers import RegisterState
from gateway.store.row_class import RowClass, RowKind

if TYPE_CHECKING:
    from drivers.device import Reading

REVERSE: Final = "_reverse"
"""Ends the name of the register for what a power point measured against its flow."""

_STATE_VERSION = 1
_OF_KIND = {
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


class _Register:
    """One register: its spec, its slot in the core's table, and its open rows."""

    __slots__ = ("identity", "position", "slot", "spec", "timeline")

    def __init__(self, spec: RegisterSpec, position: int, slot: int, timeline: Timeline) -> None:
        self.spec = spec
        self.position = position  # of its name in Intervals.registers
        self.slot = slot
        self.timeline = timeline
        self.identity = ""  # of the device it was last read from


class Meter:
    """All energy registers of the site.

    The caller feeds readings in time order. To make things durable it takes `sweep()` (or not) and then
    `states()`, writes both in one transaction, and calls `saved()`. When the transaction fails it writes the
    same intervals again, together with newer states.
    """

    def __init__(self, specs: Sequence[RegisterSpec], interval_ms: int, boundaries: Boundaries) -> None:
        """`interval_ms` divides the hour; `boundaries` gives the times where factors change."""
        self._interval_ms = interval_ms
        self._names: list[RegisterName] = []
        self._counters: list[_Register] = []
        self._powers: list[_Register] = []
        self._by_device: dict[str, tuple[list[_Register], list[_Register]]] = {}
        for spec in specs:
            of_device = self._by_device.setdefault(spec.device, ([], []))
            kind = 0 if spec.counter else 1
            peers = (self._counters, self._powers)[kind]
            register = _Register(spec, len(self._names), len(peers), Timeline(interval_ms, boundaries))
            peers.append(register)
            of_device[kind].append(register)
            self._names.append(RegisterName(spec.device, spec.register, spec.flow))
            if spec.counter is None:
                back = FLOWS_BACK[spec.flow]
                self._names.append(RegisterName(spec.device, spec.register + REVERSE, back))
        self._counter_table = ScaledCounters([spec.counter for spec in specs if spec.counter])
        self._power_table = PowerTable([spec.max_gap_ms for spec in specs if spec.counter is None])
        self._changed: set[_Register] = set()
        self._being_saved: set[_Register] = set()
        self._urgent: set[_Register] = set()
        self._urgent_saved: set[_Register] = set()

    @property
    def needs_checkpoint(self) -> bool:
        """True when a register has a new base, which must be durable at once: energy counts from it."""
        return bool(self._urgent)

    @property
    def newest_ms(self) -> int:
        """The newest date that any register knows, 0 when none does: no reading may be dated before it."""
        ends = [register.timeline.end_ms for register in (*self._counters, *self._powers)]
        settled = [self._counter_table.settled_ms(register.slot) for register in self._counters]
        return max((0, *ends, *settled))

    def feed(self, reading: Reading, t_ms: int) -> list[Notice]:
        """Takes in one device's reading, dated `t_ms`; returns what a person should know.

        Only values of quality OK count. A reading that is not later than the one before it is dropped, by
        which a counter loses nothing.
        """
        counters, powers = self._by_device.get(reading.device, ((), ()))
        return [*self._feed_counters(counters, reading, t_ms), *self._feed_powers(powers, reading, t_ms)]

    def note_identity(self, device: str, identity: str | None) -> None:
        """Says which device answers under this name (serial, model, register map); None or "" when unknown.

        Another identity than before makes the next reading of its counters a swap.
        """
        if not identity:
            return
        counters, powers = self._by_device.get(device, ((), ()))
        for register in (*counters, *powers):
            if register.identity != identity:
                if register.identity and register.spec.counter:
                    self._counter_table.swap(register.slot)
                register.identity = identity
                self._changed.add(register)

    def sweep(self) -> Intervals:
        """Closes the rows that end at or before the last grid line up to which their register was read.

        A register with a held reading closes nothing. What is returned is the caller's to keep and write.
        """
        closed = Intervals(registers=self._names)
        for register in sorted((*self._counters, *self._powers), key=_position):
            if register.spec.counter and self._counter_table.held(register.slot):
                continue
            end_ms = register.timeline.end_ms
            rows = register.timeline.take(end_ms - end_ms % self._interval_ms)
            if rows:
                self._changed.add(register)
            for row in rows:
                _close(closed, register.position, row, row.energy_mWh)
            for row in rows:
                if row.back_mWh:
                    _close(closed, register.position + 1, row, row.back_mWh)
        return closed

    def states(self) -> list[RegisterState]:
        """The states of all registers that changed since they were last saved."""
        self._being_saved |= self._changed
        self._urgent_saved = set(self._urgent)
        self._changed = set()
        return [
            (register.spec.device, register.spec.register, self._state(register))
            for register in sorted(self._being_saved, key=_position)
        ]

    def saved(self) -> None:
        """The states that `states()` gave last are durable."""
        self._urgent -= self._urgent_saved
        self._being_saved = set()

    def load(self, rows: Iterable[RegisterState]) -> None:
        """Takes over saved states, before the first reading; those of registers that are gone are left alone.

        Raises StateError, naming the register, for a state that cannot be read.
        """
        known = {(r.spec.device, r.spec.register): r for r in (*self._counters, *self._powers)}
        for device, name, text in rows:
            register = known.get((device, name))
            if register is None:
                continue
            try:
                self._load(register, json.loads(text))
            except (TypeError, ValueError) as error:
                raise StateError(
                    f"the stored state of register {name} of device {device} cannot be read ({error}); "
                    "use the version of huxi that wrote it, or give the device another name"
                ) from error

    def _feed_counters(self, registers: Sequence[_Register], reading: Reading, t_ms: int) -> Sequence[Notice]:
        table = self._counter_table
        slots, raws, ulps = array("i"), array("q"), array("q")
        for register in registers:
            point, slot = register.spec.point, register.slot
            if reading.quality[point] != Quality.OK:
                continue
            exponent = reading.exponents[point]
            if exponent != table.exponent(slot) and not table.rescale(slot, exponent):
                continue
            slots.append(slot)
            raws.append(reading.raws[point])
            ulps.append(reading.ulps[point])
            self._changed.add(register)
        if not slots:
            return ()
        try:
            return self._book_counts(table.step(slots, raws, ulps, array("q", [t_ms]) * len(slots)))
        except CounterOverflow as error:
            beyond = [overflow(self._counters[slot].spec) for slot in error.registers]
            return [*self._book_counts(error.events), *beyond]

    def _book_counts(self, events: Events) -> list[Notice]:
        notices: list[Notice] = []
        columns = (events.t0_ms, events.t1_ms, events.energy_mWh, events.raw_begin, events.raw_end)
        for slot, number, t0_ms, t1_ms, energy_mWh, begin, end, lo_mWh, hi_mWh, epoch in zip(
            events.register, events.kind, *columns, events.lo_mWh, events.hi_mWh, events.epoch, strict=True
        ):
            register = self._counters[slot]
            if number in (EventKind.FIRST, EventKind.SWAP):
                self._urgent.add(register)
            if t0_ms == t1_ms:  # a first reading, or one that was not accepted
                continue
            kind = EventKind(number)
            row_class, flags = _OF_KIND[kind]
            if energy_mWh and t1_ms - t0_ms > register.spec.max_gap_ms:
                flags |= Flag.INTERP_PROFILE
            doubtful = lo_mWh != energy_mWh or hi_mWh != energy_mWh
            bounds = Bounds(t0_ms, t1_ms, lo_mWh, hi_mWh) if doubtful else None
            register.timeline.book(Span(t0_ms, t1_ms, energy_mWh, 0, begin, end, row_class, flags, epoch, bounds))
            notice = notice_of(register.spec, kind, begin, end)
            if notice is not None:
                notices.append(notice)
        return notices

    def _feed_powers(self, registers: Sequence[_Register], reading: Reading, t_ms: int) -> Sequence[Notice]:
        slots, powers_mW = array("i"), array("q")
        beyond: list[Notice] = []
        for register in registers:
            spec = register.spec
            if reading.quality[spec.point] != Quality.OK:
                continue
            exponent = reading.exponents[spec.point]
            try:
                power_mW = ratio(
                    reading.raws[spec.point],
                    spec.power_num * 10 ** max(exponent, 0),
                    spec.power_den * 10 ** max(-exponent, 0),
                )
            except OverflowError:
                beyond.append(overflow(spec))
                continue
            slots.append(register.slot)
            powers_mW.append(power_mW)
            self._changed.add(register)
        if not slots:
            return beyond
        try:
            self._book_power(self._power_table.step(slots, powers_mW, array("q", [t_ms]) * len(slots)))
        except PowerOverflow as error:
            self._book_power(error.events)
            beyond += [overflow(self._powers[slot].spec) for slot in error.registers]
        return beyond

    def _book_power(self, events: PowerEvents) -> None:
        for slot, t0_ms, t1_ms, energy_mWh, back_mWh, missing in zip(
            events.register,
            events.t0_ms,
            events.t1_ms,
            events.import_mWh,
            events.export_mWh,
            events.missing,
            strict=True,
        ):
            register = self._powers[slot]
            if t0_ms == t1_ms:
                self._urgent.add(register)
                continue
            row_class = RowClass.MISSING if missing else RowClass.MEASURED
            register.timeline.book(Span(t0_ms, t1_ms, energy_mWh, back_mWh, row_class=row_class))

    def _state(self, register: _Register) -> str:
        table: Sequence[int] | None = None
        if register.spec.counter:
            table = self._counter_table.state(register.slot)
        elif self._power_table.has_state(register.slot):
            table = self._power_table.state(register.slot)
        kind = "counter" if register.spec.counter else "power"
        state = [_STATE_VERSION, kind, table, register.identity, register.timeline.to_state()]
        return json.dumps(state, separators=(",", ":"))

    def _load(self, register: _Register, state: list[Any]) -> None:
        version, kind, table, identity, timeline = state
        if version != _STATE_VERSION:
            raise ValueError(f"it is of version {version}")
        register.timeline.load(timeline)
        register.identity = identity
        if table is None or kind != ("counter" if register.spec.counter else "power"):
            return  # measured in another way from now on: it begins anew
        if register.spec.counter:
            self._counter_table.load(register.slot, table)
        else:
            self._power_table.load(register.slot, table)


def _close(closed: Intervals, position: int, row: Row, energy_mWh: int) -> None:
    missing = row.row_class == RowClass.MISSING
    closed.bounds.extend((len(closed), bounds) for bounds in row.bounds)  # only counters have any
    closed.r.append(position)
    closed.epoch.append(row.epoch)
    closed.t0_ms.append(row.t0_ms)
    closed.t1_ms.append(row.t1_ms)
    closed.energy_mWh.append(None if missing else energy_mWh)
    closed.raw_begin.append(row.raw_begin)
    closed.raw_end.append(row.raw_end)
    closed.row_class.append(int(row.row_class))
    closed.flags.append(int(row.flags))
    closed.kind.append(int(RowKind.REVERSAL if energy_mWh < 0 else RowKind.NORMAL))


def _position(register: _Register) -> int:
    return register.position
