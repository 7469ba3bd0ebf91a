"""A simulated device on a real endpoint, and the lines by which a test or a person steers it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from drivers.modbus.line import EmulatedLine
from drivers.modbus.server import RtuServer, Server, TcpServer
from drivers.modbus.url import LinkAddress, LinkScheme, parse_link_url
from drivers.profile import Profile, Shape
from drivers.simulator import Simulator

_COMMANDS = ("truth", "freeze", "vanish", "return", "quit")


class Simulation:
    """A simulator behind an endpoint; an async context manager.

    On `line://PATH` it makes an emulated serial line: PATH is the reader's end, PATH.device its own.
    """

    def __init__(self, simulator: Simulator, address: LinkAddress) -> None:
        self.simulator = simulator
        self._address = address
        self._line: EmulatedLine | None = None
        if address.serial:
            path = address.path
            if address.scheme is LinkScheme.LINE:
                self._line = EmulatedLine((Path(path), Path(f"{path}.device")), baud=address.baud)
                path = f"{path}.device"
            self._server: Server = RtuServer(
                simulator, path, baud=address.baud, parity=address.parity, stop=address.stop
            )
        else:
            self._server = TcpServer(
                simulator,
                address.host,
                address.port,
                rtu=address.scheme is LinkScheme.RTU_OVER_TCP,
                one_client=simulator.profile.manners.one_client,
            )

    async def __aenter__(self) -> Self:
        """Begin to serve; TransportError when the endpoint cannot be had."""
        if self._line is not None:
            await self._line.__aenter__()
        try:
            await self._server.start()
        except BaseException:
            if self._line is not None:
                await self._line.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()
        if self._line is not None:
            await self._line.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where a reader finds the device."""
        if isinstance(self._server, TcpServer):
            return str(replace(self._address, port=self._server.port))
        return str(replace(self._address, scheme=LinkScheme.RTU))

    async def vanish(self) -> None:
        """The device is gone: connections are closed and refused, a line is silent; its time goes on."""
        await self._server.stop()

    async def come_back(self) -> None:
        """The device is there again, under the same address."""
        await self._server.stop()
        await self._server.start()


async def serve(
    profile: Profile,
    listen_url: str,
    *,
    unit: int | None = None,
    seed: int = 0,
    shape: Shape | None = None,
    power_W: int | None = None,
    start: Mapping[str, int] | None = None,
    day_s: float = 86_400.0,
    control: bool = False,
    announce: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a simulated device until cancelled or told to quit; `announce` gets the reader's url.

    With `control`, commands come as JSON lines on stdin and are answered by lines on stdout: first
    {"ready": true, "url": …}, then for {"do": "truth"} {"truth": {…}}, and for {"do": "freeze" | "vanish" |
    "return" | "quit"} {"done": …}. The end of stdin quits. Errors: those of Simulator, LinkUrlError,
    TransportError.
    """
    simulator = Simulator(
        profile, unit=unit, seed=seed, shape=shape, power_W=power_W, start=start, day_s=day_s
    )
    async with Simulation(simulator, parse_link_url(listen_url)) as simulation:
        announce(simulation.url)
        if control:
            _say({"ready": True, "url": simulation.url})
            await _obey(simulation, sys.stdin)
        else:
            await asyncio.get_running_loop().create_future()


async def _obey(simulation: Simulation, commands: IO[str]) -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), commands)
    try:
        while line := await lines.readline():
            answer = await _do(simulation, line)
            _say(answer)
            if answer == {"done": "quit"}:
                break
    finally:
        pipe.close()


async def _do(simulation: Simulation, line: bytes) -> dict[str, Any]:
    try:
        command = json.loads(line)
        what = command["do"]
    except (ValueError, TypeError, KeyError):
        what = None
    match what:
        case "truth":
            return {"truth": simulation.simulator.truth()}
        case "freeze":
            simulation.simulator.freeze()
        case "vanish":
            await simulation.vanish()
        case "return":
            await simulation.come_back()
        case "quit":
            pass
        case _:
            return {"error": f'write {{"do": COMMAND}}, one a line; commands are {", ".join(_COMMANDS)}'}
    return {"done": what}


def _say(message: Mapping[str, Any]) -> None:
    print(json.dumps(message), flush=True)
