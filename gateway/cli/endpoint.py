"""Where a simulated device is served: a TCP port, a tty, or an emulated serial line."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from drivers.modbus.bank import RegisterBank
from drivers.modbus.line import EmulatedLine
from drivers.modbus.server import RtuServer, Server, TcpServer
from drivers.modbus.url import LinkAddress, LinkScheme


class Endpoint:
    """A server that can vanish and come back at its address."""

    def __init__(self, server: Server, address: LinkAddress) -> None:
        self._server = server
        self._serving = True
        self.address = address
        """Where a master finds it."""

    async def vanish(self) -> None:
        """As if its power were cut; harmless when it is gone already."""
        if self._serving:
            self._serving = False
            await self._server.stop()

    async def come_back(self) -> None:
        """Serve again at the same address; TransportError when it was taken meanwhile."""
        if not self._serving:
            await self._server.start()
            self._serving = True


@asynccontextmanager
async def serving(bank: RegisterBank, address: LinkAddress, *, one_client: bool) -> AsyncIterator[Endpoint]:
    """Serve `bank` at `address` for as long as the block lasts.

    `one_client`: a second TCP connection is refused, as some products do it. TransportError when the address
    cannot be had.
    """
    async with AsyncExitStack() as stack:
        server: TcpServer | RtuServer
        if not address.serial:
            over_rtu = address.scheme is LinkScheme.RTU_OVER_TCP
            server = TcpServer(bank, address.host, address.port, rtu=over_rtu, one_client=one_client)
            await stack.enter_async_context(server)
            found = replace(address, port=server.port)
        else:
            device_end = address.path
            if address.scheme is LinkScheme.LINE:
                device_end += ".device"
                ends = (Path(address.path), Path(device_end))
                await stack.enter_async_context(EmulatedLine(ends, baud=address.baud))
            server = RtuServer(bank, device_end, baud=address.baud, parity=address.parity, stop=address.stop)
            await stack.enter_async_context(server)
            found = replace(address, scheme=LinkScheme.RTU)
        yield Endpoint(server, found)
