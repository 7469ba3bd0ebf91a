"""A way to a receiver in memory that fails as it is told, and what a test asks about both ends."""

import asyncio
from contextlib import suppress

from sync.errors import Refused, Rejected, Shut, Unreachable
from sync.messages import Ack
from sync.set_aside import halves
from sync.transports.memory import MemoryTransport
from sync.wire import decode_block

HOUR_S = 3600.0


class LostReply(Unreachable):
    """The batch arrives, its answer does not."""


class Duplicated(Exception):
    """The network delivers the batch twice; the first answer is lost."""


class ScriptedWay:
    """A MemoryTransport behind faults: one item of `faults` is spent on each attempt, then `always` holds."""

    def __init__(self, *faults, always=None):
        self.receiver = MemoryTransport()
        self.faults = list(faults)
        self.always = always
        self.attempts = []
        self.sent = []
        self.asked = []
        self.knocks = []
        self.wire_bytes = 0

    async def position(self, gateway, stream):
        if isinstance(self.always, Unreachable | Refused):
            self.attempts.append(asyncio.get_running_loop().time())
            raise self.always
        self.asked.append(stream)
        return await self.receiver.position(gateway, stream)

    async def show(self, gateway, live):
        await self.receiver.show(gateway, live)

    async def knock(self):
        self.knocks.append(asyncio.get_running_loop().time())
        return not isinstance(self.always, Shut)

    async def send(self, batch):
        self.wire_bytes += sum(len(record.body) for record in batch.records)
        self.attempts.append(asyncio.get_running_loop().time())
        self.sent.append((batch.stream, batch.first_seq, batch.last_seq))
        fault = self.faults.pop(0) if self.faults else self.always
        if callable(fault):
            fault = fault(batch)
        if isinstance(fault, LostReply | Duplicated):
            await self.receiver.send(batch)
        if isinstance(fault, Ack):
            return fault
        if fault is not None and not isinstance(fault, Duplicated):
            raise fault
        return await self.receiver.send(batch)

    async def aclose(self):
        pass


def received(way, stream="ledger"):
    """Bodies the receiver holds, checked: numbers from 1 on without hole or double."""
    records = next((held for (_, _, name), held in way.receiver.received.items() if name == stream), [])
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    return [record.body for record in records]


def held(way, stream="ledger"):
    """Records the receiver holds."""
    return next((held for (_, _, name), held in way.receiver.received.items() if name == stream), [])


def rejecting(is_bad):
    """A receiver that rejects each batch with a record of which `is_bad` is true, and no tombstone."""

    def judge(batch):
        bad = any(record.tombstone is None and is_bad(record) for record in batch.records)
        return Rejected("no such thing (422)") if bad else None

    return judge


def rows_of(record):
    return [] if record.tombstone else decode_block(record.body).columns.get("n", [])


def final_rows(record):
    """Rows of a record that cannot be divided any more."""
    return rows_of(record) if halves(record.seq, record.body) is None else []


def produced(outbox, stream="ledger"):
    return [record.body for record in outbox.records[stream]]


async def run_for(sender, seconds, *then):
    """Runs the forwarder for `seconds`, and calls `then` (second, function) on the way."""
    task = asyncio.create_task(sender.run())
    start = asyncio.get_running_loop().time()
    for at, action in then:
        await asyncio.sleep(start + at - asyncio.get_running_loop().time())
        action()
    await asyncio.sleep(start + seconds - asyncio.get_running_loop().time())
    state = sender.state()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return state
