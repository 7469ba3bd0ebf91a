"""A simulated device: the registers of a profile, with power and counters that agree to the last count."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from drivers.codec import encode_bits
from drivers.modbus.pdu import ILLEGAL_FUNCTION, TARGET_SILENT
from drivers.profile import Profile
from drivers.profile_tables import Shape
from drivers.simulation.energy import EnergyRegister
from drivers.simulation.image import RegisterImage
from drivers.simulation.play import make_play

_MORNING = 0.375  # a run begins at nine, when every shape has power
_STEPS_A_DAY = 14_400
_SHORTEST_STEP_NS = 100_000_000


class Truth(TypedDict):
    """What one register of the ledger showed to its readers."""

    first_raw: int  # the raw count served first (float counters: mWh, float powers: mW)
    last_raw: int
    served_mWh: int  # energy between the two, wraps unrolled
    variation_mW: int  # sum of all changes of the power meanwhile: with it, an integral of samples has a bound


@dataclass(slots=True)
class _Served:
    first_raw: int
    first_mark: int
    last_raw: int
    last_mark: int
    first_variation_mW: int
    last_variation_mW: int


class Simulator:
    """A RegisterBank with one unit.

    Power follows the shape of a day that lasts `day_s` seconds, but power times real seconds is the energy.
    Within a step (0.1 s, or 1/14400 day where that is longer) power stands still. Registers without power or
    energy show their example. Writes are refused. simulation/play.py says which point moves how.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        unit: int | None = None,
        seed: int = 0,
        shape: Shape | None = None,
        power_W: int | None = None,
        start: Mapping[str, int] | None = None,
        day_s: float = 86_400.0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`unit`, `shape`, `power_W` are the profile's unless given; `start` has first raw counts by point.

        DriverError when the profile cannot be simulated so: no shape or power anywhere, a start value for
        what is no counter, a value that does not fit its registers.
        """
        self.profile = profile
        self.unit = profile.manners.unit if unit is None else unit
        self._image = RegisterImage(profile)
        self._drives, self._registers = make_play(profile, shape=shape, power_W=power_W, start=start or {}, seed=seed)
        self._served: dict[str, _Served] = {}
        self._frozen = False
        self._clock_ns = clock_ns
        self._day_ns = int(day_s * 1e9)
        self._step_ns = max(_SHORTEST_STEP_NS, self._day_ns // _STEPS_A_DAY)
        self._origin_ns = self._now_ns = clock_ns()
        self._step = 0
        self._take_step()

    def read(self, unit: int, function: int, address: int, count: int) -> list[int] | int:
        """Return register words as they are at this moment, or the exception code the device would give."""
        if unit != self.unit:
            return TARGET_SILENT
        refusal = self._image.read(function, address, count)
        if isinstance(refusal, int):
            return refusal
        self._advance()
        self._beat()
        end = address + count
        for register in self._registers:
            point = register.point
            if point.function == function and point.start < end and address < point.end:
                self._image.put(point, register.words)
                if address <= point.start and point.end <= end:
                    self._note_served(register)
        return self._image.read(function, address, count)

    def write(self, unit: int, function: int, address: int, words: Sequence[int]) -> int:
        """Refuse."""
        return ILLEGAL_FUNCTION if unit == self.unit else TARGET_SILENT

    def freeze(self) -> None:
        """From now on power is zero and the counters stand still."""
        self._advance()
        self._frozen = True
        for drive in self._drives:
            drive.rest()

    def truth(self) -> dict[str, Truth]:
        """What was served of each counter and each power to be integrated, by point; the others are left out.

        Float counters are judged by the very bits served. Of a power the energy is the exact integral of its
        positive part between the first and the last serving.
        """
        truths: dict[str, Truth] = {}
        for register in self._registers:
            served = self._served.get(register.point.name)
            if served is not None:
                truths[register.point.name] = Truth(
                    first_raw=served.first_raw,
                    last_raw=served.last_raw,
                    served_mWh=register.energy_mWh(served.first_mark, served.last_mark),
                    variation_mW=served.last_variation_mW - served.first_variation_mW,
                )
        return truths

    def _note_served(self, register: EnergyRegister) -> None:
        point = register.point
        if point.counter is None and point.integrate is None:
            return
        raw, mark, variation_mW = register.raw, register.mark, register.variation_mW
        served = self._served.setdefault(point.name, _Served(raw, mark, raw, mark, variation_mW, variation_mW))
        served.last_raw, served.last_mark, served.last_variation_mW = raw, mark, variation_mW

    def _beat(self) -> None:
        """A heartbeat counts seconds."""
        if self.profile.frozen is None or self.profile.frozen.heartbeat is None:
            return
        heartbeat = self.profile.points[self.profile.index(self.profile.frozen.heartbeat)]
        seconds = (self._clock_ns() - self._origin_ns) // 1_000_000_000
        self._image.put(heartbeat, encode_bits(heartbeat, seconds % (1 << 16 * heartbeat.words)))

    def _advance(self) -> None:
        """Let the time pass that passed since the last call."""
        now_ns = self._clock_ns()
        while self._now_ns < now_ns:
            boundary_ns = self._origin_ns + (self._step + 1) * self._step_ns
            until_ns = min(now_ns, boundary_ns)
            for drive in self._drives:
                drive.run(until_ns - self._now_ns)
            self._now_ns = until_ns
            if until_ns == boundary_ns:
                self._step += 1
                self._take_step()

    def _take_step(self) -> None:
        if not self._frozen:
            days = _MORNING + self._step * self._step_ns / self._day_ns
            for drive in self._drives:
                drive.step(days)
