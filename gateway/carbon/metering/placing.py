"""Placing: where boots lie that never got a date, between what was dated before and after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.carbon.intervals import Bounds
from gateway.carbon.metering.span import Span
from gateway.store.flag import Flag
from gateway.store.row_class import RowClass

LONGEST_MS: Final = 366 * 86_400_000
"""How long may have passed since the newest stored date when that cannot be true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """A time line on which each boot has its length, and the time between boots is shared out evenly.

    What may have happened between two boots is judged by the longest that it can have taken, not by its share: for
    that, times are moved to a line where every such crossing is that long (`virtual`), and back (`true`).
    """

    offsets_ms: tuple[int, ...]
    """The estimated date of the monotonic zero of each past boot."""
    window: tuple[int, int]
    """After the newest date that is stored, and before the first of this boot: all of it happened in there."""
    back_ms: int
    """How far the newest stored date lies too late to be true; 0 when it does not."""
    borders_ms: tuple[int, ...]
    """Where each crossing of unknown length begins, ascending."""
    stretch_ms: int
    """How much longer each may have taken than its share."""

    def virtual(self, t_ms: int) -> int:
        """A time on the line where crossings are as long as they can have been."""
        return max(0, t_ms - self.stretch_ms * sum(t_ms <= border_ms for border_ms in self.borders_ms))

    def true(self, t_ms: int) -> int:
        """The mirror image of `virtual`."""
        moved_ms = 0
        for border_ms in reversed(self.borders_ms):
            if t_ms + moved_ms + self.stretch_ms > border_ms:
                break
            moved_ms += self.stretch_ms
        return t_ms + moved_ms

    def placed(self, span: Span) -> Span:
        """A span from the virtual line, where it really lies."""
        bounds = span.bounds
        t0_ms, t1_ms = self.true(span.t0_ms), self.true(span.t1_ms)
        return self.told(span._replace(t0_ms=t0_ms, t1_ms=t1_ms, bounds=bounds and Bounds(t0_ms, t1_ms, *bounds[2:])))

    def told(self, span: Span) -> Span:
        """A span that lies where it really does, with what is not sure of that: its class, flag, window and bounds."""
        t0_ms, t1_ms = span[:2]
        if not self.borders_ms or t0_ms >= self.window[1]:
            return span
        bounds = span.bounds
        if bounds is None and span.energy_mWh and any(t0_ms <= border_ms < t1_ms for border_ms in self.borders_ms):
            bounds = Bounds(t0_ms, t1_ms, 0, span.energy_mWh)  # another counter may have come and gone unseen
        row_class = RowClass.ESTIMATED if span.row_class == RowClass.MEASURED else span.row_class
        flags = span.flags | Flag.SPAN_UNKNOWN
        return span._replace(row_class=row_class, flags=flags, bounds=bounds, window=self.window)


def place(past: Sequence[int], *, newest_ms: int, earliest_ms: int, boot_ms: int, first_ms: int) -> Placing:
    """Places boots between dates.

    `past` are the lengths of the boots without a date, ascending; `newest_ms` the newest date that is stored, 0 when
    none is; `earliest_ms` what nothing can be older than; `boot_ms` when the running boot began; `first_ms` its first
    reading, or now.
    """
    latest_begin_ms = boot_ms - sum(past)
    is_ahead = newest_ms > (latest_begin_ms if past else first_ms)
    back_ms = newest_ms - latest_begin_ms if is_ahead else 0
    if not past and not is_ahead:
        return Placing(offsets_ms=(), window=(newest_ms, first_ms), back_ms=0, borders_ms=(), stretch_ms=0)
    is_bounded = newest_ms > 0 and not back_ms
    after_ms = newest_ms if is_bounded else earliest_ms
    room_ms = max(0, latest_begin_ms - after_ms)
    crossings = len(past) + 1
    # Without a bound they lie right before this boot, with the least that is made up.
    share_ms = room_ms // crossings if is_bounded else 0
    end_ms = newest_ms if is_bounded else latest_begin_ms
    offsets, borders = [], []
    for length_ms in past:
        borders.append(end_ms)
        offsets.append(end_ms + share_ms)
        end_ms += share_ms + length_ms
    borders.append(end_ms)
    longest_ms = LONGEST_MS if back_ms else room_ms - share_ms
    return Placing(
        offsets_ms=tuple(offsets),
        window=(after_ms, first_ms),
        back_ms=back_ms,
        borders_ms=tuple(borders),
        stretch_ms=min(longest_ms, latest_begin_ms // (2 * crossings)),
    )
