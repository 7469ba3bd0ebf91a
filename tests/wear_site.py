"""A site in virtual time over the real recorder and store: what it writes to a block device."""

import random
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from drivers.device import Reading
from ext import CounterSpec
from gateway.carbon.booking.close import Books
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.metering.undated import Undated
from gateway.clock import EARLIEST_MS, Anchor, Dating, offset_ms
from gateway.recorder import Recorder
from gateway.series import Channels, Keeping, Series
from gateway.store.database import Store
from gateway.store.delivery import StoreOutbox
from gateway.store.series.channels import ChannelName, number_of
from gateway.store.space import Space

DAY_S = 86_400
START_MS = EARLIEST_MS + 200 * 86_400_000 + 7_000
REGISTERS = ("import_total", "import_peak", "import_valley")
FACTORS = FactorSet.load(shipped())
COUNTER = CounterSpec(modulus=1 << 32, scale_num=1000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)
WIDE = 60
"""Points of a device with many: three counters, 19 small and 18 larger whole numbers, 20 floats of 32 bits."""


@dataclass
class VirtualClock:
    """Both clocks, moved by hand."""

    wall: int = START_MS

    def mono_ns(self) -> int:
        return (self.wall - START_MS + 60_000) * 1_000_000

    def wall_ms(self) -> int:
        return self.wall

    def witness(self) -> Anchor:
        """Somebody always knows the time."""
        return Anchor(offset_ms=offset_ms(self), source="test")


class WearSite:
    """Devices with three counters and a power each, or many points; polled, booked, delivered. Made by `wear_site`."""

    def __init__(self, store: Store, names: list[str], series: Series, points: int) -> None:
        self.clock = VirtualClock()
        self.store = store
        self.series = series
        self._points = points
        self._random = random.Random(1)
        self._powers_W = [2000] * points
        self._counts = {name: [self._random.randrange(10**7, 10**8) for _ in REGISTERS] for name in names}
        specs = [
            RegisterSpec(
                device=name, register=register, flow="consumption", point=point, max_gap_ms=90_000, counter=COUNTER
            )
            for name in names
            for point, register in enumerate(REGISTERS)
        ]
        self._outbox = StoreOutbox(store, "bench")
        self._is_closed = False
        self.usage = (10**12, 0, 10**12)
        """What the disk says of itself: total, used and free."""
        self.recorder = Recorder(
            meter=Meter(specs, 300_000, partial(FACTORS.boundaries, "CN-SC")),
            store=store,
            undated=Undated(specs, 300_000, "boot-1"),
            dating=Dating(self.clock, [self.clock.witness]),
            clock=self.clock,
            books=Books(
                scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
                factors=FACTORS,
                devices={name: Declaration(role="load") for name in names},
            ),
            interval_ms=300_000,
            checkpoint_ms=60_000,
            identity=lambda reading: "12345678",
            on_close=self._note_close,
            asleep=lambda: (),
            lessons=dict,
            space=Space(store.data_dir, lambda folder: self.usage),
            series=series,
        )

    def _note_close(self) -> None:
        self._is_closed = True

    async def live(self, seconds: int, *, poll_s: int, settle: Callable[[], None]) -> None:
        """Lets time pass; `settle` is called each thirty seconds: by then a running kernel has written all out."""
        for _ in range(seconds):
            self.clock.wall += 1000
            now_s = self.clock.wall // 1000
            if now_s % poll_s == 0:
                for reading in self.poll():
                    self.recorder.take(reading)
            await self.recorder.round()
            if self._is_closed:
                self._is_closed = False
                await self._deliver()
            if now_s % 30 == 0:
                settle()

    async def _deliver(self) -> None:
        """The receiver takes everything."""
        for stream in self._outbox.streams:
            batch = await self._outbox.pending(stream, 1 << 20)
            if batch is not None:
                await self._outbox.settle(stream, batch.last_seq)

    def poll(self) -> list[Reading]:
        """A reading of each device, now."""
        return [self._reading(name, counts) for name, counts in self._counts.items()]

    def _reading(self, name: str, counts: list[int]) -> Reading:
        for point in range(len(counts)):
            counts[point] += self._random.randrange(40)
        values = array("d", [*counts, *self._others()])
        blank = bytes(len(values))
        return Reading(
            device=name,
            mono_ns=self.clock.mono_ns() - self._random.randrange(200) * 1_000_000,
            values=values,
            raws=array("q", [*counts, *[0] * (len(values) - len(counts))]),
            exponents=array("b", blank),
            ulps=array("q", 8 * blank),
            quality=array("B", blank),
            texts={},
        )

    def _power_W(self, point: int) -> float:
        """A walk: a load does not jump all over its range from one second to the next."""
        self._powers_W[point] = min(4000, max(0, self._powers_W[point] + self._random.randrange(-60, 61)))
        return float(self._powers_W[point])

    def _others(self) -> list[float]:
        if self._points < WIDE:
            return [self._power_W(point) for point in range(self._points - len(REGISTERS))]
        gauss = self._random.gauss
        small = [float(round(1000 + 7 * k + gauss(0, 3))) for k in range(19)]
        large = [float(round(1000 * k + gauss(0, 50))) for k in range(18)]
        return [*small, *large, *struct.unpack("20f", struct.pack("20f", *(230 + gauss(0, 0.3) for _ in range(20))))]


async def wear_site(store: Store, keeping: Keeping, *, devices: int = 50, points: int = 4) -> WearSite:
    """The site over a new store."""
    names = [f"meter-{number:02}" for number in range(devices)]
    channels = {}
    for name in names:
        of_device = [ChannelName(name, register, "Wh", True) for register in REGISTERS]
        of_device += [ChannelName(name, f"p{point}", "W", False) for point in range(points - len(REGISTERS))]
        channels[name] = Channels(range(points), await store.run(number_of, of_device))
    return WearSite(store, names, Series(channels, keeping), points)
