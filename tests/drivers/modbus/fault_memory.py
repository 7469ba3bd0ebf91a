"""The faulty server as a link's transport, in memory and on the loop's clock, virtual or not."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from drivers.modbus.errors import TransportError
from tests.drivers.modbus.fault_answer import Emission
from tests.drivers.modbus.fault_server import FaultServer

_BITS_PER_BYTE = 11


class MemoryTransport:
    """The endpoint of a FaultServer.

    On a framing without numbers what was under way when the connection ended comes out on the next one, as
    from the queue of a converter. With `baud` every byte takes its time, both ways;
    a line has no endings.
    """

    def __init__(self, server: FaultServer, *, reopening_helps: bool = True, baud: int | None = None) -> None:
        self.reopening_helps = reopening_helps
        self.refuse = ""  # why opening fails; empty when it does not
        self.opened_at_s: list[float] = []
        self.open_now = False
        self.collisions = 0  # requests sent while the server spoke, at a baud rate
        self._server = server
        self._byte_s = _BITS_PER_BYTE / baud if baud else 0.0
        self._free_at_s = 0.0
        self._under_way: list[tuple[float, int, int, Emission]] = []  # (arrival, order, connection, what)
        self._order = itertools.count()

    async def open(self, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        assert not self.open_now, "a second connection while the first is open"
        self._loop = asyncio.get_running_loop()
        self.opened_at_s.append(self._loop.time())
        if self.refuse:
            raise TransportError(self.refuse)
        self.open_now = True
        self._receive, self._lost = receive, lost
        self._server.connect(self._loop.time())

    def send(self, data: bytes) -> None:
        assert self.open_now, "bytes for a connection that is not open"
        self.collisions += self._loop.time() < self._free_at_s
        now_s = self._loop.time() + len(data) * self._byte_s
        for emission in sorted(self._server.feed(data, now_s), key=lambda emission: emission.at_s):
            for piece in self._bytes_of(emission):
                heapq.heappush(self._under_way, (piece.at_s, next(self._order), len(self.opened_at_s), piece))
                self._loop.call_at(piece.at_s, self._deliver)

    def say(self, data: bytes) -> None:
        """Bytes on the line that are nobody's answer."""
        if self.open_now:
            self._receive(data)

    def drop(self, reason: str) -> None:
        """The endpoint goes away."""
        if self.open_now:
            self.open_now = False
            self._lost(reason)

    async def close(self) -> None:
        self.open_now = False

    def _bytes_of(self, emission: Emission) -> list[Emission]:
        """What arrives of it, and when: all at once, or byte by byte behind what is on the line already."""
        if not self._byte_s:
            return [emission]
        begin_s = max(self._free_at_s, emission.at_s)
        self._free_at_s = begin_s + len(emission.data) * self._byte_s
        return [
            Emission(begin_s + (index + 1) * self._byte_s, bytes([byte])) for index, byte in enumerate(emission.data)
        ]

    def _deliver(self) -> None:
        _, _, connection, emission = heapq.heappop(self._under_way)  # the loop mixes up timers of one instant
        is_same = connection == len(self.opened_at_s)
        if self.open_now and emission.data and (is_same or not self._server.wire.numbered):
            self._receive(emission.data)
        if emission.ending and is_same:
            self.drop(emission.ending.value)
