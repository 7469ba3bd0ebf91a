"""Runs a link, a device or a bare client against the faulty server, and counts what was true."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.modbus.framing import RtuFraming, TcpFraming
from drivers.modbus.link import Link
from drivers.modbus.manners import LinkManners
from drivers.modbus.outcome import Outcome, OutcomeKind
from drivers.modbus.transport import Transport
from tests.drivers.modbus.fault_server import WRITABLE, FaultServer
from tests.drivers.modbus.fault_wire import Wire
from tests.drivers.modbus.truth_registers import REGISTERS, is_true

TIMEOUT_S = 0.3
TURNAROUND_S = 0.08  # slow enough for late answers to fall into the next exchange
LATE_S = 1.0
GAP_S = 0.005
LONGEST_S = TIMEOUT_S + LATE_S  # no answer ends later than this after its request
PERIOD_S = 2.0
HEALTHY, FAULTY = (1, 2), (3, 4)
_COUNTS = (
    4,
    4,
    4,
    8,
)  # few shapes, so that many answers look alike; what faults make of one of these is none of the others
_BLOCKS = 3  # of a poll: the second follows hard on the first, whatever became of it
_WRITES = 0.1  # of the polls


@dataclass(slots=True)
class Tally:
    """What became of the exchanges of one run."""

    asked: int = 0
    wrong: list[str] = field(default_factory=list)  # what was taken for true and was not
    kinds: Counter[OutcomeKind] = field(default_factory=Counter)
    longest_s: dict[int, float] = field(default_factory=dict)  # by unit: between the due times of two good reads
    last_s: dict[int, float] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Exchanges that brought no data."""
        return self.asked - self.kinds[OutcomeKind.OK]

    def heard(self, unit: int, due_s: float) -> None:
        """A good read of this unit, or the begin or the end of the run."""
        waited_s = due_s - self.last_s.get(unit, due_s)
        self.longest_s[unit] = max(waited_s, self.longest_s.get(unit, 0.0))
        self.last_s[unit] = due_s


def make_link(transport: Transport, wire: Wire, *, late_s: float = LATE_S, gap_s: float = GAP_S) -> Link:
    """A link with the stated limits."""
    return Link(
        name="truth",
        transport=transport,
        framing=TcpFraming() if wire.has_header else RtuFraming(),
        manners=LinkManners(late_s=late_s, gap_s=gap_s),
        random=lambda: 0.5,
    )


async def poll_all(
    link: Link,
    server: FaultServer,
    *,
    seed: int,
    exchanges: int,
    period_s: float = PERIOD_S,
    timeout_s: float = TIMEOUT_S,
) -> Tally:
    """Poll all units each period, each with its own mix of blocks, until so many exchanges are done."""
    tally = Tally()
    now_s = asyncio.get_running_loop().time()
    for unit in HEALTHY:
        tally.heard(unit, now_s)
    async with asyncio.TaskGroup() as tasks:
        for unit in (*HEALTHY, *FAULTY):
            poll = _Poll(link, server, tally, unit, random.Random(seed * 100 + unit))
            tasks.create_task(poll.run(exchanges, period_s, timeout_s))
    for unit in HEALTHY:
        tally.heard(unit, asyncio.get_running_loop().time() - period_s)
    return tally


class _Poll:
    def __init__(self, link: Link, server: FaultServer, tally: Tally, unit: int, dice: random.Random) -> None:
        self._link = link
        self._server = server
        self._tally = tally
        self._unit = unit
        self._dice = dice
        self._value = 0

    async def run(self, exchanges: int, period_s: float, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while self._tally.asked < exchanges:
            if self._dice.random() < _WRITES:
                await self._write(loop.time(), timeout_s)
            for _ in range(_BLOCKS):
                await self._read(loop.time(), due_s, timeout_s)
            due_s = max(due_s + period_s, loop.time())
            await asyncio.sleep(due_s - loop.time())

    async def _read(self, since_s: float, due_s: float, timeout_s: float) -> None:
        function, count = self._dice.choice((3, 3, 4)), self._dice.choice(_COUNTS)
        address = self._dice.randrange(REGISTERS - count + 1)
        outcome = await self._link.read(self._unit, function, address, count, timeout_s=timeout_s)
        now_s = asyncio.get_running_loop().time()
        what = f"unit {self._unit} function {function} address {address} count {count} at {since_s:.3f}"
        self._note(outcome, what)
        if outcome.kind is not OutcomeKind.OK:
            return
        if len(outcome.data) != 2 * count or not is_true(
            outcome.data, unit=self._unit, function=function, address=address, since_s=since_s, until_s=now_s
        ):
            self._tally.wrong.append(f"{what}: {outcome.data.hex()}")
        if self._unit in HEALTHY:
            self._tally.heard(self._unit, due_s)

    async def _write(self, since_s: float, timeout_s: float) -> None:
        self._value = (self._value + 1) % 0x10000
        function = self._dice.choice((6, 16))
        words = [self._value] * (1 if function == 6 else self._dice.choice((1, 2)))
        address = self._dice.choice(WRITABLE[: -len(words)])
        outcome = await self._link.write(self._unit, function, address, words, timeout_s=timeout_s)
        what = f"unit {self._unit} writes {words} to {address} at {since_s:.3f}"
        self._note(outcome, what)
        done_s = self._server.writes.get((self._unit, address, tuple(words)), -1.0)
        if outcome.kind is OutcomeKind.OK and done_s < since_s:
            self._tally.wrong.append(f"{what}: not done")

    def _note(self, outcome: Outcome, what: str) -> None:
        self._tally.asked += 1
        self._tally.kinds[outcome.kind] += 1
        if outcome.kind is OutcomeKind.EXCEPTION and self._unit in HEALTHY:
            self._tally.wrong.append(f"{what}: the refusal of another request, {outcome.code}")


def summary(tallies: Sequence[Tally]) -> str:
    """Wrong of asked, and how many failed."""
    asked, wrong = sum(tally.asked for tally in tallies), sum(len(tally.wrong) for tally in tallies)
    return f"{wrong:,} wrong values in {asked:,} exchanges, {sum(tally.failed for tally in tallies):,} without data"
