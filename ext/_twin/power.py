"""PowerTable: the plain-Python reference of the power integral (carbon-method.md, section 4)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from ext.columns import require_batch
from ext.limits import POWER_LIMIT_MW
from ext.overflow import PowerOverflow
from ext.power_events import PowerEvents
from ext.power_state import HALF_UJ_PER_MWH, PowerState, check_gaps, power_state_from_tuple


class PowerTable:
    """Trapezoids between consecutive samples, one register a row; ValueError for a gap limit out of range.

    Threads: as CounterTable.
    """

    def __init__(self, max_gap_ms: Sequence[int]) -> None:
        check_gaps(max_gap_ms)
        self._max_gap_ms = tuple(max_gap_ms)
        self._states: list[PowerState | None] = [None] * len(self._max_gap_ms)

    def step(self, registers: array[int], power_mW: array[int], t_ms: array[int]) -> PowerEvents:
        """Integrate a batch of valid samples, in time order for each register.

        Columns: `registers` array 'i', the others 'q' (TypeError), of one length (ValueError). A sample that
        is not later than the one before it is dropped. PowerOverflow, after the batch, for samples beyond 1
        GW.
        """
        require_batch(registers, (power_mW, t_ms), t_ms, len(self._states))
        events = PowerEvents()
        overflown = []
        for register, power, t in zip(registers, power_mW, t_ms, strict=True):
            if abs(power) > POWER_LIMIT_MW:
                overflown.append(register)
            else:
                self._take(register, power, t, events)
        if overflown:
            raise PowerOverflow(tuple(dict.fromkeys(overflown)), events)
        return events

    def has_state(self, register: int) -> bool:
        """True once the register had a sample. IndexError for an unknown register, as in all methods."""
        return self._states[self._known(register)] is not None

    def state(self, register: int) -> tuple[int, ...]:
        """The complete state as integers, version first; ValueError when there is none yet."""
        state = self._states[self._known(register)]
        if state is None:
            raise ValueError(f"power register {register} has no state yet")
        return state.to_tuple()

    def load(self, register: int, state: Sequence[int]) -> None:
        """Take over what `state` gave; ValueError for anything else."""
        self._states[self._known(register)] = power_state_from_tuple(register, state)

    def _known(self, register: int) -> int:
        if not 0 <= register < len(self._states):
            raise IndexError(f"no power register {register}")
        return register

    def _take(self, register: int, power: int, t: int, events: PowerEvents) -> None:
        before = self._states[register]
        if before is None:
            self._states[register] = PowerState(t, power, 0, 0)
            _append(events, register, t, t, 0, 0, 0)
            return
        if t <= before.t_last:
            return
        missing = t - before.t_last > self._max_gap_ms[register]
        gained, given = (0, 0) if missing else _trapezoid(before.power_mW, power, t - before.t_last)
        import_mWh, import_carry = divmod(before.import_carry + gained, HALF_UJ_PER_MWH)
        export_mWh, export_carry = divmod(before.export_carry + given, HALF_UJ_PER_MWH)
        self._states[register] = PowerState(t, power, import_carry, export_carry)
        _append(events, register, before.t_last, t, import_mWh, export_mWh, int(missing))


def _trapezoid(p0: int, p1: int, dt_ms: int) -> tuple[int, int]:
    """Half-uJ of positive and of negative power between two samples, split where the line crosses zero."""
    net = (p0 + p1) * dt_ms
    if p0 > 0 > p1:
        gained = p0 * p0 * dt_ms // (p0 - p1)
        return gained, gained - net
    if p0 < 0 < p1:
        given = p0 * p0 * dt_ms // (p1 - p0)
        return given + net, given
    return (net, 0) if net >= 0 else (0, -net)


def _append(
    events: PowerEvents, register: int, t0: int, t1: int, import_mWh: int, export_mWh: int, missing: int
) -> None:
    events.register.append(register)
    events.t0_ms.append(t0)
    events.t1_ms.append(t1)
    events.import_mWh.append(import_mWh)
    events.export_mWh.append(export_mWh)
    events.missing.append(missing)
