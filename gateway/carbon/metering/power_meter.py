"""PowerMeter: the power points of devices without a counter, integrated onto their timelines."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ext import PowerEvents, PowerOverflow, PowerTable, Quality
from ext.power_state import PowerState, shifted
from gateway.carbon.metering.notice import Notice, overflow
from gateway.carbon.metering.register import Register
from gateway.carbon.metering.span import Span
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

    def shift(self, by_ms: int) -> None:
        """Dates jumped forward and no time passed: all registers go on from times that are `by_ms` later."""
        for register in self._registers:
            state = self.state(register)
            if state is not None:
                self._table.load(register.slot, shifted(state, by_ms))

    def advance(self, register: Register, booked: Booked) -> None:
        """The ledger has rows that the register's state does not know: it goes on behind them."""
        register.timeline.go_on(booked.until_ms)
        behind_ms = booked.until_ms - self.settled_ms(register)
        if behind_ms > 0:
            self._table.load(register.slot, shifted(self._table.state(register.slot), behind_ms))

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
            flags = register.take_marks()
            register.timeline.book(Span(t0_ms, t1_ms, energy_mWh, back_mWh, row_class=row_class, flags=flags))
            register.timeline.close()
