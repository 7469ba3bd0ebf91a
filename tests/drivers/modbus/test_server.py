"""Server and link over real sockets and pseudo-terminals."""

import asyncio
import os
import pty
import socket

import pytest
import serial
import uvloop

from drivers.modbus.conversation import RtuConversation, TcpConversation
from drivers.modbus.errors import TransportError
from drivers.modbus.line import EmulatedLine
from drivers.modbus.open import open_link
from drivers.modbus.outcome import OutcomeKind
from drivers.modbus.pdu import rtu_frame
from drivers.modbus.rtu import SerialTransport
from drivers.modbus.server import RtuServer, TcpServer
from drivers.modbus.tcp import TcpTransport


class Bank:
    """Unit 1: 100 registers that say where they stand, half of them writable; 20 bits, each third set."""

    def __init__(self):
        self.words = {address: 0x1000 + address for address in range(100)}

    def read(self, unit, function, address, count):
        if unit != 1:
            return 0x0B
        if function in (1, 2):
            return [int(n % 3 == 0) for n in range(address, address + count)] if address + count <= 20 else 2
        wanted = range(address, address + count)
        return [self.words[n] for n in wanted] if wanted[-1] in self.words else 2

    def write(self, unit, function, address, words):
        if unit != 1:
            return 0x0B
        if address < 50 or address + len(words) > 100:
            return 2
        self.words.update(enumerate(words, address))
        return 0


@pytest.fixture
def bank():
    return Bank()


class TestConversation:
    @pytest.mark.parametrize(
        ("request_", "reply"),
        [
            pytest.param("03 000A 0002", "03 04 100A 100B", id="holding"),
            pytest.param("04 0000 0001", "04 02 1000", id="input"),
            pytest.param("01 0000 000A", "01 02 49 02", id="coils, lowest bit first"),
            pytest.param("02 0003 0003", "02 01 01", id="discretes"),
            pytest.param("03 0063 0002", "83 02", id="beyond the last"),
            pytest.param("03 FFFF 0002", "83 02", id="beyond 65535"),
            pytest.param("03 0000 0000", "83 03", id="none"),
            pytest.param("03 0000 007E", "83 03", id="126"),
            pytest.param("06 0032 ABCD", "06 0032 ABCD", id="write one"),
            pytest.param("06 0031 ABCD", "86 02", id="write where one may not"),
            pytest.param("10 0032 0002 04 0001 0002", "10 0032 0002", id="write two"),
            pytest.param("10 0032 0003 04 0001 0002", "90 03", id="write with a wrong count"),
            pytest.param("05 0000 FF00", "85 01", id="write a coil"),
            pytest.param("2B 0E 01 00", "AB 01", id="device identification"),
        ],
    )
    def test_requests_and_their_answers(self, bank, request_, reply):
        request_, reply = bytes.fromhex(request_), bytes.fromhex(reply)
        frame = bytes.fromhex("BEEF 0000") + (len(request_) + 1).to_bytes(2, "big") + b"\x01" + request_
        answer = bytes.fromhex("BEEF 0000") + (len(reply) + 1).to_bytes(2, "big") + b"\x01" + reply
        assert TcpConversation(bank).feed(frame) == answer
        assert RtuConversation(bank).feed(rtu_frame(1, request_)) == rtu_frame(1, reply)

    @pytest.mark.parametrize(
        ("request_", "reply"),
        [
            ("03 0000", "83 03"),
            ("10 0032 0002 04 0001", "90 03"),
            ("10 0032", "90 03"),
            ("03 0000 0001 00", "83 03"),
        ],
    )
    def test_requests_of_a_wrong_length(self, bank, request_, reply):
        request_, reply = bytes.fromhex(request_), bytes.fromhex(reply)
        frame = bytes.fromhex("0001 0000") + (len(request_) + 1).to_bytes(2, "big") + b"\x01" + request_
        assert TcpConversation(bank).feed(frame) == bytes.fromhex("0001 0000 0003 01") + reply
        RtuConversation(bank).feed(rtu_frame(1, request_))  # there the length is all one has; nothing is raised

    def test_a_unit_that_is_not_there(self, bank):
        assert TcpConversation(bank).feed(bytes.fromhex("0001 0000 0006 09 03 0000 0001")) == bytes.fromhex(
            "0001 0000 0003 09 83 0B"
        )
        assert RtuConversation(bank).feed(rtu_frame(9, bytes.fromhex("03 0000 0001"))) == b""

    def test_requests_in_pieces_and_several_at_once(self, bank):
        one, two = (bytes.fromhex(f"000{n} 0000 0006 01 03 000{n} 0001") for n in (1, 2))
        talk = TcpConversation(bank)
        replies = [talk.feed(bytes([byte])) for byte in one]
        assert replies[:-1] == [b""] * (len(one) - 1)
        assert talk.feed(one + two) == replies[-1] + bytes.fromhex("0002 0000 0005 01 03 02 1002")

    def test_noise_before_a_request_on_a_line(self, bank):
        talk = RtuConversation(bank)
        request = rtu_frame(1, bytes.fromhex("03 0000 0001"))
        assert talk.feed(b"\x00\xff\x01\x03" + request[:3]) == b""
        assert talk.feed(request[3:]) == rtu_frame(1, bytes.fromhex("03 02 1000"))

    def test_half_a_request_is_forgotten_after_a_pause(self, bank):
        now = 0.0
        talk = RtuConversation(bank, clock_s=lambda: now)
        request = rtu_frame(1, bytes.fromhex("03 0000 0001"))
        assert talk.feed(request[:4]) == b""
        now = 1.0
        assert talk.feed(request[4:]) == b""

    def test_who_does_not_speak_modbus_is_shown_the_door(self, bank):
        assert TcpConversation(bank).feed(b"GET / HTTP/1.1\r\n") is None


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("scheme", ["tcp", "rtu+tcp", "rtu"])
def test_reads_and_writes_over_every_kind_of_wire(bank, tmp_path, scheme, loop_factory):
    async def main():
        if scheme == "rtu":
            ends = tmp_path / "a", tmp_path / "b"
            async with (
                EmulatedLine(ends, baud=115200),
                RtuServer(bank, str(ends[1]), baud=115200, parity="N", stop=1),
            ):
                await use(f"rtu://{ends[0]}?baud=115200")
        else:
            async with TcpServer(bank, "127.0.0.1", 0, rtu=scheme == "rtu+tcp") as server:
                await use(f"{scheme}://127.0.0.1:{server.port}")

    async def use(url):
        async with open_link("test", url) as link:
            outcome = await link.read(1, 3, 7, 60, timeout_s=2)
            assert outcome.kind is OutcomeKind.OK
            assert outcome.data == b"".join((0x1007 + n).to_bytes(2, "big") for n in range(60))
            assert (await link.read(1, 3, 99, 2, timeout_s=2)).code == 2
            assert (await link.write(1, 16, 60, [7, 8], timeout_s=2)).kind is OutcomeKind.OK
            assert (await link.read(1, 4, 60, 2, timeout_s=2)).data == bytes.fromhex("0007 0008")
            assert link.stats.counts[OutcomeKind.OK] == 3
            stranger = await link.read(9, 3, 0, 1, timeout_s=0.1)
            assert stranger.code == 0x0B if scheme == "tcp" else stranger.kind is OutcomeKind.TIMEOUT

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


