"""A TCP endpoint."""

import asyncio
from collections.abc import Callable
from typing import cast

from drivers.modbus.errors import TransportError

_BUFFER_BYTES = 4096  # a Modbus TCP frame has at most 260


class TcpTransport:
    """One TCP connection to a device or to a serial converter."""

    reopening_helps = True

    def __init__(self, host: str, port: int, *, connect_timeout_s: float = 5.0) -> None:
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._connection: _Connection | None = None

    async def open(self, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, self._connection = await loop.create_connection(
                    lambda: _Connection(receive, lost), self._host, self._port
                )
        except TimeoutError:
            reason = f"no connection within {self._connect_timeout_s:g} s"
        except (OSError, ValueError) as error:  # ValueError: a name that no resolver takes
            reason = str(error)
        else:
            return
        raise TransportError(f"tcp://{self._host}:{self._port}: {reason}; check address, cable and power of the device")

    def send(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.send(data)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class _Connection(asyncio.BufferedProtocol):
    """Buffered, because asyncio's plain protocol allocates 256 KiB for each reply."""

    def __init__(self, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._view = memoryview(bytearray(_BUFFER_BYTES))
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        self._receive(bytes(self._view[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closing:
            self._lost(f"connection lost: {exc}" if exc else "the other end closed the connection")
        self._closed.set_result(None)

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
        await self._closed
