"""The live stream: server-sent events for pages and for the command."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from gateway.web.errors import Busy
from gateway.web.models import Live, Model, Status
from gateway.web.site import Site

_STREAMS = 16  # people watching one gateway at a time; each costs a little work every second
_STATUS_EACH = 5  # beats
_RETRY_MS = 2000


class Feed:
    """Event `live` each second, which is the heartbeat too, and `status` each five seconds, until `close`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._closing = asyncio.Event()
        self._streams = 0

    def close(self) -> None:
        """End every stream now, and each new one after its first events."""
        self._closing.set()

    def admit(self) -> AsyncIterator[bytes]:
        """A new stream, which begins with both events. Raises `Busy` when too many are open."""
        if self._streams >= _STREAMS:
            raise Busy(f"{_STREAMS} live streams are open already", "close pages that nobody looks at")
        return self._events()

    async def _events(self) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            yield f"retry: {_RETRY_MS}\n\n".encode()
            next_s = asyncio.get_running_loop().time()
            beat = 0
            while not self._closing.is_set():
                yield _event("live", Live.model_validate(self._site.live()))
                if beat % _STATUS_EACH == 0:
                    yield _event("status", Status.model_validate(await self._site.status()))
                beat += 1
                next_s = await self._pause(next_s + 1)
        finally:
            self._streams -= 1

    async def _pause(self, until_s: float) -> float:
        """Wait for that instant of the loop's clock or for `close`; a beat that is overdue is skipped."""
        until_s = max(until_s, asyncio.get_running_loop().time())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                await self._closing.wait()
        return until_s


def _event(name: str, model: Model) -> bytes:
    return f"event: {name}\ndata: {model.model_dump_json(by_alias=True)}\n\n".encode()
