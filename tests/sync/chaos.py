"""A way that loses, doubles, reorders and cuts, seeded; and the checker that says what became of the rows."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import pairwise
from random import Random


class ChaosProxy:
    """Between a gateway and a receiver: passes HTTP requests on, or does one of `FAULTS` to them."""

    FAULTS = ("refuse", "cut_request", "cut_reply", "lose_reply", "double", "replay_old")

    def __init__(self, port: int, seed: int, share: float = 0.3) -> None:
        self.receiver_port = port
        self.port = 0
        self.done: Counter[str] = Counter()
        self._random = Random(seed)
        self._share = share
        self._old: list[bytes] = []
        self._serving: set[asyncio.Task[None] | None] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["ChaosProxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 21)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # one end was killed
        finally:
            await _close(writer)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await read_message(reader)
        fault = self._random.choice(self.FAULTS) if self._random.random() < self._share else "none"
        self.done[fault] += 1
        if fault == "refuse":
            return False
        if fault == "cut_request":
            await self._tell(request[: self._random.randrange(len(request))], replies=False)
            return False
        if fault == "replay_old" and self._old:
            await self._tell(self._random.choice(self._old), replies=True)
        reply = await self._tell(request, replies=True)
        if fault == "double":
            reply = await self._tell(request, replies=True)
        if request.startswith(b"POST"):
            self._old = [*self._old[-30:], request]
        if fault == "lose_reply":
            return False
        if fault == "cut_reply":
            writer.write(reply[: self._random.randrange(len(reply))])
            return False
        writer.write(reply)
        await writer.drain()
        return True

    async def _tell(self, request: bytes, *, replies: bool) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.receiver_port, limit=1 << 21)
        try:
            writer.write(request)
            await writer.drain()
            return await read_message(reader) if replies else b""
        finally:
            await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP message with a Content-Length, or without a body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length:" in line), 0)
    return head + await reader.readexactly(length)


def problems(produced: Iterable[int], arrived: Sequence[int]) -> list[str]:
    """What is wrong with rows that came in this order: lost, doubled, made up, or out of order."""
    counts, made = Counter(arrived), set(produced)
    found = [f"{row} is lost" for row in sorted(made - set(counts))]
    found += [f"{row} came {count} times" for row, count in sorted(counts.items()) if count > 1]
    found += [f"{row} was never produced" for row in sorted(set(counts) - made)]
    found += [f"{after} came after {before}" for before, after in pairwise(arrived) if after <= before]
    return found
