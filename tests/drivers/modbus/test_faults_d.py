"""Connection: refused, cut, half-open, closed when idle, unplugged. (D2, one socket: test_truth_sockets.py.)"""

import asyncio
import logging
import socket
import subprocess
import sys

import pytest

from drivers.modbus.line import EmulatedLine
from drivers.modbus.outcome import OutcomeKind
from drivers.modbus.rtu import SerialTransport
from drivers.modbus.tcp import TcpTransport
from tests.drivers.modbus import faults
from tests.drivers.modbus.fault_answer import Ending
from tests.drivers.modbus.fault_bus import bus, now_s
from tests.drivers.modbus.fault_rules import always, script
from tests.drivers.modbus.fault_server import FaultServer
from tests.drivers.modbus.fault_sockets import SerialFace, TcpFace
from tests.drivers.modbus.fault_wire import RtuWire, TcpWire
from tests.drivers.modbus.truth_run import make_link

OK, TIMEOUT, LINK_DOWN = OutcomeKind.OK, OutcomeKind.TIMEOUT, OutcomeKind.LINK_DOWN
WIRES = pytest.mark.parametrize("wire", [TcpWire(), RtuWire()], ids=["tcp", "rtu"])


def test_d1_a_burst_of_refusals_is_waited_out(run_virtual):
    async def main():
        async with bus(TcpWire()) as site:
            assert (await site.read()).kind is OK
            site.transport.refuse = "refused"
            site.transport.drop("reset")
            await asyncio.sleep(20)
            assert (await site.read()).kind is LINK_DOWN
            assert len(site.transport.opened_at_s) <= 7  # at 0, 0, 1, 3, 7 and 15 s
            site.transport.refuse = ""
            await asyncio.sleep(20)
            assert (await site.read()).kind is OK

    run_virtual(main())


async def test_d1_a_refused_connection_says_where(unused_tcp_port):
    async with make_link(TcpTransport("127.0.0.1", unused_tcp_port), TcpWire()) as link:
        await asyncio.sleep(0.05)
        outcome = await link.read(1, 3, 0, 1, timeout_s=1)
        assert (outcome.kind, str(unused_tcp_port) in outcome.detail) == (LINK_DOWN, True)


async def test_d1_a_name_that_nobody_knows_says_which(monkeypatch):
    def nobody(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    async with make_link(TcpTransport("inverter.lan", 502), TcpWire()) as link:
        outcome = await link.read(1, 3, 0, 1, timeout_s=1)
        assert (outcome.kind, "inverter.lan" in outcome.detail) == (LINK_DOWN, True)


async def test_d1_a_host_that_swallows_everything_is_given_up(monkeypatch):
    loop = asyncio.get_running_loop()

    async def never(*args, **kwargs):
        await asyncio.sleep(60)

    monkeypatch.setattr(loop, "create_connection", never)
    async with make_link(TcpTransport("10.0.0.9", 502, connect_timeout_s=0.05), TcpWire()) as link:
        outcome = await link.read(1, 3, 0, 1, timeout_s=1)
        assert (outcome.kind, "no connection within" in outcome.detail) == (LINK_DOWN, True)


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["silent", "greets"])
async def test_d1_accepted_and_closed_is_not_hammered(greeting):
    async with TcpFace(FaultServer(TcpWire()), greeting=greeting, hangs_up=True) as face:
        async with make_link(TcpTransport("127.0.0.1", face.port), TcpWire()) as link:
            for _ in range(20):
                assert (await link.read(1, 3, 0, 1, timeout_s=0.2)).kind is not OK
                await asyncio.sleep(0.01)
        assert face.accepted <= 2
        assert face.most_held <= 1


@WIRES
@pytest.mark.parametrize("reopening_helps", [True, False], ids=["socket", "tty"])
def test_d1_a_half_open_connection_is_noticed_by_silence(run_virtual, wire, reopening_helps):
    """The device lost its power: nothing comes, no FIN either. A socket is opened anew, a tty stays."""

    async def main():
        async with bus(wire, script((), *[[faults.Lost()]] * 6), reopening_helps=reopening_helps) as site:
            assert (await site.read()).kind is OK
            begin_s = now_s()
            while (await site.read(timeout_s=1.0)).kind is not OK:
                assert now_s() - begin_s < 60
                await asyncio.sleep(0.5)
            assert (len(site.transport.opened_at_s) > 1) is reopening_helps

    run_virtual(main())


