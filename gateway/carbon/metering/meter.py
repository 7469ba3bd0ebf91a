"""Meter: readings in, rows of energy out; its saved state lets a killed process go on exactly."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from ext import Quality
from gateway.carbon.errors import StateError
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.correction import Correction
from gateway.carbon.metering.counter_meter import CounterMeter
from gateway.carbon.metering.notice import Notice
from gateway.carbon.metering.placing import Placing
from gateway.carbon.metering.power_meter import PowerMeter
from gateway.carbon.metering.register import Register
from gateway.carbon.metering.register_spec import FLOWS_BACK, RegisterSpec
from gateway.carbon.metering.sweep import Late, Lateness, Sweep
from gateway.carbon.metering.timeline import Boundaries, Timeline
from gateway.carbon.metering.undated import Key, Undated
from gateway.store.flag import Flag
from gateway.store.ledger.booked import Booked
from gateway.store.registers import RegisterState

if TYPE_CHECKING:
    from drivers.device import Reading

REVERSE: Final = "_reverse"
"""Ends the name of the register for what a power point measured against its flow."""
_LATENESS: Final = {
    Quality.FROZEN: Lateness.FROZEN,
    Quality.OUT_OF_RANGE: Lateness.OUT_OF_RANGE,
    Quality.LINK_DOWN: Lateness.DISCONNECTED,
    Quality.NO_VALUE: Lateness.NO_VALUE,
    Quality.BAD: Lateness.NO_VALUE,
    Quality.REFUSED: Lateness.REFUSED,
}
"""Why a register is behind, by what its newest reading was; anything else is silence."""


class Meter:
    """All energy registers of the site.

    The caller feeds readings in time order. To make things durable it takes `sweep()` (or not) and then
    `states()`, writes both in one transaction, and calls `saved()`. When the transaction fails it writes the
    same sweeps again, together with newer states.
    """

    def __init__(self, specs: Sequence[RegisterSpec], interval_ms: int, boundaries: Boundaries) -> None:
        """`interval_ms` divides the hour; `boundaries` gives the times where factors change."""
        self._interval_ms = interval_ms
        self._names: list[RegisterName] = []
        self._registers: list[Register] = []
        self._by_name: dict[Key, Register] = {}
        self._by_device: dict[str, tuple[list[Register], list[Register]]] = {}
        counters: list[Register] = []
        powers: list[Register] = []
        for spec in specs:
            kind = 0 if spec.counter else 1
            peers = (counters, powers)[kind]
            register = Register(spec, len(self._names), len(peers), Timeline(interval_ms, boundaries))
            peers.append(register)
            self._registers.append(register)
            self._by_name[spec.device, spec.register] = register
            self._by_device.setdefault(spec.device, ([], []))[kind].append(register)
            self._names.append(register.name)
            if spec.counter is None:
                self._names.append(RegisterName(spec.device, spec.register + REVERSE, FLOWS_BACK[spec.flow]))
        self._counters = CounterMeter(counters)
        self._powers = PowerMeter(powers)
        self._being_saved: set[Register] = set()
        self._urgent_saved = False
        self._first_sweep_ms = 0

    @property
    def needs_checkpoint(self) -> bool:
        """True when a register has a new base, which must be durable at once: energy counts from it."""
        return self._urgent_saved or any(register.urgent for register in self._registers)

    @property
    def newest_ms(self) -> int:
        """The newest date that any register knows, 0 when none does: no reading may be dated before it."""
        ends = (register.timeline.end_ms for register in self._registers)
        return max((0, *ends, *(self._settled_ms(register) for register in self._registers)))

    def feed(self, reading: Reading, t_ms: int) -> list[Notice]:
        """Takes in one device's reading, dated `t_ms`; returns what a person should know.

        Only values of quality OK count. A reading that is not later than the one before it is dropped, by
        which a counter loses nothing.
        """
        counters, powers = self._by_device.get(reading.device, ((), ()))
        for register in chain(counters, powers):
            register.quality = Quality(reading.quality[register.spec.point])
        return [*self._counters.feed(counters, reading, t_ms), *self._powers.feed(powers, reading, t_ms)]

    def note_identity(self, device: str, identity: str | None) -> None:
        """Says which device answers under this name (serial, model, register map); None or "" when unknown.

        Another identity than before makes the next reading of its counters a swap.
        """
        if not identity:
            return
        for register in chain(*self._by_device.get(device, ())):
            if register.identity != identity:
                if register.identity and register.spec.counter:
                    self._counters.swap(register)
                register.identity = identity
                register.changed = True

    def replay(self, undated: Undated, key: Key, placing: Placing, boot_ms: int) -> list[Notice]:
        """Takes in what was kept of a register while the clock was not trusted, and what that was of earlier boots.

        `boot_ms` is the date of this boot's monotonic zero. The register's readings until then must all be there.
        """
        register = self._by_name[key]
        boots = list(zip([*placing.offsets_ms, boot_ms], undated.take(key), strict=True))
        register.changed = True
        if register.spec.counter:
            return self._counters.replay(register, boots, placing)
        self._powers.replay(register, boots, placing)
        return []

    def turn_back(self, by_ms: int) -> Sweep:
        """Dates go back by this much and no time passed in that: what is open is closed as it is, and given away.

        Rows to come may lie in time that holds rows already; their epoch is another, and the first says so.
        """
        closed = Intervals(registers=self._names)
        corrections: list[Correction] = []
        for register in self._registers:
            register.timeline.finish()
            register.take_into(closed, corrections)
            register.marks |= Flag.CLOCK_STEP
            register.skipped_ms = 0
            register.changed = True
        self._counters.turn_back(by_ms)
        self._powers.shift(-by_ms)
        for register in self._registers:
            register.timeline.turn_back(max(0, self._settled_ms(register)))
        self._first_sweep_ms = 0
        return Sweep(intervals=closed, corrections=corrections)

    def note_clock_step(self, by_ms: int) -> None:
        """The wall clock jumped: what is booked next in each register says so.

        From the next reading on dates are `by_ms` later, 0 when they did not follow the jump. No time passed in
        that: the spans to come are measured from references that are as much later, and what was skipped is missing.
        """
        for register in self._registers:
            register.marks |= Flag.CLOCK_STEP
            register.skipped_ms += by_ms
            register.changed = True
        if by_ms:
            self._counters.shift(by_ms)
            self._powers.shift(by_ms)

    def sweep(self, now_ms: int, asleep: Collection[str] = ()) -> Sweep:
        """Takes what is closed, and says which registers are behind at `now_ms`, `asleep` being devices.

        What is returned is the caller's to keep and write.
        """
        self._first_sweep_ms = self._first_sweep_ms or now_ms
        closed = Intervals(registers=self._names)
        corrections: list[Correction] = []
        late: list[Late] = []
        for register in self._registers:
            register.changed |= register.take_into(closed, corrections)
            lateness = self._lateness(register, now_ms, asleep)
            if lateness != register.lateness:
                register.lateness = lateness
                register.changed = True
                late.append(Late(register.name, register.timeline.settled_ms or None, lateness))
        return Sweep(intervals=closed, corrections=corrections, late=late)

    def asleep(self) -> set[str]:
        """The devices with a register that was told as asleep; after `load`, those that slept before the restart."""
        return {register.spec.device for register in self._registers if register.lateness == Lateness.ASLEEP}

    def held(self) -> dict[str, list[str]]:
        """The registers, by device, whose readings contradict each other now."""
        held: dict[str, list[str]] = {}
        for register in self._registers:
            if register.spec.counter is not None and self._counters.held(register):
                held.setdefault(register.spec.device, []).append(register.spec.register)
        return held

    def doubted(self) -> dict[tuple[str, str], Lateness]:
        """The registers, by device and name, that were read at the last sweep and whose readings could not be used."""
        return {
            (register.spec.device, register.spec.register): register.lateness
            for register in self._registers
            if register.lateness in (Lateness.HELD, Lateness.OUT_OF_RANGE)
        }

    def states(self) -> list[RegisterState]:
        """The states of all registers that changed since they were last saved."""
        self._urgent_saved = self.needs_checkpoint
        for register in self._registers:
            if register.changed:
                self._being_saved.add(register)
            register.changed = register.urgent = False
        return [
            (register.spec.device, register.spec.register, self._state(register))
            for register in self._registers
            if register in self._being_saved
        ]

    def saved(self) -> None:
        """The states that `states()` gave last are durable."""
        self._urgent_saved = False
        self._being_saved = set()

    def load(self, rows: Iterable[RegisterState]) -> None:
        """Takes over saved states, before the first reading; those of registers that are gone are left alone.

        Raises StateError, naming the register, for a state that cannot be read.
        """
        for device, name, text in rows:
            register = self._by_name.get((device, name))
            if register is None:
                continue
            try:
                self._load(register, text)
            except (TypeError, ValueError) as error:
                raise StateError(
                    f"the stored state of register {name} of device {device} cannot be read ({error}); "
                    "use the version of huxi that wrote it, or give the device another name"
                ) from error

    def advance(self, booked: Mapping[tuple[str, str], Booked]) -> None:
        """After `load`: what the ledger has of registers whose saved state is older than it; it is not booked again."""
        for register in self._registers:
            found = booked.get((register.spec.device, register.spec.register))
            settled_ms = register.timeline.settled_ms
            if found is None or not (found.energy_mWh or found.until_ms > settled_ms):
                continue
            found = found._replace(until_ms=max(found.until_ms, settled_ms))
            kind = self._counters if register.spec.counter else self._powers
            if kind.state(register) is not None:
                kind.advance(register, found)
            register.changed = register.urgent = True

    def _lateness(self, register: Register, now_ms: int, asleep: Collection[str]) -> Lateness:
        patience_ms = self._interval_ms + register.spec.max_gap_ms
        if register.timeline.settled_ms >= now_ms - now_ms % self._interval_ms - patience_ms:
            return Lateness.NONE
        if now_ms - self._first_sweep_ms < patience_ms:
            return register.lateness  # we were away ourselves
        is_held = register.spec.counter is not None and self._counters.held(register)
        if is_held:
            return Lateness.HELD
        return Lateness.ASLEEP if register.spec.device in asleep else _LATENESS.get(register.quality, Lateness.SILENT)

    def _settled_ms(self, register: Register) -> int:
        meter = self._counters if register.spec.counter else self._powers
        return meter.settled_ms(register)

    def _state(self, register: Register) -> str:
        table = self._counters.state(register) if register.spec.counter else self._powers.state(register)
        return register.to_text(table)

    def _load(self, register: Register, text: str) -> None:
        table = register.load(text)
        if table is None:  # nothing read yet, or measured in another way from now on: it begins anew
            return
        if register.spec.counter:
            self._counters.load(register, table)
        else:
            self._powers.load(register, table)
