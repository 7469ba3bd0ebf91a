"""ScaledCounters: the core's table, for counters whose power of ten may change while we run (SunSpec)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from ext import CounterSpec, CounterTable, Events
from ext.counter_state import advanced, moved, turned_back
from ext.limits import SCALE_LIMIT


class ScaledCounters:
    """One counter a slot, in the order of `specs`; the scales there are without exponent."""

    def __init__(self, specs: Sequence[CounterSpec]) -> None:
        self._specs = tuple(specs)
        self._exponents = [0] * len(self._specs)
        self._table = CounterTable(self._specs)

    def exponent(self, slot: int) -> int:
        """Power of ten that the slot's scale has now."""
        return self._exponents[slot]

    def rescale(self, slot: int, exponent: int) -> bool:
        """Gives the slot another power of ten; its next reading is then a swap, unless it is the first.

        False, and nothing is done, when no counter can have that scale.
        """
        if _scaled(self._specs[slot], exponent) is None:
            return False
        self._exponents[slot] = exponent
        before, self._table = (
            self._table,
            CounterTable([_scaled(spec, at) or spec for spec, at in zip(self._specs, self._exponents, strict=True)]),
        )
        for each in range(len(self._specs)):
            if before.has_state(each):
                self._table.load(each, before.state(each))
        return True

    def step(self, slots: array[int], raws: array[int], ulps: array[int], t_ms: array[int]) -> Events:
        """As `CounterTable.step`."""
        return self._table.step(slots, raws, ulps, t_ms)

    def swap(self, slot: int) -> None:
        """Another device: the next reading opens a new epoch and books nothing."""
        self._table.swap(slot)

    def restarted(self, slot: int) -> None:
        """The device was restarted, or began a new session: the next reading may count from zero."""
        self._table.reset_hint(slot)

    def move(self, slot: int, to: Callable[[int], int]) -> None:
        """The slot goes on from other times: `to` says where each lies now, and keeps their order."""
        if self._table.has_state(slot):
            self._table.load(slot, moved(self._table.state(slot), to))

    def turn_back(self, slot: int, by_ms: int) -> None:
        """Dates went back and time did not: the slot goes on from times that are earlier, in an epoch of its own."""
        if self._table.has_state(slot):
            self._table.load(slot, turned_back(self._table.state(slot), by_ms))

    def advance(self, slot: int, booked_mWh: int, until_ms: int, epoch: int) -> int:
        """The slot's state is older than the ledger: see `ext.counter_state.advanced`; what is not booked yet."""
        state, rest_mWh = advanced(self._table.state(slot), booked_mWh, until_ms, epoch)
        self._table.load(slot, state)
        return rest_mWh

    def held(self, slot: int) -> bool:
        """True while a reading is held back and nothing may be closed."""
        return self._table.held(slot)

    def settled_ms(self, slot: int) -> int:
        """Time of the last accepted reading; -1 when there is none."""
        return self._table.settled_ms(slot)

    def state(self, slot: int) -> list[int] | None:
        """The complete state, exponent first; None before the first reading."""
        return [self._exponents[slot], *self._table.state(slot)] if self._table.has_state(slot) else None

    def load(self, slot: int, state: Sequence[int]) -> None:
        """Takes over what `state` gave (ValueError otherwise). Another scale or modulus makes a swap."""
        exponent, *numbers = state
        if exponent != self._exponents[slot] and not self.rescale(slot, exponent):
            raise ValueError(f"no counter has the power of ten {exponent}")
        self._table.load(slot, numbers)


def _scaled(spec: CounterSpec, exponent: int) -> CounterSpec | None:
    num = spec.scale_num * 10 ** max(exponent, 0)
    den = spec.scale_den * 10 ** max(-exponent, 0)
    if num > SCALE_LIMIT or den > SCALE_LIMIT:
        return None
    return spec._replace(scale_num=num, scale_den=den)
