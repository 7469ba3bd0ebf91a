"""The faulty server behind a TCP port and behind the end of a serial line, in real time."""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from drivers.modbus.serial_port import SerialPort
from tests.drivers.modbus.fault_answer import Emission, Ending
from tests.drivers.modbus.fault_server import FaultServer

_ESTABLISHED = 1  # of the states in linux/tcp.h
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Sharing(Enum):
    """What a device does about a second client."""

    ALL = "serves all"
    REFUSES_SECOND = "resets the newcomer"
    DROPS_FIRST = "resets the one that was there"
    FREEZES = "answers nobody while there are two"


class TcpFace:
    """A listening socket; the framing is the server's. Counts what its clients hold open."""

    def __init__(
        self, server: FaultServer, *, sharing: Sharing = Sharing.ALL, greeting: bytes = b"", hangs_up: bool = False
    ) -> None:
        """`greeting` is said to whoever comes; with `hangs_up` the connection is closed right after it."""
        self.server = server
        self.sharing = sharing
        self.greeting = greeting
        self.hangs_up = hangs_up
        self.port = 0
        self.accepted = 0
        self.most_held = 0  # connections that clients held open at one time
        self.clients: set[_Client] = set()
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Take connections, at the same port as before."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Client(self), "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Reset everybody and refuse connections from now on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            for client in list(self.clients):
                client.end(Ending.RESET)
            await asyncio.gather(*[client.gone.wait() for client in self.clients])
            await listener.wait_closed()

    @property
    def held(self) -> int:
        """Connections that clients hold open now: the kernel knows of an end before the loop does."""
        return sum(client.is_held for client in self.clients)

    def came(self, client: _Client) -> None:
        """A connection was made."""
        self.accepted += 1
        others = [other for other in self.clients if other.is_held]
        self.clients.add(client)
        self.most_held = max(self.most_held, len(others) + 1)
        if others and self.sharing is Sharing.REFUSES_SECOND:
            client.end(Ending.RESET)
            return
        if self.sharing is Sharing.DROPS_FIRST:
            for other in others:
                other.end(Ending.RESET)
        self.server.connect(asyncio.get_running_loop().time())
        client.send(self.greeting)
        if self.hangs_up:
            client.end(Ending.FINISH)

    @property
    def frozen(self) -> bool:
        """Whether two clients are more than the device can bear."""
        return self.sharing is Sharing.FREEZES and self.held > 1


class _Client(asyncio.Protocol):
    def __init__(self, face: TcpFace) -> None:
        self._face = face
        self._loop = asyncio.get_running_loop()
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._face.came(self)

    def data_received(self, data: bytes) -> None:
        if self._face.frozen:
            return
        for emission in sorted(self._face.server.feed(data, self._loop.time()), key=lambda emission: emission.at_s):
            self._loop.call_at(emission.at_s, self._emit, emission)

    def connection_lost(self, exc: Exception | None) -> None:
        self._face.clients.discard(self)
        self.gone.set()

    @property
    def is_held(self) -> bool:
        """Whether neither end has let go yet."""
        return (
            not self._transport.is_closing()
            and self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED
        )

    def send(self, data: bytes) -> None:
        """Put bytes on the connection, while there is one."""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def end(self, ending: Ending) -> None:
        """Close or reset."""
        if self._transport.is_closing():
            return
        if ending is Ending.FINISH:
            self._transport.write_eof()
        else:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def _emit(self, emission: Emission) -> None:
        self.send(emission.data)
        if emission.ending:
            self.end(emission.ending)


class SerialFace:
    """One end of a line that somebody else emulates."""

    def __init__(self, server: FaultServer, path: Path, *, baud: int) -> None:
        self._server = server
        self._path = path
        self._baud = baud

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._port = SerialPort(str(self._path), baud=self._baud, parity="N", stop=1)
        self._port.start(self._take, lambda reason: None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._port.close()

    def _take(self, data: bytes) -> None:
        for emission in sorted(self._server.feed(data, self._loop.time()), key=lambda emission: emission.at_s):
            self._loop.call_at(emission.at_s, self._port.send, emission.data)
