"""A loop in virtual time, and a transport whose other end is written in the test."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from drivers.modbus.errors import TransportError

T = TypeVar("T")
Replies = Iterable[tuple[float, bytes]]  # (seconds after the request, bytes)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Instead of waiting it moves its clock; waiting for nothing at all is an error."""

    def __init__(self):
        super().__init__(_VirtualSelector(self))
        self.now = 1000.0

    def time(self):
        return self.now


class _VirtualSelector(selectors.SelectSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("the test waits for something that cannot happen")
        if not ready:
            self._loop.now += max(timeout, 0)
        return ready


class FakeTransport:
    """Records what is sent and answers by a function of the frame; opens fail while `refuse` says why."""

    def __init__(self, answer: Callable[[bytes], Replies], *, reopening_helps: bool = True):
        self.reopening_helps = reopening_helps
        self.answer = answer
        self.refuse = ""
        self.sent: list[bytes] = []
        self.sent_at: list[float] = []
        self.opened_at: list[float] = []
        self.open_now = False

    async def open(self, receive, lost):
        assert not self.open_now, "a second connection while the first is open"
        self._loop = asyncio.get_running_loop()
        self.opened_at.append(self._loop.time())
        if self.refuse:
            raise TransportError(self.refuse)
        self.open_now = True
        self._receive, self._lost = receive, lost

    def send(self, data):
        self.sent.append(data)
        self.sent_at.append(self._loop.time())
        for delay, reply in self.answer(data):
            self._loop.call_later(delay, self.push, reply)

    def push(self, data):
        if self.open_now:
            self._receive(data)

    def drop(self, reason="the other end closed the connection"):
        self.open_now = False
        self._lost(reason)

    async def close(self):
        self.open_now = False


def run_in_virtual_time(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it; `asyncio.get_running_loop().time()` starts at 1000."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
