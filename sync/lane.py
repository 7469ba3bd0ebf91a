"""What the forwarder knows of one stream: its pause, its trouble, and how much to send at a time."""

import asyncio
import logging
from math import inf
from random import Random
from typing import Final

from sync.backoff import Backoff, Pace
from sync.errors import Gap
from sync.messages import Batch

GAP: Final = Pace(base_s=1, cap_s=150)
"""One rewind mends a true gap; a receiver that keeps forgetting is tried ever more seldom."""
REJECTED: Final = Pace(base_s=1800, cap_s=3600)
"""Not even a tombstone is wanted: only a change at the receiver helps."""

_UNLIMITED: Final = 1 << 20

_log = logging.getLogger("huxi.sync")


class Lane:
    """One stream on its way."""

    def __init__(self, stream: str, random: Random, every_s: float = 0.0) -> None:
        self.stream = stream
        self._every_s = every_s
        self._had_some = False
        self.rest_until = -inf
        """Loop time before which what comes is gathered, to be sent in fewer bytes."""
        self.acked_through: int | None = None
        self.trouble: str | None = None
        self.forked = False
        """True while it is stopped because the receiver holds other content under the same numbers."""
        self.resume_at = -inf
        """Loop time before which nothing of this stream is sent; inf: until somebody flushes."""
        self.most_records = _UNLIMITED
        """Size of the next batch; small after a failure and while a rejected record is looked for."""
        self.is_agreed = False
        """True once the receiver said where it stands, and while the way is good since."""
        self._backoff = Backoff(random)

    def drained(self, now: float) -> None:
        """Nothing waits; nothing is sent either until the stream's next turn."""
        self._backoff.reset()
        self.rest_until = max(self.rest_until, now + self._every_s) if self._had_some else self.rest_until
        self._had_some = False

    def settled(self, acked_through: int) -> None:
        self.acked_through = acked_through
        self.trouble = None
        self.forked = False
        self._had_some = True
        self.most_records = min(2 * self.most_records, _UNLIMITED)

    def failed(self, *, was_answered: bool) -> None:
        """The way failed: a small batch goes first, and where an answer was lost the receiver is asked before."""
        self.is_agreed = self.is_agreed and was_answered
        self.most_records = 1

    def rewound(self, gap: Gap) -> None:
        self.acked_through = gap.expected - 1
        self._hold(f"stream {self.stream} was rewound: {gap}", GAP)

    def narrow(self, batch: Batch) -> None:
        """A batch was rejected: halve it."""
        self.most_records = max(len(batch.records) // 2, 1)

    def hold(self, batch: Batch, reason: str) -> None:
        """A record is rejected and cannot be set aside."""
        record = batch.records[0]
        self._hold(
            f"stream {self.stream} is held: the receiver rejects record {record.seq} "
            f"(kind {record.kind}, {len(record.body)} bytes): {reason}",
            REJECTED,
        )

    def fork(self, trouble: str) -> None:
        self.forked = True
        self.stop(trouble)

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
