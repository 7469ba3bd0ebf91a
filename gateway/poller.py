"""Polls the devices of one link, one at a time, on a grid aligned to the wall second that does not drift."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drivers.device import Device, Reading
from ext.quality import Quality
from gateway.clock import Clock

log = logging.getLogger("huxi.poller")

# A device that stays silent is asked more and more seldom, so that it costs the others of its line little.
SILENT_CAP_MS = 10_000
NEVER_NS = 1 << 62
MARGIN_MS = 60_000


@dataclass(slots=True, kw_only=True)
class Turn:
    """When a device is read."""

    device: Device
    period_ms: int
    due_ms: int
    """Monotonic milliseconds of the next poll."""
    silent: int = 0
    """Polls in a row without any answer."""

    def longest_ns(self) -> int:
        """The longest that a poll may take: each block may wait for a late answer, time out and drain."""
        device = self.device
        return (MARGIN_MS + len(device.plan) * (3 * device.profile.manners.timeout_ms + 1_000)) * 1_000_000

    def after(self, now_ms: int, *, answered: bool) -> None:
        """Sets the next turn: the first grid point after now, or later when the device is silent."""
        self.silent = 0 if answered else self.silent + 1
        wait_ms = self.period_ms
        if self.silent > 1:
            wait_ms = max(self.period_ms, min(SILENT_CAP_MS, self.period_ms << min(self.silent - 1, 10)))
        missed = max(0, now_ms - self.due_ms) // self.period_ms
        self.due_ms += missed * self.period_ms + wait_ms // self.period_ms * self.period_ms


class Poller:
    """Reads the devices of a link in turn and hands each reading on."""

    def __init__(
        self,
        devices: Sequence[tuple[Device, int]],
        *,
        clock: Clock,
        on_reading: Callable[[Reading], None],
    ) -> None:
        """`devices` are pairs of device and period in ms; `on_reading` must be quick and must not raise."""
        self._clock = clock
        self._on_reading = on_reading
        self._turns = [self._first_turn(device, period_ms) for device, period_ms in devices]
        self.first_round = asyncio.Event()
        """Set when every device has been tried once."""
        self._patience_ns = NEVER_NS

    async def run(self) -> None:
        """Polls until cancelled."""
        untried = {turn.device.name for turn in self._turns}
        while True:
            turn = min(self._turns, key=lambda turn: turn.due_ms)
            delay_ms = turn.due_ms - self._clock.mono_ns() // 1_000_000
            if delay_ms > 0:
                await asyncio.sleep(delay_ms / 1000)
            self._patience_ns = self._clock.mono_ns() + turn.longest_ns()
            reading = await turn.device.read()
            self._patience_ns = NEVER_NS
            self._note(turn, reading)
            self._on_reading(reading)
            untried.discard(turn.device.name)
            if not untried:
                self.first_round.set()
            await asyncio.sleep(0)

    @property
    def stuck(self) -> bool:
        """True when a poll takes longer than all its time-outs can explain: what a watchdog looks at."""
        return self._clock.mono_ns() > self._patience_ns

    def _first_turn(self, device: Device, period_ms: int) -> Turn:
        """The first poll is at once; its grid is the wall clock's, carried over to the monotonic clock."""
        mono_ms = self._clock.mono_ns() // 1_000_000
        phase_ms = self._clock.wall_ms() % period_ms
        return Turn(device=device, period_ms=period_ms, due_ms=mono_ms - phase_ms)

    def _note(self, turn: Turn, reading: Reading) -> None:
        """Logs a change of state, never a poll."""
        answered = any(quality <= Quality.BAD for quality in reading.quality)
        if not answered and turn.silent == 0:
            worst = Quality(max(reading.quality)).name.lower()
            log.warning("device fell silent device=%s reason=%s", turn.device.name, worst)
        elif answered and turn.silent > 0:
            log.info("device answers again device=%s after_polls=%d", turn.device.name, turn.silent)
        turn.after(self._clock.mono_ns() // 1_000_000, answered=answered)
