"""The one task that empties the outbox: urgent stream first, nothing marked on failure, never a hot loop."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from random import Random
from typing import Any, Final

from sync.backoff import Backoff, Pace
from sync.errors import BadAnswer, Forked, Gap, OutboxFailed, Refused, Rejected, SyncError, Unreachable
from sync.messages import Ack, Batch
from sync.outbox import Outbox
from sync.transports.base import Transport

UNREACHABLE: Final = Pace(base_s=1, cap_s=10)
"""Nobody there: an attempt costs little, and data should move soon after the receiver is back."""
BAD_ANSWER: Final = Pace(base_s=1, cap_s=150)
"""Somebody is there and unwell: in the long run less than one attempt a minute."""
REFUSED: Final = Pace(base_s=60, cap_s=600)
"""Somebody has to mend the token."""
GAP: Final = Pace(base_s=1, cap_s=150)
"""One rewind mends a true gap; a receiver that keeps forgetting is tried ever more seldom."""
REJECTED: Final = Pace(base_s=1800, cap_s=3600)
"""One record is not wanted: only a change at the receiver helps."""

_log = logging.getLogger("huxi.sync")


class Forwarder:
    """Sends what waits in `outbox` through `transport` and settles what was acknowledged.

    Trouble on the way (Unreachable, BadAnswer, Refused) pauses everything; trouble with one stream (Gap,
    Rejected, Forked) only that stream; a failing outbox pauses everything too. Pauses are measured on the event
    loop's clock; `now_ms` is the wall clock and stamps `last_ack_ms` only.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        *,
        random: Random,
        max_batch_bytes: int = 256 * 1024,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._outbox = outbox
        self._transport = transport
        self._max_batch_bytes = max_batch_bytes
        self._now_ms = now_ms
        self._lanes = [_Lane(stream, random) for stream in outbox.streams]
        self._backoff = Backoff(random)
        self._resume_at = -inf
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
                lane.resume_at = -inf
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
        }

    def _next_attempt(self) -> float | None:
        """When a pause ends (loop time); None when only new records can give work."""
        if self._resume_at > -inf:
            return self._resume_at
        return min((lane.resume_at for lane in self._lanes if -inf < lane.resume_at < inf), default=None)

    async def _step(self) -> bool:
        """Send one batch of the first stream that has one; False when there is nothing to send now."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if now < self._resume_at:
                return False
            self._resume_at = -inf
            try:
                return await self._send_first(now)
            except OutboxFailed as error:
                self._pause(error, BAD_ANSWER, None)
                return False

    async def _send_first(self, now: float) -> bool:
        """Send one batch of the first stream that has one and is not paused."""
        for lane in self._lanes:
            if lane.acked_through is None:
                lane.acked_through = await self._outbox.mark(lane.stream)
            if now < lane.resume_at:
                continue
            lane.resume_at = -inf
            batch = await self._outbox.pending(lane.stream, self._max_batch_bytes)
            if batch is not None:
                await self._send(lane, batch)
                return True
            lane.drained()
        return False

    async def _send(self, lane: "_Lane", batch: Batch) -> None:
        if batch.hashes()[-1] != batch.hash_after:
            lane.stop(
                f"stream {lane.stream} is stopped: its own chain is broken between records "
                f"{batch.first_seq} and {batch.last_seq}; run `huxi ledger verify`"
            )
            return
        batch = batch.head(lane.most_records)
        try:
            ack = await self._transport.send(batch)
        except Unreachable as error:
            self._pause(error, BAD_ANSWER if isinstance(error, BadAnswer) else UNREACHABLE, error.retry_after_s)
        except Refused as error:
            self._pause(error, REFUSED, None)
        except Gap as gap:
            self._reached()
            await self._rewind(lane, gap)
        except Forked as error:
            self._reached()
            lane.forked = True
            lane.stop(f"stream {lane.stream} is stopped: {error}")
        except Rejected as error:
            self._reached()
            lane.reject(batch, str(error))
        else:
            self._reached()
            await self._settle(lane, batch, ack)

    async def _settle(self, lane: "_Lane", batch: Batch, ack: Ack) -> None:
        await self._outbox.settle(lane.stream, ack.acked_through)
        self._last_ack_ms = self._now_ms()
        lane.settled(batch, ack.acked_through)

    async def _rewind(self, lane: "_Lane", gap: Gap) -> None:
        await self._outbox.rewind(lane.stream, gap.expected - 1)
        lane.rewound(gap)

    def _pause(self, error: SyncError, pace: Pace, retry_after_s: float | None) -> None:
        """Nothing moves until a moment in the future; one log line a change of state."""
        wait_s = self._backoff.next_s(pace, retry_after_s)
        if type(error) is not type(self._failure):
            _log.warning("sending_failed error=%s retry_in_s=%.1f", error, wait_s)
        self._failure = error
        if not isinstance(error, OutboxFailed):
            self._reachable = isinstance(error, Refused)
        self._resume_at = asyncio.get_running_loop().time() + wait_s

    def _reached(self) -> None:
        """The receiver answered about the batch: the way is good."""
        if self._failure is not None:
            _log.info("receiver_returned")
        self._failure = None
        self._reachable = True
        self._backoff.reset()


class _Lane:
    """What the forwarder knows of one stream."""

    def __init__(self, stream: str, random: Random) -> None:
        self.stream = stream
        self.acked_through: int | None = None
        self.trouble: str | None = None
        self.forked = False
        """True while it is stopped because the receiver holds other content under the same numbers."""
        self.resume_at = -inf
        """Loop time before which nothing of this stream is sent; inf: until somebody flushes."""
        self.most_records = _UNLIMITED
        """Size of the next batch; small while a rejected record is being looked for."""
        self._backoff = Backoff(random)

    def drained(self) -> None:
        self._backoff.reset()

    def settled(self, batch: Batch, acked_through: int) -> None:
        self.acked_through = acked_through
        self.trouble = None
        self.forked = False
        self.most_records = min(2 * self.most_records, _UNLIMITED)

    def rewound(self, gap: Gap) -> None:
        self.acked_through = gap.expected - 1
        self._hold(f"stream {self.stream} was rewound: {gap}", GAP)

    def reject(self, batch: Batch, reason: str) -> None:
        """Halve at once until one record is left, then hold the stream at it."""
        if len(batch.records) > 1:
            self.most_records = len(batch.records) // 2
            return
        record = batch.records[0]
        self.most_records = 1
        self._hold(
            f"stream {self.stream} is held: the receiver rejects record {record.seq} "
            f"(kind {record.kind}, {len(record.body)} bytes): {reason}",
            REJECTED,
        )

    def stop(self, trouble: str) -> None:
        self._say(trouble)
        self.resume_at = inf

    def _hold(self, trouble: str, pace: Pace) -> None:
        self._say(trouble)
        self.resume_at = asyncio.get_running_loop().time() + self._backoff.next_s(pace)

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            _log.error("stream_held stream=%s trouble=%s", self.stream, trouble)
        self.trouble = trouble


_UNLIMITED = 1 << 20
