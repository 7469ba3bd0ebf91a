"""The one task that empties the outbox: urgent stream first, nothing marked on failure, never a hot loop."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from random import Random
from typing import Any, Final

from sync import budget
from sync.backoff import Backoff, Pace
from sync.budget import Budget
from sync.door import Door
from sync.errors import BadAnswer, Forked, Gap, OutboxFailed, Refused, Rejected, SyncError, Unreachable
from sync.lane import Lane
from sync.live_lane import LiveLane
from sync.messages import Ack, Batch
from sync.outbox import Outbox
from sync.transports.base import Transport

AWAY: Final = Pace(base_s=1, cap_s=150)
"""Nobody there, or somebody who is unwell: in the long run less than one attempt a minute."""
REFUSED: Final = Pace(base_s=60, cap_s=600)
"""Somebody has to mend the token."""
BATCH_S: Final = 4.0
"""A batch should take no longer on a slow line, or live values and alarms would wait for it."""
FIRST_BATCH_BYTES: Final = 256 * 1024
LEAST_BATCH_BYTES: Final = 16 * 1024

_log = logging.getLogger("huxi.sync")


class Forwarder:
    """Sends what waits in `outbox` through `transport` and settles what was acknowledged.

    Trouble on the way (Unreachable, BadAnswer, Refused) pauses everything; trouble with one stream (Gap,
    Rejected, Forked) only that stream; a failing outbox pauses everything too. Pauses are measured on the event
    loop's clock; `now_ms` is the wall clock, for `last_ack_ms` and the day of the byte budget.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        *,
        random: Random,
        max_batch_bytes: int = 768 * 1024,
        bytes_per_day: int | None = None,
        ledger_every_s: float = 0.0,
        live: LiveLane | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._outbox = outbox
        self._transport = transport
        self._max_batch_bytes = max_batch_bytes
        self._now_ms = now_ms
        urgent, *others = outbox.streams
        self._lanes = [Lane(urgent, random), *(Lane(stream, random, ledger_every_s) for stream in others)]
        self._live = live or LiveLane()
        self._budget = Budget(bytes_per_day, outbox, now_ms)
        self._backoff = Backoff(random)
        self._resume_at = -inf
        self._door = Door(transport, self._budget, random)
        self._batch_bytes = min(FIRST_BATCH_BYTES, max_batch_bytes)
        self._failure: SyncError | None = None
        self._reachable: bool | None = None
        self._last_ack_ms: int | None = None
        self._awake = asyncio.Event()
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Send whenever there is something to send; ends by cancellation only."""
        while True:
            self._awake.clear()
            while await self._step():
                pass
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_attempt()):
                    await self._awake.wait()

    def wake(self) -> None:
        """Records were committed. This shortens no pause after a failure."""
        self._awake.set()

    async def flush(self) -> bool:
        """Drain now, beside `run` or without it. True when nothing is left to send.

        Every pause is lifted once, also that of a stopped stream: somebody may have mended the cause.
        """
        async with self._turn:
            self._resume_at = -inf
            for lane in self._lanes:
                lane.resume_at = lane.rest_until = -inf
        while await self._step():
            pass
        self._awake.set()  # `run` may be waiting for the end of a pause that was lifted
        return self._resume_at == -inf and all(lane.resume_at == -inf for lane in self._lanes)

    def state(self) -> dict[str, Any]:
        """How the way to the receiver is, as JSON; call it inside the event loop.

        `trouble` says why a stream is held or stopped (null otherwise), `forked` whether one is stopped because the
        receiver holds other content under the same numbers, `backoff_s` is the time until the
        next attempt after a failure of the way (0 when there is none).
        """
        troubles = [lane.trouble for lane in self._lanes if lane.trouble]
        wait_s = self._resume_at - asyncio.get_running_loop().time()
        return {
            "reachable": self._reachable,
            "last_error": str(self._failure) if self._failure else next(iter(troubles), None),
            "last_ack_ms": self._last_ack_ms,
            "streams": {
                lane.stream: {"acked_through": lane.acked_through, "trouble": lane.trouble} for lane in self._lanes
            },
            "forked": any(lane.forked for lane in self._lanes),
            "backoff_s": round(max(wait_s, 0.0), 1),
            "budget": self._budget.state(),
            "live": {"shown": self._live.shown, "dropped": self._live.dropped},
        }

    def _next_attempt(self) -> float | None:
        """When a pause ends (loop time); None when only new records can give work."""
        if self._resume_at > -inf:
            return min(self._resume_at, self._door.knock_at)
        due = [at for lane in self._lanes for at in (lane.resume_at, lane.rest_until) if -inf < at < inf]
        now = asyncio.get_running_loop().time()
        due = [at for at in due if at > now]
        if self._reachable and self._live.due_at < inf:
            due.append(self._live.due_at)
        return min(due, default=None)

    async def _step(self) -> bool:
        """Make one exchange; False when there is nothing to do now."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            try:
                if now < self._resume_at and not (now >= self._door.knock_at and await self._door.is_open_again()):
                    return False
                self._resume_at = -inf
                is_busy = await self._send_first(now)
                await self._show(now)
                return is_busy
            except OutboxFailed as error:
                self._pause(error, AWAY)
                return False

    async def _send_first(self, now: float) -> bool:
        """One batch of the first stream that has one."""
        for lane in self._lanes:
            if lane.acked_through is None:
                lane.acked_through = await self._outbox.mark(lane.stream)
            if now < max(lane.resume_at, lane.rest_until):
                continue
            lane.resume_at = -inf
            share = budget.URGENT if lane is self._lanes[0] else budget.DUTY
            room_bytes = await self._budget.room_bytes(share)
            most_bytes = self._batch_bytes if room_bytes is None else min(self._batch_bytes, room_bytes)
            batch = await self._outbox.pending(lane.stream, most_bytes)
            if batch is None:
                lane.drained(now)
                continue
            batch = batch.head(lane.most_records)
            if room_bytes is not None and _size_bytes(batch) > room_bytes:
                lane.resume_at = now + self._budget.wait_s()
                continue
            await self._send(lane, batch)
            return self._resume_at == -inf
        return False

    async def _send(self, lane: Lane, batch: Batch) -> None:
        if batch.hashes()[-1] != batch.hash_after:
            lane.stop(
                f"stream {lane.stream} is stopped: its own chain is broken between records "
                f"{batch.first_seq} and {batch.last_seq}; run `huxi ledger verify`"
            )
            return
        begin = asyncio.get_running_loop().time()
        try:
            async with self._budget.spending(_size_bytes(batch), self._transport):
                if not lane.is_agreed:
                    await self._agree(lane, batch.epoch)
                    return
                ack = await self._transport.send(batch)
        except (Unreachable, Refused) as error:
            self._way_failed(error)
        except Gap as gap:
            self._reached()
            await self._rewind(lane, gap)
        except Forked as error:
            self._reached()
            lane.fork(f"stream {lane.stream} is stopped: {error}")
        except Rejected as error:
            self._reached()
            await self._reject(lane, batch, str(error))
        else:
            self._reached()
            self._pace_batches(batch, asyncio.get_running_loop().time() - begin)
            await self._settle(lane, ack)

    async def _agree(self, lane: Lane, epoch: str) -> None:
        """Ask the receiver where it stands, and go on from there; the batch at hand goes in the next turn."""
        position = await self._transport.position(self._outbox.gateway, lane.stream)
        lane.is_agreed = True
        if position.epoch != epoch:
            return  # it knows another one: the batch tells
        ours = await self._outbox.hash_after(lane.stream, position.acked_through)
        if ours is not None and ours != position.hash:
            lane.fork(
                f"stream {lane.stream} is stopped: the receiver holds other content at or before record "
                f"{position.acked_through}; another gateway may use this id, or an old copy of this card is running"
            )
            return
        mark = await self._outbox.mark(lane.stream)
        if position.acked_through < mark:
            await self._outbox.rewind(lane.stream, position.acked_through)
        elif position.acked_through > mark and ours is not None:
            await self._outbox.settle(lane.stream, position.acked_through)
        lane.acked_through = await self._outbox.mark(lane.stream)

    async def _settle(self, lane: Lane, ack: Ack) -> None:
        await self._outbox.settle(lane.stream, ack.acked_through)
        self._last_ack_ms = self._now_ms()
        lane.settled(ack.acked_through)

    async def _rewind(self, lane: Lane, gap: Gap) -> None:
        await self._outbox.rewind(lane.stream, gap.expected - 1)
        lane.rewound(gap)

    async def _reject(self, lane: Lane, batch: Batch, reason: str) -> None:
        """Halve at once until one record is left, then set it aside: it neither blocks nor vanishes."""
        record = batch.records[0]
        if len(batch.records) > 1:
            lane.narrow(batch)
        elif record.tombstone is None and await self._outbox.set_aside(lane.stream, record.seq, reason):
            _log.warning(
                "record_set_aside stream=%s seq=%d kind=%s why=%s", lane.stream, record.seq, record.kind, reason
            )
        else:
            lane.hold(batch, reason)

    async def _show(self, now: float) -> None:
        """The newest values, after a batch or when none waits, as long as the way is good."""
        if now < self._live.due_at or self._resume_at > -inf or not self._reachable:
            return
        newest = self._live.newest() if self._live.newest else None
        room_bytes = await self._budget.room_bytes(budget.LIVE)
        if newest is None or (room_bytes is not None and len(newest) > room_bytes):
            self._live.drop(now)
            return
        try:
            async with self._budget.spending(len(newest), self._transport):
                await self._transport.show(self._outbox.gateway, newest)
            self._live.took(now)
        except (BadAnswer, Rejected, Forked):
            self._live.drop(now, unwanted=True)
        except (Unreachable, Refused) as error:
            self._live.drop(now)
            self._way_failed(error)

    def _pace_batches(self, batch: Batch, took_s: float) -> None:
        """Smaller batches on a slow line."""
        if took_s > BATCH_S:
            self._batch_bytes = max(int(_size_bytes(batch) * BATCH_S / took_s), LEAST_BATCH_BYTES)
        elif took_s < BATCH_S / 2:
            self._batch_bytes = min(2 * self._batch_bytes, self._max_batch_bytes)

    def _way_failed(self, error: Unreachable | Refused) -> None:
        was_answered = isinstance(error, BadAnswer | Refused)
        for lane in self._lanes:
            lane.failed(was_answered=was_answered)
        if isinstance(error, Refused):
            self._pause(error, REFUSED)
            return
        self._pause(error, AWAY, error.retry_after_s)

    def _pause(self, error: SyncError, pace: Pace, retry_after_s: float | None = None) -> None:
        """Nothing moves until a moment in the future; one log line a change of state."""
        wait_s = self._backoff.next_s(pace, retry_after_s)
        if type(error) is not type(self._failure):
            _log.warning("sending_failed error=%s retry_in_s=%.1f", error, wait_s)
        self._failure = error
        if not isinstance(error, OutboxFailed):
            self._reachable = isinstance(error, Refused)
        self._resume_at = asyncio.get_running_loop().time() + wait_s
        self._door.failed(error)

    def _reached(self) -> None:
        """The receiver answered about the batch: the way is good."""
        if self._failure is not None:
            _log.info("receiver_returned")
        self._failure = None
        self._reachable = True
        self._backoff.reset()


def _size_bytes(batch: Batch) -> int:
    return sum(len(record.body) for record in batch.records)
