"""Orders to a running simulator: a JSON line on standard input each, answered by one on standard output."""

import asyncio
import json
import os
import stat
import sys
from typing import Any

import click

from drivers.simulator import Simulator
from gateway.cli.endpoint import Endpoint
from gateway.cli.errors import CommandError


class SimulatorControl:
    """Takes orders: truth (what was served), freeze, vanish, return."""

    def __init__(self, simulator: Simulator, endpoint: Endpoint, *, top_W: int) -> None:
        """`top_W` is the power at the top of the simulator's shape, for whoever judges what was read."""
        self._simulator = simulator
        self._endpoint = endpoint
        self._top_W = top_W

    async def obey(self) -> None:
        """Say where the device is, then obey until standard input ends."""
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty()):
            raise CommandError("--control takes its orders from a pipe: connect one to standard input")
        orders = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
        )
        try:
            _answer({"url": str(self._endpoint.address), "unit": self._simulator.unit})
            async for line in orders:
                _answer(await self._do(line))
        finally:
            transport.close()

    async def _do(self, line: bytes) -> dict[str, Any]:
        try:
            order = json.loads(line)["do"]
        except (ValueError, TypeError, KeyError):
            order = None
        match order:
            case "truth":
                return {"registers": self._truth()}
            case "freeze":
                self._simulator.freeze()
            case "vanish":
                await self._endpoint.vanish()
            case "return":
                await self._endpoint.come_back()
            case _:
                return {"error": 'write {"do": "truth"}, or freeze, vanish or return in its place'}
        return {"done": order}

    def _truth(self) -> dict[str, dict[str, Any]]:
        counters = {point.name for point in self._simulator.profile.points if point.counter is not None}
        return {
            name: {"kind": "counter" if name in counters else "power", "max_power_W": self._top_W, **truth}
            for name, truth in self._simulator.truth().items()
        }


def _answer(data: dict[str, Any]) -> None:
    click.echo(json.dumps(data))
