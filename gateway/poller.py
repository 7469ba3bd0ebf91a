"""Polls the devices of one link, each on a grid aligned to the wall second that does not drift."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from drivers.device import Device, Reading
from drivers.modbus.backoff import BackOff
from drivers.modbus.calls import WAIT_S
from drivers.modbus.changes import Changes
from ext.quality import Quality
from gateway.clock import Clock

log = logging.getLogger("huxi.poller")

STRIKES = 3
"""Silent polls in a row after which a device that has answered before counts as dead."""
PROBE_FIRST_S, PROBE_LAST_S = 5.0, 300.0
"""A dead device is asked more and more seldom: each time costs its line a time-out."""
MARGIN_MS = 60_000
_REASONS = (Quality.LINK_DOWN, Quality.TIMEOUT, Quality.CORRUPT, Quality.REFUSED, Quality.UNREAD)
"""Why a device says nothing, the likeliest first: points that it has not are refused for ever."""


class Turn:
    """When a device is read."""

    def __init__(self, *, period_ms: int, due_ms: int, random: Callable[[], float]) -> None:
        self.due_ms = due_ms
        """Monotonic milliseconds of the next poll."""
        self.silent = 0
        """Polls in a row without any answer."""
        self.changes = Changes()
        """What of its silence the journal is told."""
        self._period_ms = period_ms
        self._probes = BackOff(random, first_s=PROBE_FIRST_S, last_s=PROBE_LAST_S)
        self._strikes = 1

    def answered(self, now_ms: int) -> None:
        """The next turn is at the first grid point after now."""
        self.silent = 0
        self._strikes = STRIKES
        self._probes.reset()
        self._move(now_ms, 1)

    def unheard(self, now_ms: int, *, asked: bool) -> None:
        """The next turn is later when the device is dead; not when it was not `asked`, its link being down."""
        self.silent += 1
        wait_ms = 1
        if asked and self.silent >= self._strikes:
            wait_ms = int(self._probes.next_s() * 1000)
        self._move(now_ms, wait_ms)

    def _move(self, now_ms: int, wait_ms: int) -> None:
        """To the first grid point that is after now and `wait_ms` or more after this turn."""
        ahead_ms = max(now_ms + 1 - self.due_ms, wait_ms)
        self.due_ms += -(-ahead_ms // self._period_ms) * self._period_ms


class Poller:
    """Reads the devices of a link, each in its own time, and hands each reading on.

    The link decides who goes first; a device is never asked again before it has been read.
    """

    def __init__(
        self,
        devices: Sequence[tuple[Device, int]],
        *,
        clock: Clock,
        on_reading: Callable[[Reading], None],
        random: Callable[[], float] = random.random,
    ) -> None:
        """`devices` are pairs of device and period in ms; `on_reading` must be quick and must not raise."""
        self._clock = clock
        self._on_reading = on_reading
        self._random = random
        self._devices = devices
        self._untried = {device.name for device, _ in devices}
        self.first_round = asyncio.Event()
        """Set when every device has been tried once."""
        self._patience_ns: dict[str, int] = {}
        """Of each device that is being read: when that has taken too long."""

    async def run(self) -> None:
        """Polls until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for device, period_ms in self._devices:
                tasks.create_task(self._poll(device, self._first_turn(period_ms)), name=f"poll {device.name}")

    @property
    def stuck(self) -> bool:
        """True when a poll takes longer than all its time-outs can explain: what a watchdog looks at."""
        now_ns = self._clock.mono_ns()
        return any(now_ns > patience_ns for patience_ns in self._patience_ns.values())

    async def _poll(self, device: Device, turn: Turn) -> None:
        while True:
            delay_ns = turn.due_ms * 1_000_000 - self._clock.mono_ns()
            await asyncio.sleep(max(0, delay_ns) / 1e9)
            self._patience_ns[device.name] = self._clock.mono_ns() + _longest_ns(device)
            reading = await device.read()
            del self._patience_ns[device.name]
            self._note(device, turn, reading)
            self._on_reading(reading)
            self._untried.discard(device.name)
            if not self._untried:
                self.first_round.set()

    def _now_ms(self) -> int:
        return self._clock.mono_ns() // 1_000_000

    def _first_turn(self, period_ms: int) -> Turn:
        """The first poll is at once; its grid is the wall clock's, carried over to the monotonic clock."""
        phase_ms = self._clock.wall_ms() % period_ms
        return Turn(period_ms=period_ms, due_ms=self._now_ms() - phase_ms, random=self._random)

    def _note(self, device: Device, turn: Turn, reading: Reading) -> None:
        """Sets the next turn; logs a change of state, never a poll."""
        now_s = self._clock.mono_ns() / 1e9
        if reading.is_answer:
            if turn.changes.good(now_s) and turn.silent:
                log.info("device answers again device=%s after_polls=%d", device.name, turn.silent)
            turn.answered(self._now_ms())
            return
        reason = next(quality for quality in _REASONS if quality in reading.quality).name.lower()
        if turn.changes.bad("silent", now_s):
            log.warning("device fell silent device=%s reason=%s", device.name, reason)
        is_asked = {Quality.LINK_DOWN, Quality.UNREAD}.isdisjoint(reading.quality)
        turn.unheard(self._now_ms(), asked=is_asked)


def _longest_ns(device: Device) -> int:
    """The longest that a poll may take: each block may wait for its turn, be refused as busy, and time out."""
    return (MARGIN_MS + len(device.plan) * (int(WAIT_S * 1000) + 3 * device.profile.manners.timeout_ms)) * 1_000_000