async def test_a_server_that_goes_away_and_comes_back_is_found_again(bank):
    async with TcpServer(bank, "127.0.0.1", 0) as server:
        async with open_link("test", f"tcp://127.0.0.1:{server.port}") as link:
            assert (await link.read(1, 3, 0, 1, timeout_s=2)).kind is OutcomeKind.OK
            await server.stop()
            await link.read(1, 3, 0, 1, timeout_s=2)
            down = await link.read(1, 3, 0, 1, timeout_s=2)
            assert down.kind is OutcomeKind.LINK_DOWN
            assert f"tcp://127.0.0.1:{server.port}" in down.detail
            await server.start()
            await asyncio.sleep(1.3)  # the first wait of the back-off
            assert (await link.read(1, 3, 0, 1, timeout_s=2)).kind is OutcomeKind.OK
        assert server.accepted == 2


async def test_the_link_holds_one_connection_however_often_it_is_cut(bank):
    async with TcpServer(bank, "127.0.0.1", 0, one_client=True) as server:
        async with open_link("test", f"tcp://127.0.0.1:{server.port}") as link:
            answered = 0
            while answered < 100:
                outcome = await link.read(1, 3, 0, 1, timeout_s=2)
                assert server.clients <= 1
                if outcome.kind is OutcomeKind.OK:
                    answered += 1
                    for client in list(server._clients):
                        await client.close()
                else:
                    assert outcome.kind is OutcomeKind.LINK_DOWN  # the cut came before the request
        assert server.accepted >= 100
        assert server.refused == 0


async def test_a_one_client_device_refuses_the_second(bank):
    async with TcpServer(bank, "127.0.0.1", 0, one_client=True) as server:
        first, second = (open_link(name, f"tcp://127.0.0.1:{server.port}") for name in ("first", "second"))
        async with first:
            assert (await first.read(1, 3, 0, 1, timeout_s=2)).kind is OutcomeKind.OK
            async with second:
                assert (await second.read(1, 3, 0, 1, timeout_s=2)).kind is OutcomeKind.LINK_DOWN
            assert (await first.read(1, 3, 0, 1, timeout_s=2)).kind is OutcomeKind.OK
        assert server.refused >= 1


