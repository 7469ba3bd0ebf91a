"""Undated: what the registers showed while nobody vouched for the clock, by boot and monotonic time."""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ext import PowerOverflow, PowerTable, Quality
from ext.power_state import VERSION
from gateway.carbon.metering.register import whole
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.trace import Count, Power, Trace, new_trace

if TYPE_CHECKING:
    from drivers.device import Reading

BLOCKS: Final = 64
"""Stored blocks of a boot, beyond one for each entry, before they are written anew as one."""

Key = tuple[str, str]
"""Device and register."""


@dataclass(slots=True)
class Boot:
    """What was kept of one boot."""

    id: str
    traces: dict[Key, Trace] = field(default_factory=dict)

    @property
    def span_ms(self) -> tuple[int, int] | None:
        """Monotonic times of its first and its last entry; None when it has none."""
        ends = [(trace.entries[0].mono_ms, trace.entries[-1].mono_ms) for trace in self.traces.values()]
        return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None


class Undated:
    """Takes readings that cannot be dated, until somebody vouches for the clock."""

    def __init__(self, specs: Sequence[RegisterSpec], interval_ms: int, boot: str) -> None:
        """`boot` is the running one; entries that say nothing special are kept about `interval_ms` apart."""
        self.past: list[Boot] = []
        """Boots that ended without a date, ascending."""
        self.now = Boot(boot)
        self.is_new = False
        """True when nothing is stored yet of some register: that should be durable at once."""
        self._by_device: dict[str, list[RegisterSpec]] = {}
        for spec in specs:
            self._by_device.setdefault(spec.device, []).append(spec)
        self._specs = {(spec.device, spec.register): spec for spec in specs}
        self._interval_ms = interval_ms
        self._tables: dict[Key, PowerTable] = {}
        self._blocks = 0

    def load(self, blocks: Iterable[tuple[str, bytes]]) -> list[str]:
        """Takes over what was stored, as boot and block in their order; names the blocks that cannot be read."""
        unreadable = []
        for boot_id, block in blocks:
            boot = self._boot(boot_id)
            self._blocks += boot is self.now
            try:
                for device, register, entries in json.loads(zlib.decompress(block)):
                    self._restore(boot, (device, register), entries)
            except (zlib.error, LookupError, TypeError, ValueError) as error:
                unreadable.append(f"boot {boot_id}: {error}")
        return unreadable

    def keep(self, reading: Reading, identity: str | None, mono_ms: int) -> None:
        """Takes in one device's reading; only values of quality OK count."""
        for spec in self._by_device.get(reading.device, ()):
            if reading.quality[spec.point] != Quality.OK:
                continue
            key = (spec.device, spec.register)
            entry = _count(spec, reading, identity, mono_ms) if spec.counter else self._integrate(key, reading, mono_ms)
            if entry is not None:
                self.is_new |= key not in self.now.traces
                self._trace(self.now, key).add(entry)

    @property
    def lengths_ms(self) -> list[int]:
        """How long each past boot went on, at least."""
        return [0 if boot.span_ms is None else boot.span_ms[1] for boot in self.past]

    @property
    def first_ms(self) -> int | None:
        """Monotonic time of the first entry of this boot."""
        return None if self.now.span_ms is None else self.now.span_ms[0]

    @property
    def is_stored(self) -> bool:
        """True when any of it was stored."""
        return bool(self.past) or self._blocks > 0

    def registers(self) -> list[Key]:
        """Those of which anything is kept."""
        return sorted({key for boot in (*self.past, self.now) for key in boot.traces})

    def take(self, key: Key) -> list[Sequence[Any]]:
        """Gives away what is kept of a register: the entries of each past boot, then those of this one."""
        traces = [boot.traces.pop(key, None) for boot in (*self.past, self.now)]
        return [[] if trace is None else trace.entries for trace in traces]

    def unsaved(self) -> tuple[bytes | None, bool]:
        """What is to be stored of this boot, None for nothing; and whether it stands for all that was stored before."""
        traces = self.now.traces
        for trace in traces.values():
            trace.leaving, trace.fresh = [*trace.leaving, *trace.fresh], []
        if not any(trace.leaving for trace in traces.values()):
            return None, False
        longest = max(len(trace.entries) for trace in traces.values())
        is_whole = self._blocks > BLOCKS + longest
        lists = [(*key, trace.entries if is_whole else trace.leaving) for key, trace in traces.items()]
        return zlib.compress(json.dumps(lists, separators=(",", ":")).encode()), is_whole

    def saved(self, *, is_whole: bool) -> None:
        """What `unsaved` gave is durable."""
        self._blocks = 1 if is_whole else self._blocks + 1
        self.is_new = False
        for trace in self.now.traces.values():
            trace.leaving = []

    def _boot(self, boot_id: str) -> Boot:
        if boot_id == self.now.id:
            return self.now
        if not self.past or self.past[-1].id != boot_id:
            self.past.append(Boot(boot_id))
        return self.past[-1]

    def _trace(self, boot: Boot, key: Key) -> Trace:
        if key not in boot.traces:
            boot.traces[key] = new_trace(self._specs[key], self._interval_ms)
        return boot.traces[key]

    def _restore(self, boot: Boot, key: Key, entries: Sequence[Sequence[Any]]) -> None:
        spec = self._specs.get(key)
        if spec is None or not entries:  # a register that is not in the configuration any more
            return
        trace = self._trace(boot, key)
        for numbers in entries:
            trace.add(Count(*numbers) if spec.counter else Power(*numbers), is_stored=True)
        if boot is self.now and not spec.counter:
            last = trace.entries[-1]
            state = (VERSION, last.mono_ms, last.power_mW, last.carry, last.back_carry)
            self._table(key).load(0, state)

    def _table(self, key: Key) -> PowerTable:
        return self._tables.setdefault(key, PowerTable([self._specs[key].max_gap_ms]))

    def _integrate(self, key: Key, reading: Reading, mono_ms: int) -> Power | None:
        spec, table = self._specs[key], self._table(key)
        try:
            power_mW = spec.power_mW(reading.raws[spec.point], reading.exponents[spec.point])
            events = table.step(array("i", [0]), array("q", [power_mW]), array("q", [mono_ms]))
        except (OverflowError, PowerOverflow):  # beyond all measure: no value
            return None
        if not len(events.t0_ms):
            return None
        amounts = (events.import_mWh[0], events.export_mWh[0], events.missing[0])
        return Power(events.t0_ms[0], mono_ms, *amounts, *table.state(0)[2:])


def _count(spec: RegisterSpec, reading: Reading, identity: str | None, mono_ms: int) -> Count:
    point = spec.point
    numbers = (reading.raws[point], reading.ulps[point], reading.exponents[point])
    return Count(mono_ms, *numbers, whole(reading, spec.uptime), whole(reading, spec.session), identity or "")
