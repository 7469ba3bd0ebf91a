"""What the tests of sync share: an outbox in memory, batches by the dozen, and a loop whose time is free."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

import pytest

from sync.forwarder import Forwarder
from sync.messages import GENESIS, Batch, Record, Tombstone, chain
from sync.set_aside import QUARANTINED, REMAINDER, SPLIT, halves, stone
from sync.wire import encode_block
from tests.sync import way as ways

GATEWAY = "qiyang-01"
EPOCH = "00c0ffee00c0ffee"


class MemoryOutbox:
    """Keeps the contract of sync.outbox.Outbox; `calls` tells what was settled and rewound, in order."""

    def __init__(self, streams: tuple[str, ...] = ("events", "ledger")) -> None:
        self._streams = streams
        self.records: dict[str, list[Record]] = {stream: [] for stream in streams}
        self.hashes: dict[str, list[bytes]] = {stream: [GENESIS] for stream in streams}
        self.marks = dict.fromkeys(streams, 0)
        self.calls: list[tuple[str, str, int]] = []
        self.settled = asyncio.Event()
        self.gateway, self.epoch = GATEWAY, EPOCH
        self.aside: dict[tuple[str, int], str] = {}
        self.noted = ("", 0)

    @property
    def streams(self) -> tuple[str, ...]:
        return self._streams

    def append(self, stream: str, body: bytes, kind: str = "test") -> None:
        held, hashes = self.records[stream], self.hashes[stream]
        record = Record(stream=stream, seq=len(held) + 1, kind=kind, body=body)
        held.append(record)
        hashes.append(chain(hashes[-1], record.seq, body))

    def fill(self, stream: str, count: int) -> None:
        for _ in range(count):
            self.append(stream, encode_block("test", {"n": len(self.records[stream])}, {}))

    async def pending(self, stream: str, max_bytes: int) -> Batch | None:
        first = self.marks[stream]
        held = self.records[stream][first:]
        count, size = 0, 0
        for record in held:
            size += len(record.body)
            if count and size > max_bytes:
                break
            count += 1
        if not count:
            return None
        return Batch(
            gateway=self.gateway,
            epoch=self.epoch,
            stream=stream,
            first_seq=first + 1,
            hash_before=self.hashes[stream][first],
            hash_after=self.hashes[stream][first + count],
            records=tuple(self._as_sent(record) for record in held[:count]),
        )

    async def settle(self, stream: str, acked_through: int) -> None:
        self.calls.append(("settle", stream, acked_through))
        self.marks[stream] = max(self.marks[stream], acked_through)
        self.settled.set()

    async def rewind(self, stream: str, acked_through: int) -> None:
        self.calls.append(("rewind", stream, acked_through))
        self.marks[stream] = min(self.marks[stream], acked_through)

    async def mark(self, stream: str) -> int:
        return self.marks[stream]

    async def hash_after(self, stream: str, seq: int) -> bytes | None:
        return self.hashes[stream][seq] if seq < len(self.hashes[stream]) else None

    async def set_aside(self, stream: str, seq: int, reason: str) -> bool:
        self.aside[stream, seq] = reason
        for part in halves(seq, self.records[stream][seq - 1].body) or ():
            self.append(stream, part, REMAINDER)
        return True

    async def spent(self) -> tuple[str, int]:
        return self.noted

    async def note_spent(self, day: str, spent_bytes: int) -> None:
        self.noted = (day, spent_bytes)

    def _as_sent(self, record: Record) -> Record:
        if (record.stream, record.seq) not in self.aside:
            return record
        hashes = self.hashes[record.stream]
        span = Tombstone(first_seq=record.seq, hash_before=hashes[record.seq - 1], hash_after=hashes[record.seq])
        reason = SPLIT if halves(record.seq, record.body) else QUARANTINED
        return stone(record.stream, record.seq, span, reason=reason, detail="", sums=[])


class _JumpingSelector(selectors.DefaultSelector):
    """Where a loop would wait for a timer, its clock jumps there instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("nothing will ever happen any more")
        if not events:
            self.now += timeout or 0.0
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which a day takes no time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@pytest.fixture
def outbox() -> MemoryOutbox:
    return MemoryOutbox()


@pytest.fixture
def virtual() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine to its end in virtual time."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(coroutine)

    return run


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """A sound batch from bodies; any field can be set to something else."""

    def make(
        bodies: Sequence[bytes] = (b'{"kind":"test"}',),
        *,
        first_seq: int = 1,
        hash_before: bytes = GENESIS,
        stream: str = "ledger",
        **other: Any,
    ) -> Batch:
        records = tuple(
            Record(stream=stream, seq=seq, kind="test", body=body) for seq, body in enumerate(bodies, first_seq)
        )
        hash_after = hash_before
        for record in records:
            hash_after = chain(hash_after, record.seq, record.body)
        fields = {
            "gateway": GATEWAY,
            "epoch": EPOCH,
            "stream": stream,
            "first_seq": first_seq,
            "hash_before": hash_before,
            "hash_after": hash_after,
            "records": records,
        }
        return Batch(**(fields | other))

    return make


@pytest.fixture
def run(outbox, virtual):
    """run(way, seconds, *then): the state after so many virtual seconds."""

    def go(way, seconds=ways.HOUR_S, *then, max_batch_bytes=4096, seed=1):
        async def main():
            sender = Forwarder(
                outbox,
                way,
                random=Random(seed),
                max_batch_bytes=max_batch_bytes,
                now_ms=lambda: 1_700_000_000_000,
            )
            return await ways.run_for(sender, seconds, *then)

        return virtual(main())

    return go
