"""CounterTable: the plain-Python reference of counters -> energy (carbon-method.md, section 3)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from ext._twin.judgement import Judgement, Row
from ext.columns import require_batch
from ext.counter_spec import CounterSpec, check_counters
from ext.counter_state import CounterState, Hold, state_from_tuple
from ext.events import Events
from ext.overflow import CounterOverflow


class CounterTable:
    """Turns readings of cumulative counters into energy; ValueError for a spec outside the core's limits.

    Registers are numbered by their place in `specs`; every method raises IndexError for an unknown one. A table serves
    one thread at a time: a long batch lets other threads run, and they leave the table and the columns alone.
    """

    def __init__(self, specs: Sequence[CounterSpec]) -> None:
        check_counters(specs)
        self._specs = tuple(specs)
        self._states: list[CounterState | None] = [None] * len(self._specs)

    def step(self, registers: array[int], raws: array[int], ulps: array[int], t_ms: array[int]) -> Events:
        """Judge a batch of readings of quality OK, in time order for each register.

        Columns: `registers` array 'i', the others 'q' (TypeError), of one length (ValueError). `ulps` above 0
        marks a float counter and gives the size of its last place in counts: that much is jitter, and a rise
        of that much is always accepted. CounterOverflow, after the batch, for readings whose amounts leave
        int64.
        """
        require_batch(registers, (raws, ulps, t_ms), t_ms, len(self._specs))
        events = Events()
        overflown = []
        for register, raw, ulp, t in zip(registers, raws, ulps, t_ms, strict=True):
            judgement = Judgement(self._specs[register], self._states[register], raw, ulp, t)
            try:
                state = judgement.run()
            except OverflowError:
                overflown.append(register)
                continue
            self._states[register] = state
            for row in judgement.rows:
                _append(events, register, row)
        if overflown:
            raise CounterOverflow(tuple(dict.fromkeys(overflown)), events)
        return events

    def swap(self, register: int) -> None:
        """Say that identity, scale or map changed: the next reading opens a new epoch and books nothing."""
        state = self._states[self._known(register)]
        if state is not None:
            state.swapped = 1

    def reset_hint(self, register: int) -> None:
        """Give boot evidence (uptime fell), or a new session of a session counter, for the next reading."""
        state = self._states[self._known(register)]
        if state is not None:
            state.boot = 1

    def held(self, register: int) -> bool:
        """True while a reading is held or pending: nothing after `settled_ms` may be closed."""
        state = self._states[self._known(register)]
        return state is not None and state.hold != Hold.NOTHING

    def settled_ms(self, register: int) -> int:
        """Time of the last accepted reading; -1 when there is none."""
        state = self._states[self._known(register)]
        return -1 if state is None else state.t_last

    def has_state(self, register: int) -> bool:
        """True once the register had an accepted reading."""
        return self._states[self._known(register)] is not None

    def state(self, register: int) -> tuple[int, ...]:
        """The complete state as integers, version first; ValueError when there is none yet."""
        state = self._states[self._known(register)]
        if state is None:
            raise ValueError(f"counter register {register} has no state yet")
        return state.to_tuple()

    def load(self, register: int, state: Sequence[int]) -> None:
        """Take over what `state` gave; ValueError for anything else.

        A state kept under another scale or modulus is a swap; the fraction of a mWh it carried is dropped.
        """
        spec = self._specs[self._known(register)]
        self._states[register] = state_from_tuple(register, spec, state)

    def _known(self, register: int) -> int:
        if not 0 <= register < len(self._specs):
            raise IndexError(f"no counter register {register}")
        return register


def _append(events: Events, register: int, row: Row) -> None:
    events.register.append(register)
    events.kind.append(row.kind)
    events.t0_ms.append(row.t0_ms)
    events.t1_ms.append(row.t1_ms)
    events.energy_mWh.append(row.energy_mWh)
    events.raw_begin.append(row.raw_begin)
    events.raw_end.append(row.raw_end)
    events.lo_mWh.append(row.lo_mWh)
    events.hi_mWh.append(row.hi_mWh)
    events.epoch.append(row.epoch)
