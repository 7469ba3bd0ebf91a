"""The truth over real sockets and pseudo-terminals, in real time; and how many sockets a device sees."""

import asyncio
import logging
import random

import pytest

from drivers.modbus.line import EmulatedLine
from drivers.modbus.rtu import SerialTransport
from drivers.modbus.tcp import TcpTransport
from tests.drivers.modbus import faults
from tests.drivers.modbus.fault_answer import Ending
from tests.drivers.modbus.fault_rules import all_of, by_seed
from tests.drivers.modbus.fault_server import FaultServer
from tests.drivers.modbus.fault_sockets import SerialFace, Sharing, TcpFace
from tests.drivers.modbus.fault_wire import RtuWire, TcpWire
from tests.drivers.modbus.truth_menus import breaking, numbered, unnumbered
from tests.drivers.modbus.truth_run import FAULTY, make_link, poll_all, summary
from tests.scale import scaled

TIMEOUT_S, LATE_S, GAP_S = 0.1, 0.3, 0.01
LATE_BY_S = TIMEOUT_S + LATE_S - 0.1  # a busy machine makes answers later than they were meant to be
PERIOD_S = 0.1
BAUD = 115200
EXCHANGES = 10_000


@pytest.fixture(autouse=True)
def quiet(caplog):
    """Hundreds of lost connections are no news here."""
    caplog.set_level(logging.CRITICAL, logger="huxi.drivers")


def server_of(wire, seed):
    menu = numbered(LATE_BY_S) if wire.numbered else unnumbered(LATE_BY_S, 0.0)
    return FaultServer(
        wire,
        all_of(
            by_seed(seed, menu, chance=0.2, units=FAULTY),
            by_seed(seed + 1, breaking(wire.has_header), chance=0.01, units=FAULTY),
        ),
    )


async def run(server, transport, seed, exchanges):
    async with make_link(transport, server.wire, late_s=LATE_S, gap_s=GAP_S) as link:
        return await poll_all(link, server, seed=seed, exchanges=exchanges, period_s=PERIOD_S, timeout_s=TIMEOUT_S)


async def over_tcp(wire, seed, exchanges):
    async with TcpFace(server_of(wire, seed)) as face:
        return await run(face.server, TcpTransport("127.0.0.1", face.port), seed, exchanges)


async def over_a_line(folder, seed, exchanges):
    ends = folder / f"gateway{seed}", folder / f"device{seed}"
    server = server_of(RtuWire(), seed)
    async with EmulatedLine(ends, baud=BAUD), SerialFace(server, ends[1], baud=BAUD):
        return await run(server, SerialTransport(str(ends[0]), baud=BAUD, parity="N", stop=1), seed, exchanges)


@pytest.mark.slow
async def test_no_value_is_wrong_over_sockets_and_ttys(tmp_path, figure):
    """All at once, since most of the time they wait."""
    exchanges = EXCHANGES // 9
    runs = [
        run
        for seed in range(3)
        for run in (
            over_tcp(TcpWire(), seed, exchanges),
            over_tcp(RtuWire(), seed, exchanges),
            over_a_line(tmp_path, seed, exchanges),
        )
    ]
    tallies = await asyncio.gather(*runs)
    assert [tally.wrong for tally in tallies] == [[]] * len(runs)
    assert all(tally.failed > 10 for tally in tallies)
    figure(summary(tallies))


FAULT_CYCLES = (
    [faults.Cut(Ending.RESET)],
    [faults.Cut(Ending.RESET, 4)],
    [faults.Cut(Ending.FINISH, 0)],
    [faults.Cut(Ending.FINISH)],
    [faults.OtherProtocol()],
    [faults.NoiseAfter(b"HTTP/1.1 400 Bad Request")],
    [faults.Damaged(300)],
)


@pytest.mark.parametrize("sharing", [Sharing.ALL, Sharing.REFUSES_SECOND, Sharing.DROPS_FIRST, Sharing.FREEZES])
async def test_d2_a_device_never_sees_a_second_socket(sharing, figure):
    """A fault that costs the connection at every other exchange: the next one is made when the last is gone."""
    cycles = scaled(250, 1_000)  # of each kind of device
    dice = random.Random(5)
    server = FaultServer(TcpWire(), lambda ask: dice.choice(FAULT_CYCLES) if ask.order == 1 else (), turnaround_s=0.0)
    async with (
        TcpFace(server, sharing=sharing) as face,
        make_link(TcpTransport("127.0.0.1", face.port), server.wire, gap_s=0.0) as link,
        asyncio.timeout(60),
    ):
        while face.accepted <= cycles:
            await link.read(1, 3, 0, 1, timeout_s=0.5)
            assert face.held <= 1
    assert face.most_held == 1
    figure(f"{cycles * len(Sharing):,} fault cycles, never more than {face.most_held} open socket")
