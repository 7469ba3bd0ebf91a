"""Framing: damage, lies, noise, and frames that are not ours."""

import asyncio
from random import Random

import pytest

from drivers.modbus import framing, overheard
from drivers.modbus.outcome import OutcomeKind
from drivers.modbus.request import read_request
from tests.drivers.modbus import faults
from tests.drivers.modbus.fault_bus import bus, now_s
from tests.drivers.modbus.fault_rules import always, script
from tests.drivers.modbus.fault_wire import RtuWire, TcpWire

OK, TIMEOUT, CORRUPT, DESYNC = OutcomeKind.OK, OutcomeKind.TIMEOUT, OutcomeKind.CORRUPT, OutcomeKind.DESYNC
REFUSED_TO_TAKE = (TIMEOUT, CORRUPT, DESYNC)
WIRES = pytest.mark.parametrize("wire", [TcpWire(), RtuWire()], ids=["tcp", "rtu"])

BAD_REPLIES = [
    faults.Damaged(),
    faults.Damaged(-1),
    faults.Truncated(1),
    faults.Truncated(5),
    faults.Truncated(8),
    faults.Overlong(b"\x00"),
    faults.Overlong(b"\x00\x00"),
    faults.ByteCountLie(2),
    faults.ByteCountLie(-2),
    faults.RefusalWithoutCode(),
    faults.OtherFunction(4),
    faults.OtherFunction(1),
    faults.OtherFunction(0x2B),
    faults.Longer(1),
    faults.Longer(-1),
]


@WIRES
@pytest.mark.parametrize("fault", BAD_REPLIES, ids=str)
def test_c1_a_bad_reply_to_a_read_is_never_taken(run_virtual, wire, fault):
    async def main():
        async with bus(wire, script((), [fault])) as site:
            assert (await site.read()).kind is OK
            assert (await site.read(count=4, timeout_s=0.2)).kind in REFUSED_TO_TAKE
            kinds = [(await site.read(count=count, timeout_s=0.2)).kind for count in (2, 3, 1)]
            assert kinds[0 if isinstance(wire, RtuWire) else 2] is OK  # a TCP stream first finds its step again

    run_virtual(main())


@WIRES
@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("words", [[7], [7, 8]], ids=["one", "several"])
def test_c1_a_write_with_another_echo_is_not_done(run_virtual, wire, at, words):
    async def main():
        async with bus(wire, script([faults.WrongEcho(at)])) as site:
            function = 6 if len(words) == 1 else 16
            assert (await site.link.write(1, function, 0x1000, words, timeout_s=0.2)).kind in REFUSED_TO_TAKE
            assert (await site.link.write(1, function, 0x1000, words, timeout_s=0.2)).kind is OK

    run_virtual(main())


@pytest.mark.parametrize(
    "noise", [b"\x00", b"\xff", b"\x55\xaa\x12", b"\x01\x03", b"\x01\x03\x08", b"\x11\x03\x00\x00"]
)
@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_c2_noise_around_a_serial_answer_does_no_harm(run_virtual, noise, place):
    fault = {
        "before": faults.NoiseBefore(noise),
        "between": faults.NoiseBetween(0.002, noise),
        "after": faults.NoiseAfter(noise),
    }[place]

    async def main():
        async with bus(RtuWire(), always(fault), gap_s=0.005) as site:
            for address in range(10):
                assert (await site.read(address=address, count=4)).kind is OK

    run_virtual(main())


@pytest.mark.parametrize("function", [3, 4])
def test_c2_the_echo_of_our_own_request_is_passed_over(run_virtual, function):
    async def main():
        async with bus(RtuWire(), always(faults.OwnEcho())) as site:
            for address in range(10):
                assert (await site.read(1, function, address, 2)).kind is OK

    run_virtual(main())


def test_c2_the_echo_of_our_own_request_is_not_its_answer_where_it_looks_like_one(run_virtual):
    """A read of 20 bits at 0x03xx: the request has the form of an answer of 3 bytes."""

    async def main():
        async with bus(RtuWire(), always(faults.OwnEcho(), faults.Late(0.1))) as site:
            outcome = await site.link.read(1, 1, 0x0310, 20, timeout_s=0.5)
            assert outcome.kind is not OK  # the server has no such bits and says so

    run_virtual(main())