@WIRES
@pytest.mark.parametrize("ending", list(Ending))
@pytest.mark.parametrize("size", [0, 1, 5, 8, None])
def test_d1_a_connection_cut_at_any_byte_is_made_anew(run_virtual, wire, ending, size):
    async def main():
        async with bus(wire, script((), [faults.Cut(ending, size)])) as site:
            assert (await site.read()).kind is OK
            assert (await site.read(address=1)).kind is OK  # on the next connection, unless it came whole
            assert (await site.read(address=2)).kind is OK
            assert site.server.asks == 3 + (size is not None and not (size == 8 and wire.has_header is False))
            assert len(site.transport.opened_at_s) == 2

    run_virtual(main())


async def test_d1_a_half_closed_socket_is_let_go():
    async with (
        TcpFace(FaultServer(TcpWire(), script((), [faults.Cut(Ending.FINISH)]))) as face,
        make_link(TcpTransport("127.0.0.1", face.port), TcpWire()) as link,
        asyncio.timeout(5),
    ):
        for _ in range(4):
            while (await link.read(1, 3, 0, 1, timeout_s=0.5)).kind is not OK:
                pass
        assert (face.accepted, face.most_held) == (2, 1)


async def read_and_be_closed_when_idle():
    async with bus(TcpWire()) as site:
        for _ in range(5):
            assert (await site.read()).kind is OK
            await asyncio.sleep(60)
            site.transport.drop("the other end closed the connection")
        assert site.link.stats.counts[LINK_DOWN] == 0


def test_d3_a_connection_closed_when_idle_costs_no_read(run_virtual):
    run_virtual(read_and_be_closed_when_idle())


def test_d3_a_connection_closed_when_idle_is_no_event(run_virtual, caplog):
    caplog.set_level(logging.WARNING, logger="huxi.drivers")
    run_virtual(read_and_be_closed_when_idle())
    assert caplog.records == []


async def test_d4_an_adapter_that_was_unplugged_comes_back_under_another_tty(tmp_path):
    ends = tmp_path / "by-id", tmp_path / "device"
    server = FaultServer(RtuWire(), always())
    transport = SerialTransport(str(ends[0]), baud=115200, parity="N", stop=1)
    async with asyncio.timeout(10):
        line = EmulatedLine(ends, baud=115200)
        await line.__aenter__()
        async with make_link(transport, RtuWire()) as link:
            async with SerialFace(server, ends[1], baud=115200):
                assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is OK
            before = ends[0].resolve()
            await line.__aexit__(None, None, None)
            await link.read(1, 3, 0, 1, timeout_s=0.2)
            assert (await link.read(1, 3, 0, 1, timeout_s=0.2)).kind is LINK_DOWN
            spare = EmulatedLine((tmp_path / "other", tmp_path / "spare"), baud=115200)  # takes the freed tty
            async with spare, EmulatedLine(ends, baud=115200), SerialFace(server, ends[1], baud=115200):
                assert ends[0].resolve() != before
                await asyncio.sleep(1.3)  # the first wait of the back-off
                assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is OK


async def test_d4_a_port_that_another_process_holds_is_waited_for(tmp_path):
    """No busy loop meanwhile, and no byte of ours on its line."""
    ends = tmp_path / "by-id", tmp_path / "device"
    server = FaultServer(RtuWire())
    holder = "import serial, sys; p = serial.Serial(sys.argv[1], exclusive=True); print('held', flush=True); input()"
    async with asyncio.timeout(20), EmulatedLine(ends, baud=115200), SerialFace(server, ends[1], baud=115200):
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", holder, str(ends[0]), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert other.stdin is not None and other.stdout is not None
        assert await other.stdout.readline() == b"held\n"
        transport = SerialTransport(str(ends[0]), baud=115200, parity="N", stop=1)
        async with make_link(transport, RtuWire()) as link:
            await asyncio.sleep(0.1)
            outcome = await link.read(1, 3, 0, 1, timeout_s=1)
            assert (outcome.kind, "no other program" in outcome.detail) == (LINK_DOWN, True)
            other.stdin.write(b"\n")
            await other.wait()
            assert server.asks == 0
            await asyncio.sleep(1.3)  # the first wait of the back-off
            assert (await link.read(1, 3, 0, 1, timeout_s=1)).kind is OK
            assert link.stats.connections == 1
