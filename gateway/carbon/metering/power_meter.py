"""PowerMeter: the power points of devices without a counter, integrated onto their timelines."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ext import PowerEvents, PowerOverflow, PowerTable, Quality
from ext.power_state import VERSION, PowerState, moved
from gateway.carbon.metering.notice import Notice, overflow
from gateway.carbon.metering.placing import Placing
from gateway.carbon.metering.register import Register
from gateway.carbon.metering.span import Span
from gateway.carbon.metering.trace import Power
from gateway.store.ledger.booked import Booked
from gateway.store.row_class import RowClass

if TYPE_CHECKING:
    from drivers.device import Reading


class PowerMeter:
    """The core's power table, and what its events mean for the registers."""

    def __init__(self, registers: Sequence[Register]) -> None:
        """`registers` have no counter; their slots are their positions."""
        self._registers = registers
        self._table = PowerTable([register.spec.max_gap_ms for register in registers])

    def feed(self, registers: Sequence[Register], reading: Reading, t_ms: int) -> list[Notice]:
        """Takes in the power of these registers of one device; values of other quality than OK do not count."""
        slots, powers_mW = array("i"), array("q")
        beyond: list[Notice] = []
        for register in registers:
            spec = register.spec
            if reading.quality[spec.point] != Quality.OK:
                continue
            try:
                power_mW = spec.power_mW(reading.raws[spec.point], reading.exponents[spec.point])
            except OverflowError:
                beyond.append(overflow(spec))
                continue
            slots.append(register.slot)
            powers_mW.append(power_mW)
            register.changed = True
        if not slots:
            return beyond
        try:
            self._book(self._table.step(slots, powers_mW, array("q", [t_ms]) * len(slots)))
        except PowerOverflow as error:
            self._book(error.events)
            beyond += [overflow(self._registers[slot].spec) for slot in error.registers]
        return beyond

    def replay(self, register: Register, boots: Sequence[tuple[int, Sequence[Power]]], placing: Placing) -> None:
        """Takes in what was kept of a register in boots without a date, each with the date of its monotonic zero.

        A boot's integral began anew: less than 1 mWh of what came before it is left out.
        """
        timeline = register.timeline
        for offset_ms, powers in boots:
            for power in powers:
                t0_ms, t1_ms = offset_ms + power.t0_ms, offset_ms + power.mono_ms
                silent_ms = timeline.end_ms
                if 0 < silent_ms < t0_ms:
                    self._lay(register, placing, Span(silent_ms, t0_ms, 0, row_class=RowClass.MISSING))
                if t0_ms < t1_ms:
                    row_class = RowClass.MISSING if power.missing else RowClass.MEASURED
                    span = Span(t0_ms, t1_ms, power.energy_mWh, power.back_mWh, row_class=row_class)
                    self._lay(register, placing, span)
            if powers:
                last = powers[-1]
                state = (VERSION, offset_ms + last.mono_ms, last.power_mW, last.carry, last.back_carry)
                self._table.load(register.slot, state)

    def shift(self, by_ms: int) -> None:
        """Dates jumped, no time passed: all registers go on from times that are `by_ms` later (earlier if negative)."""
        for register in self._registers:
            state = self.state(register)
            if state is not None:
                self._table.load(register.slot, moved(state, lambda t_ms: max(0, t_ms + by_ms)))

    def advance(self, register: Register, booked: Booked) -> None:
        """The ledger has rows that the register's state does not know: it goes on behind them."""
        register.timeline.go_on(booked.until_ms)
        register.timeline.turns = max(register.timeline.turns, booked.epoch)
        state = self._table.state(register.slot)
        self._table.load(register.slot, moved(state, lambda t_ms: max(t_ms, booked.until_ms)))

    def settled_ms(self, register: Register) -> int:
        """Time of the last sample; -1 when there is none."""
        state = self.state(register)
        return -1 if state is None else PowerState(*state[1:]).t_last

    def state(self, register: Register) -> Sequence[int] | None:
        """The register's state in the core; None before the first sample."""
        return self._table.state(register.slot) if self._table.has_state(register.slot) else None

    def load(self, register: Register, state: Sequence[int]) -> None:
        """Takes over what `state` gave. Raises ValueError for anything else."""
        self._table.load(register.slot, state)

    def _book(self, events: PowerEvents) -> None:
        for slot, t0_ms, t1_ms, energy_mWh, back_mWh, missing in zip(
            events.register,
            events.t0_ms,
            events.t1_ms,
            events.import_mWh,
            events.export_mWh,
            events.missing,
            strict=True,
        ):
            register = self._registers[slot]
            if t0_ms == t1_ms:
                register.urgent = True
                continue
            row_class = RowClass.MISSING if missing else RowClass.MEASURED
            self._lay(register, None, Span(t0_ms, t1_ms, energy_mWh, back_mWh, row_class=row_class))

    def _lay(self, register: Register, placing: Placing | None, span: Span) -> None:
        span = span._replace(flags=register.take_marks(), epoch=register.timeline.turns)
        register.timeline.book(span if placing is None else placing.told(span))
        register.timeline.close()