@pytest.mark.parametrize("baud", [2400, 9600, 115200])
def test_c2_an_answer_said_twice_on_a_line_does_not_answer_the_next_request(run_virtual, baud):
    """The copy follows at once: on a slow line it is under way for longer than the gap between two exchanges."""

    async def main():
        async with bus(RtuWire(), always(faults.Duplicated()), baud=baud, gap_s=0.005, turnaround_s=0.05) as site:
            for address in range(20):
                assert (await site.read(address=address, count=8)).kind is OK

    run_virtual(main())


def test_c2_nothing_is_sent_while_somebody_speaks(run_virtual):
    """Two masters of one line at a time would make one frame of both."""

    async def main():
        async with bus(RtuWire(), always(faults.Duplicated()), baud=2400, gap_s=0.005) as site:
            for address in range(3):
                await site.read(address=address, count=8)
            assert site.transport.collisions == 0

    run_virtual(main())


FOREIGN = RtuWire()
ASKED, ANSWERED = b"\x03\x00\x10\x00\x02", b"\x03\x04\xde\xad\xbe\xef"  # by a foreign master, of two registers


@pytest.mark.parametrize(
    "frames",
    [
        FOREIGN.frame(17, 0, ASKED) + FOREIGN.frame(17, 0, ANSWERED),
        FOREIGN.frame(1, 0, ASKED[:-1] + b"\x03"),
        FOREIGN.frame(1, 0, b"\x06\x10\x00\x00\x01") * 2,
        FOREIGN.frame(1, 0, b"\x03\x06\xde\xad\xbe\xef\x00\x01"),
        FOREIGN.frame(2, 0, ANSWERED)[:4],
    ],
    ids=["another unit", "a request to our unit", "a write", "an answer of another length", "half a frame"],
)
def test_c3_frames_of_a_foreign_master_are_passed_over(run_virtual, frames):
    async def main():
        async with bus(RtuWire(), always(faults.NoiseBetween(0.002, frames)), gap_s=0.005) as site:
            for address in range(10):
                assert (await site.read(address=address, count=2)).kind is OK

    run_virtual(main())


@pytest.mark.parametrize("answer", [FOREIGN.frame(1, 0, ANSWERED), b""], ids=["answered", "not answered"])
def test_c3_when_a_foreign_master_asks_for_the_same_shape_nobody_knows_whose_the_answer_is(run_virtual, answer):
    frames = FOREIGN.frame(1, 0, ASKED) + answer

    async def main():
        async with bus(RtuWire(), script([faults.NoiseBetween(0.002, frames)])) as site:
            assert (await site.read(count=2)).kind is DESYNC
            assert (await site.read(count=3)).kind is OK
            assert (await site.read(count=2)).kind is OK

    run_virtual(main())


@pytest.mark.parametrize("cut", [0, 3, 8])
@pytest.mark.parametrize("answered_s", [0.02, 0.3])
def test_c3_a_foreign_request_heard_before_ours_is_answered_first(run_virtual, answered_s, cut):
    """Its request is cut into two pieces; a request of the same shape waits, one of another does not wait long."""
    request = FOREIGN.frame(1, 0, ASKED)

    async def main():
        async with bus(RtuWire(), gap_s=0.005, drain_max_s=0.2) as site:
            assert (await site.read(count=2)).kind is OK
            await asyncio.sleep(0.1)
            site.transport.say(b"\xff" + request[:cut])
            site.transport.say(request[cut:])
            asyncio.get_running_loop().call_later(answered_s, site.transport.say, FOREIGN.frame(1, 0, ANSWERED))
            begin_s = now_s()
            other = asyncio.create_task(site.read(count=5))
            assert (await site.read(count=2)).kind is OK  # fails when 0xDEADBEEF comes as good
            assert now_s() - begin_s >= answered_s
            assert (await other).kind is OK

    run_virtual(main())


def test_c3_a_refusal_of_a_foreign_request_is_not_ours(run_virtual):
    async def main():
        async with bus(RtuWire(), gap_s=0.005) as site:
            frames = FOREIGN.frame(1, 0, ASKED) + FOREIGN.frame(1, 0, b"\x83\x02")
            assert (await site.read(count=1)).kind is OK
            asyncio.get_running_loop().call_later(0.007, site.transport.say, frames)
            assert (await site.read(count=7)).kind is DESYNC
            assert (await site.read(count=7)).kind is OK

    run_virtual(main())


