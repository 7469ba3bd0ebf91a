"""Modbus servers: a register bank behind a TCP port or a tty, as a device would be."""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, cast

from drivers.modbus.bank import RegisterBank
from drivers.modbus.conversation import Conversation, RtuConversation, TcpConversation
from drivers.modbus.errors import TransportError
from drivers.modbus.serial_port import SerialPort

_log = logging.getLogger("huxi.drivers")


class Server(Protocol):
    """A server that can go away and come back under the same address."""

    async def start(self) -> None:
        """Begin to serve; TransportError when the endpoint cannot be had."""
        ...

    async def stop(self) -> None:
        """Close the endpoint and every connection; harmless when not serving."""
        ...


class TcpServer:
    """Modbus TCP, or RTU inside TCP.

    With `one_client`, a second connection is closed at once while the first lives, as small devices do it: a
    listening socket cannot decline a connection, so it is made and then reset.
    """

    def __init__(
        self, bank: RegisterBank, host: str, port: int, *, rtu: bool = False, one_client: bool = False
    ) -> None:
        """`port` 0 takes a free one, which `port` tells after the start and keeps for later starts."""
        self.port = port
        self.accepted = 0
        self.refused = 0
        self._bank = bank
        self._host = host
        self._rtu = rtu
        self._one_client = one_client
        self._clients: set[_Client] = set()
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(self._greet, self._host, self.port)
        except OSError as error:
            raise TransportError(
                f"tcp://{self._host}:{self.port}: {error}; choose a free port and an address of this machine"
            ) from error
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            await asyncio.gather(*[client.close() for client in self._clients])
            await listener.wait_closed()

    @property
    def clients(self) -> int:
        """Connections that are open now."""
        return len(self._clients)

    def _greet(self) -> "_Client":
        talk = RtuConversation(self._bank) if self._rtu else TcpConversation(self._bank)
        return _Client(talk, self._admit, self._clients.discard)

    def _admit(self, client: "_Client") -> bool:
        if self._listener is None or (self._one_client and self._clients):
            self.refused += 1
            return False
        self.accepted += 1
        self._clients.add(client)
        return True


class _Client(asyncio.Protocol):
    def __init__(
        self, talk: Conversation, admit: Callable[["_Client"], bool], gone: Callable[["_Client"], None]
    ) -> None:
        self._talk = talk
        self._admit = admit
        self._gone = gone
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        if not self._admit(self):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        replies = self._talk.feed(data)
        if replies is None:
            self._transport.abort()
        elif replies:
            self._transport.write(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone(self)
        self._closed.set_result(None)

    async def close(self) -> None:
        self._transport.abort()
        await self._closed


class RtuServer:
    """Modbus RTU on a tty."""

    def __init__(self, bank: RegisterBank, path: str, *, baud: int, parity: str, stop: int) -> None:
        self._bank = bank
        self._path = path
        self._baud = baud
        self._parity = parity
        self._stop = stop
        self._port: SerialPort | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        port = SerialPort(self._path, baud=self._baud, parity=self._parity, stop=self._stop)
        talk = RtuConversation(self._bank)
        port.start(
            lambda data: port.send(talk.feed(data)),
            lambda reason: _log.warning("serial port lost path=%s reason=%r", self._path, reason),
        )
        self._port = port

    async def stop(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()
