"""Span: what one reading says about the time since an earlier one."""

from typing import Any, NamedTuple

from gateway.carbon.intervals import Bounds
from gateway.store.row_class import RowClass


class Span(NamedTuple):
    """Energy of one register over [t0_ms, t1_ms)."""

    t0_ms: int
    t1_ms: int
    energy_mWh: int  # of the register's flow
    back_mWh: int = 0  # the other way (power registers)
    raw_begin: int | None = None
    raw_end: int | None = None
    row_class: RowClass = RowClass.MEASURED
    flags: int = 0
    epoch: int = 0
    bounds: Bounds | None = None
    replaces: bool = False  # all that was booked since t0_ms falls
    window: tuple[int, int] | None = None  # where it lies for certain, when its own times are estimated

    def to_state(self) -> list[Any]:
        """As JSON values, bounds and window left out: they belong to open rows."""
        return [*self[:6], int(self.row_class), int(self.flags), self.epoch, self.replaces]

    @classmethod
    def from_state(cls, state: list[Any]) -> "Span":
        """Mirror image of `to_state`. Raises TypeError or ValueError for anything else."""
        t0_ms, t1_ms, energy_mWh, back_mWh, begin, end, number, flags, epoch, replaces = state
        row_class = RowClass(number)
        return cls(t0_ms, t1_ms, energy_mWh, back_mWh, begin, end, row_class, flags, epoch, None, replaces)