def test_c3_beside_a_foreign_master_that_polls_the_same_both_get_their_own(run_virtual):
    """A dongle asks for the same shape four times a second and is answered after 30 ms."""
    request, answer = FOREIGN.frame(1, 0, ASKED), FOREIGN.frame(1, 0, ANSWERED)

    async def dongle(line):
        while True:
            line.say(request)
            await asyncio.sleep(0.03)
            line.say(answer)
            await asyncio.sleep(0.22)

    async def main():
        async with bus(RtuWire(), gap_s=0.005, turnaround_s=0.03, random=Random(1).random) as site:
            assert (await site.read(count=1)).kind is OK
            other = asyncio.create_task(dongle(site.transport))
            kinds = []
            for _ in range(200):
                kinds.append((await site.read(count=2)).kind)
                await asyncio.sleep(0.137)
            other.cancel()
            assert kinds.count(OK) > 150

    run_virtual(main())


@pytest.mark.parametrize("chatter", [b"\x00", b"\x01\x03", b"\xff" * 64])
def test_c2_a_line_that_is_never_silent_is_used_all_the_same(run_virtual, chatter):
    async def chatterer(line):
        while True:
            line.say(chatter)
            await asyncio.sleep(0.003)

    async def main():
        async with bus(RtuWire(), gap_s=0.005, drain_max_s=0.5) as site:
            assert (await site.read()).kind is OK
            other = asyncio.create_task(chatterer(site.transport))
            begin_s = now_s()
            for address in range(5):
                assert (await site.read(address=address, count=3)).kind is OK
            assert now_s() - begin_s < 5
            other.cancel()

    run_virtual(main())


@pytest.mark.parametrize(
    "fault",
    [
        faults.OtherProtocol(),
        faults.OtherProtocol(0x4854),
        faults.Damaged(-7),
        faults.Damaged(0xFFFF - 7),
        faults.NoiseBefore(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        faults.NoiseBefore(b"SSH-2.0-dropbear\r\n"),
    ],
    ids=["protocol 1", "protocol HT", "length 0", "length 65535", "an HTTP server", "an SSH server"],
)
def test_c4_what_is_no_modbus_ends_the_connection_and_is_never_taken(run_virtual, fault):
    async def main():
        async with bus(TcpWire(), script((), [fault])) as site:
            assert (await site.read(count=2)).kind is OK
            assert (await site.read(count=2)).kind in REFUSED_TO_TAKE
            assert (await site.read(count=2)).kind is OK
            assert len(site.transport.opened_at_s) == 2

    run_virtual(main())


def test_c1_half_an_answer_is_never_completed_by_the_next_one(run_virtual):
    """On Modbus TCP a length says where an answer ends: what comes after half of one is not its rest."""

    async def main():
        cut = [faults.Truncated(13)]
        async with bus(TcpWire(), script((), cut, (), cut)) as site:
            for address in range(12):
                outcome = await site.read(address=address, count=8, timeout_s=0.2)  # fails when it is mixed
                assert outcome.kind is OK or address in (1, 2, 3, 4)
            assert len(site.transport.opened_at_s) <= 3

    run_virtual(main())


@pytest.mark.parametrize("babble", [b"\x03\x03\xfa", b"\x01\x03\x04", b"\x00", b"\x01\x83\x02"])
def test_c2_a_flood_of_bytes_costs_little_and_ends_the_connection(run_virtual, babble):
    """Checksums tried are bounded by the bytes that come at once, and so are the bytes."""

    async def main():
        async with bus(RtuWire(), gap_s=0.005) as site:
            assert (await site.read()).kind is OK
            for _ in range(20):
                site.transport.say(babble * (4096 // len(babble)))
            assert (await site.read()).kind is OK
            assert len(site.transport.opened_at_s) == 2

    run_virtual(main())


def test_c2_a_flood_tries_few_checksums(monkeypatch):
    tried = []
    monkeypatch.setattr(overheard, "rtu_frame_is_sound", lambda frame: tried.append(len(frame)) or False)
    monkeypatch.setattr(framing, "rtu_frame_is_sound", lambda frame: tried.append(len(frame)) or False)
    line = framing.RtuFraming()
    line.start(read_request(3, 3, 0, 125))
    for _ in range(16):
        line.feed(b"\x03\x03\xfa" * 1365)
    line.expire()
    for _ in range(16):
        line.feed(b"\x03\x03\xfa" * 1365)
    assert len(tried) < 33 * 200