async def test_a_taken_port_is_said_with_its_address(bank):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=f"127.0.0.1:{port}"):
            async with TcpServer(bank, "127.0.0.1", port):
                raise AssertionError("the port was taken")


async def test_a_missing_tty_is_said_with_its_path(bank):
    async with open_link("bus", "rtu:///dev/no-such-tty") as link:
        outcome = await link.read(1, 3, 0, 1, timeout_s=1)
        assert outcome.kind is OutcomeKind.LINK_DOWN
        assert "/dev/no-such-tty" in outcome.detail


@pytest.mark.parametrize("host", ["meter..lan", "m" * 64, "met\0er"])
async def test_a_host_that_no_resolver_takes_is_an_endpoint_that_cannot_be_opened(host):
    with pytest.raises(TransportError, match="tcp://"):
        await TcpTransport(host, 502).open(lambda data: None, lambda reason: None)


async def test_a_tty_that_goes_away_while_it_is_opened_cannot_be_opened(tmp_path, monkeypatch):
    """The other end of the pair hangs up in the middle of the configuring."""
    here, there = pty.openpty()
    path = os.ttyname(there)
    os.close(there)
    flush = serial.Serial._reset_input_buffer

    def hang_up(self):
        os.close(here)
        flush(self)

    monkeypatch.setattr(serial.Serial, "_reset_input_buffer", hang_up)
    with pytest.raises(TransportError, match=path):
        await SerialTransport(path, baud=9600, parity="N", stop=1).open(lambda data: None, lambda reason: None)


async def test_a_tty_belongs_to_one_link(bank, tmp_path):
    ends = tmp_path / "a", tmp_path / "b"
    async with (
        EmulatedLine(ends, baud=115200),
        RtuServer(bank, str(ends[1]), baud=115200, parity="N", stop=1),
        open_link("first", f"rtu://{ends[0]}?baud=115200") as first,
        open_link("second", f"rtu://{ends[0]}?baud=115200") as second,
    ):
        assert (await first.read(1, 3, 0, 1, timeout_s=1)).kind is OutcomeKind.OK
        assert (await second.read(1, 3, 0, 1, timeout_s=1)).kind is OutcomeKind.LINK_DOWN


async def test_a_tty_that_vanishes_is_a_lost_link(tmp_path, bank):
    ends = tmp_path / "a", tmp_path / "b"
    line = EmulatedLine(ends, baud=115200)
    async with line, open_link("bus", f"rtu://{ends[0]}?baud=115200") as link:
        call = asyncio.create_task(link.read(1, 3, 0, 1, timeout_s=30))
        await asyncio.sleep(0.05)
        line._remove()
        async with asyncio.timeout(5):
            assert (await call).kind is OutcomeKind.LINK_DOWN


class TestLine:
    async def test_bytes_take_their_time(self, bank, tmp_path):
        ends = tmp_path / "a", tmp_path / "b"
        loop = asyncio.get_running_loop()
        async with (
            EmulatedLine(ends, baud=9600),
            RtuServer(bank, str(ends[1]), baud=9600, parity="N", stop=1),
            open_link("bus", f"rtu://{ends[0]}?baud=9600") as link,
        ):
            await link.read(1, 3, 0, 1, timeout_s=2)
            begin = loop.time()
            assert (await link.read(1, 3, 0, 60, timeout_s=2)).kind is OutcomeKind.OK
            wire_s = (8 + 5 + 120) * 11 / 9600
            assert wire_s < loop.time() - begin < 2 * wire_s

    async def test_nothing_stays_behind(self, tmp_path):
        ends = tmp_path / "a", tmp_path / "b"
        async with EmulatedLine(ends, baud=9600):
            assert all(end.is_symlink() for end in ends)
        assert list(tmp_path.iterdir()) == []

    async def test_the_end_of_a_line_that_was_killed_is_taken_over(self, tmp_path):
        ends = tmp_path / "a", tmp_path / "b"
        ends[0].symlink_to("/dev/pts/99999")
        async with EmulatedLine(ends, baud=9600):
            assert ends[0].exists()

    async def test_a_file_in_the_way_is_left_alone(self, tmp_path):
        ends = tmp_path / "a", tmp_path / "b"
        ends[1].write_text("mine")
        with pytest.raises(TransportError, match="choose another path"):
            async with EmulatedLine(ends, baud=9600):
                raise AssertionError("the path was taken")
        assert [path.name for path in tmp_path.iterdir()] == ["b"]
        assert ends[1].read_text() == "mine"
