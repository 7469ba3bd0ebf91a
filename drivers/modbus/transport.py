"""The bottom of a link: a pipe of bytes to one endpoint."""

from collections.abc import Callable
from typing import Protocol


class Transport(Protocol):
    """At most one socket or tty at a time; the link opens and closes it, nobody else does."""

    reopening_helps: bool  # whether a silent endpoint may come back by itself after close and open

    async def open(self, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """Open the endpoint, within a bounded time; TransportError when that fails.

        `receive` gets every byte in order; `lost` is called once with the reason when the endpoint goes away
        by itself, never after `close`.
        """
        ...

    def send(self, data: bytes) -> None:
        """Put bytes on the wire; without an open endpoint they vanish."""
        ...

    async def close(self) -> None:
        """Close the endpoint and come back when it is closed; harmless when it is not open."""
        ...
