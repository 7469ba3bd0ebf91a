"""Trace: what one register showed in one boot without a date: few entries, with all of its energy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from gateway.carbon.metering.correction import DAY_MS
from gateway.carbon.metering.register_spec import RegisterSpec

KEPT: Final = 288
"""Entries of a register in a boot: a day at five minutes; then neighbours are merged, which loses no energy."""


class Count(NamedTuple):
    """A counter's reading."""

    mono_ms: int
    raw: int
    ulp: int
    exponent: int
    uptime: int | None
    session: int | None
    identity: str


class Power(NamedTuple):
    """What a power register measured over [t0_ms, mono_ms) of monotonic time, and where its integral stands then."""

    t0_ms: int
    mono_ms: int
    energy_mWh: int
    back_mWh: int
    missing: int
    power_mW: int
    carry: int
    back_carry: int


Entry = Count | Power
Merge = Callable[[list[Any], Any, int], None]
"""Puts an entry at the end of a list, in place of those that say nothing beyond it and are that near (ms)."""


class Trace:
    """The entries of one register in one boot: few, however long it lasts, and with all of its energy."""

    def __init__(self, merge: Merge, span_ms: int) -> None:
        self.entries: list[Any] = []
        """All of them, ascending."""
        self.fresh: list[Any] = []
        """Those that are not stored yet."""
        self.leaving: list[Any] = []
        """Those that are being stored."""
        self._merge = merge
        self._span_ms = span_ms

    def add(self, entry: Entry, *, is_stored: bool = False) -> None:
        """Takes the next entry."""
        if not is_stored:
            self._merge(self.fresh, entry, self._span_ms)
        self._merge(self.entries, entry, self._span_ms)
        if len(self.entries) > KEPT:
            self._coarsen()

    def _coarsen(self) -> None:
        while len(self.entries) > KEPT * 3 // 4:
            self._span_ms *= 2
            before, self.entries = self.entries, []
            for entry in before:
                self._merge(self.entries, entry, self._span_ms)


def new_trace(spec: RegisterSpec, span_ms: int) -> Trace:
    """An empty one; entries that say nothing special are kept about `span_ms` apart."""
    merge = _merge_powers if spec.counter is None else partial(_merge_counts, spec.counter.jitter)
    return Trace(merge, span_ms)


def _merge_counts(jitter: int, entries: list[Count], new: Count, span_ms: int) -> None:
    """Of a counter that rises or stands the readings in between go; beyond a day of distance all do.

    What comes first, and what follows a fall, stays: by that the decision table tells a reset from a false reading.
    """
    rose = len(entries) > 1 and entries[-2].raw < entries[-1].raw
    if rose and _goes_on(entries[-1], new) and 0 < entries[-1].raw - new.raw <= max(jitter, new.ulp):
        new = new._replace(raw=entries[-1].raw)
    if len(entries) > 1 and new.mono_ms - entries[-2].mono_ms <= span_ms:
        before, last = entries[-2:]
        stands = before.raw == last.raw == new.raw
        rises = len(entries) > 2 and entries[-3].raw < before.raw <= last.raw <= new.raw
        if ((stands or rises) and _goes_on(before, last) and _goes_on(last, new)) or span_ms > DAY_MS:
            entries.pop()
    entries.append(new)


def _goes_on(one: Count, other: Count) -> bool:
    """True when nothing but the counter itself may have changed between two readings."""
    return (
        one.exponent == other.exponent
        and one.session == other.session
        and one.identity == other.identity
        and (one.uptime is None or other.uptime is None or one.uptime <= other.uptime)
    )


def _merge_powers(entries: list[Power], new: Power, span_ms: int) -> None:
    """Neighbours become one; beyond a day of distance with the gaps between them."""
    last = entries[-1] if entries else None
    if (
        last is not None
        and new.mono_ms - last.t0_ms <= span_ms
        and last.mono_ms == new.t0_ms
        and (last.missing == new.missing or last.t0_ms == last.mono_ms or span_ms > DAY_MS)
    ):
        missing = new.missing if last.t0_ms == last.mono_ms else last.missing & new.missing
        energies = (last.energy_mWh + new.energy_mWh, last.back_mWh + new.back_mWh)
        entries[-1] = Power(last.t0_ms, new.mono_ms, *energies, missing, *new[5:])
    else:
        entries.append(new)
