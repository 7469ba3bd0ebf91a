"""A site in virtual time over the real recorder and store: what it writes to a block device in a day."""

import random
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
from gateway.clock import EARLIEST_MS, Dating
from gateway.recorder import Recorder
from gateway.store.database import Store
from gateway.store.outbox import StoreOutbox

DAY_S = 86_400
START_MS = EARLIEST_MS + 200 * 86_400_000 + 7_000
FACTORS = FactorSet.load(shipped())
COUNTER = CounterSpec(modulus=1 << 32, scale_num=1000, scale_den=1, p_max_W=50_000, refresh_s=60, jitter=1, policy=0)


@dataclass
class VirtualClock:
    """Both clocks, moved by hand."""

    wall: int = START_MS

    def mono_ns(self) -> int:
        return (self.wall - START_MS + 60_000) * 1_000_000

    def wall_ms(self) -> int:
        return self.wall


class WearSite:
    """Meters with three counters and a power each, polled, booked, delivered."""

    def __init__(self, store: Store, devices: int = 50, seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.store = store
        self._random = random.Random(seed)
        self._names = [f"meter-{number:02}" for number in range(devices)]
        self._counts = {name: [self._random.randrange(10**7, 10**8) for _ in range(3)] for name in self._names}
        specs = [
            RegisterSpec(device=name, register=register, flow="consumption", point=point, max_gap_ms=90_000, counter=COUNTER)
            for name in self._names
            for point, register in enumerate(("import_total", "import_peak", "import_valley"))
        ]
        self._outbox = StoreOutbox(store, "bench")
        self._closed = False
        self.recorder = Recorder(
            meter=Meter(specs, 300_000, partial(FACTORS.boundaries, "CN-SC")),
            store=store,
            dating=Dating(self.clock, newest_ms=0),
            books=Books(
                scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
                factors=FACTORS,
                devices={name: Declaration(role="load") for name in self._names},
            ),
            interval_ms=300_000,
            checkpoint_ms=60_000,
            identity=lambda reading: "12345678",
            on_close=self._note_close,
            asleep=lambda: (),
        )

    def _note_close(self) -> None:
        self._closed = True

    async def live(self, seconds: int, *, poll_s: int, settle: Callable[[], None]) -> None:
        """Lets time pass; `settle` is called each thirty seconds, by when a running kernel has written everything out."""
        for _ in range(seconds):
            self.clock.wall += 1000
            now_s = self.clock.wall // 1000
            if now_s % poll_s == 0:
                for name in self._names:
                    self.recorder.take(self._reading(name))
            await self.recorder.round()
            if self._closed:
                self._closed = False
                await self._deliver()
            if now_s % 30 == 0:
                settle()

    async def _deliver(self) -> None:
        """The receiver takes everything."""
        for stream in self._outbox.streams:
            batch = await self._outbox.pending(stream, 1 << 20)
            if batch is not None:
                await self._outbox.settle(stream, batch.last_seq)

    def _reading(self, name: str) -> Reading:
        counts = self._counts[name]
        for point in range(3):
            counts[point] += self._random.randrange(40)
        raws = array("q", [*counts, self._random.randrange(4000)])
        return Reading(
            device=name,
            mono_ns=self.clock.mono_ns() - self._random.randrange(200) * 1_000_000,
            values=array("d", raws),
            raws=raws,
            exponents=array("b", bytes(4)),
            ulps=array("q", bytes(32)),
            quality=array("B", bytes(4)),
            texts={},
        )
