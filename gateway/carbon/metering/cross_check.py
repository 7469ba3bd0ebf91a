"""CrossCheck: where a device gives both, its counter is the truth and the integral of its power must agree.

Compared are whole UTC days without a gap, by carbon-method.md, section 4: more than 5 % and two steps of the counter
apart is a disagreement. Nothing of it is kept over a restart or a step of the clock: a day that
was cut is not compared.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ext import PowerOverflow, PowerTable, Quality
from gateway.carbon.metering.correction import DAY_MS
from gateway.carbon.metering.notice import Notice, disagreement
from gateway.carbon.metering.register import Register
from gateway.store.flag import Flag

if TYPE_CHECKING:
    from drivers.device import Reading

LONGEST_GAP_MS: Final = 300_000


@dataclass(slots=True)
class _Day:
    """One register's day so far."""

    number: int
    whole: bool
    counted_mWh: int = 0
    integral_mWh: int = 0


class CrossCheck:
    """All counters that name the power point whose integral they are."""

    def __init__(self, registers: Sequence[Register]) -> None:
        self._registers = registers
        self._table = PowerTable([LONGEST_GAP_MS] * len(registers))
        self._days: dict[int, _Day] = {}

    def feed(self, registers: Sequence[Register], reading: Reading, t_ms: int) -> list[Notice]:
        """Takes in the power beside these counters, before their counts; says which disagreed over a day."""
        slots, powers_mW = array("i"), array("q")
        notices: list[Notice] = []
        for register in registers:
            power = register.spec.cross
            if power is None or reading.quality[power] != Quality.OK:
                continue
            try:
                powers_mW.append(register.spec.power_mW(reading.raws[power], reading.exponents[power]))
            except OverflowError:
                continue
            slots.append(register.slot)
            notices += self._turn(register, t_ms // DAY_MS)
        self._integrate(slots, powers_mW, array("q", [t_ms]) * len(slots))
        return notices

    def count(self, slot: int, energy_mWh: int) -> None:
        """The counter booked this much."""
        if slot in self._days:
            self._days[slot].counted_mWh += energy_mWh

    def forget(self) -> None:
        """Dates jumped: the day that they jumped out of is cut, and the one that they jumped into."""
        self._days = {}

    def _integrate(self, slots: array[int], powers_mW: array[int], t_ms: array[int]) -> None:
        try:
            events = self._table.step(slots, powers_mW, t_ms)
        except PowerOverflow as error:
            events = error.events
        for slot, missing, import_mWh, export_mWh in zip(
            events.register, events.missing, events.import_mWh, events.export_mWh, strict=True
        ):
            day = self._days[slot]
            day.whole = day.whole and not missing
            day.integral_mWh += export_mWh if self._registers[slot].spec.cross_is_back else import_mWh

    def _turn(self, register: Register, number: int) -> list[Notice]:
        """Begins a new day; compares the one before when it was whole."""
        day = self._days.get(register.slot)
        if day is not None and day.number == number:
            return []
        follows = day is not None and day.number == number - 1
        self._days[register.slot] = _Day(number, whole=follows)
        if day is None or not (follows and day.whole) or agrees(day.counted_mWh, day.integral_mWh, _step_mWh(register)):
            return []
        register.marks |= Flag.DISAGREE
        return [disagreement(register.spec, day.counted_mWh, day.integral_mWh)]


def agrees(counted_mWh: int, integral_mWh: int, step_mWh: int) -> bool:
    """True unless the two are more than 5 % of the counter and two of its steps apart."""
    return 100 * abs(counted_mWh - integral_mWh) <= 5 * counted_mWh + 200 * step_mWh


def _step_mWh(register: Register) -> int:
    counter = register.spec.counter
    assert counter is not None
    return -(-counter.scale_num // counter.scale_den)
