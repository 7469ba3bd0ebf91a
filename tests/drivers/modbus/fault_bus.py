"""One link on one faulty server, in memory: what the tests of single faults begin with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from drivers.modbus.framing import RtuFraming, TcpFraming
from drivers.modbus.link import Link
from drivers.modbus.manners import LinkManners
from drivers.modbus.outcome import Outcome, OutcomeKind
from tests.drivers.modbus.fault_memory import MemoryTransport
from tests.drivers.modbus.fault_server import FaultServer, Rule
from tests.drivers.modbus.fault_wire import Wire
from tests.drivers.modbus.truth_registers import is_true


@dataclass(frozen=True, slots=True)
class Bus:
    """What hangs together."""

    link: Link
    server: FaultServer
    transport: MemoryTransport

    async def read(
        self, unit: int = 1, function: int = 3, address: int = 0, count: int = 1, *, timeout_s: float = 1.0
    ) -> Outcome:
        """Read; fails when what comes as good is not what the registers hold now."""
        since_s = now_s()
        outcome = await self.link.read(unit, function, address, count, timeout_s=timeout_s)
        if outcome.kind is OutcomeKind.OK:
            assert len(outcome.data) == 2 * count
            place = {"unit": unit, "function": function, "address": address}
            assert is_true(outcome.data, **place, since_s=since_s, until_s=now_s()), f"{place}: {outcome.data.hex()}"
        return outcome


@asynccontextmanager
async def bus(
    wire: Wire,
    rule: Rule | None = None,
    *,
    baud: int | None = None,
    turnaround_s: float = 0.005,
    reopening_helps: bool = True,
    random: Callable[[], float] = lambda: 0.5,
    **manners: float,
) -> AsyncIterator[Bus]:
    """A link with these manners on a server with these faults."""
    server = FaultServer(wire, rule, turnaround_s=turnaround_s)
    transport = MemoryTransport(server, baud=baud, reopening_helps=reopening_helps)
    framing = TcpFraming() if wire.has_header else RtuFraming()
    link = Link(name="bus", transport=transport, framing=framing, manners=LinkManners(**manners), random=random)
    async with link:
        yield Bus(link, server, transport)


def now_s() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()
