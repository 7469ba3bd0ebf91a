import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.overheard import Overheard, Talk
from drivers.modbus.request import read_request, write_request
from tests.drivers.modbus.fault_wire import RtuWire

WIRE = RtuWire()
READ = WIRE.frame(3, 0, b"\x03\x00\x10\x00\x02")
REPLY = WIRE.frame(3, 0, b"\x03\x04\xde\xad\xbe\xef")
BITS = WIRE.frame(3, 0, b"\x01\x03\x10\x00\x14")  # its begin is that of an answer of three bytes
REFUSAL = WIRE.frame(3, 0, b"\x83\x02")
WRITE = WIRE.frame(3, 0, b"\x06\x00\x10\x00\x02")
WRITES = WIRE.frame(3, 0, b"\x10\x00\x10\x00\x02\x04\x00\x01\x00\x02")
WRITTEN = WIRE.frame(3, 0, b"\x10\x00\x10\x00\x02")

SHAPES = [
    (READ, read_request(3, 3, 0x10, 2).shape, True),
    (REPLY, read_request(3, 3, 0x10, 2).shape, False),
    (BITS, read_request(3, 1, 0x0310, 20).shape, True),
    (REFUSAL, b"\x03\x03", False),
    (WRITE, write_request(3, 6, 0x10, [2]).shape, True),
    (WRITES, write_request(3, 16, 0x10, [1, 2]).shape, True),
    (WRITTEN, write_request(3, 16, 0x10, [1, 2]).shape, False),
]


@pytest.mark.parametrize(("frame", "shape", "is_request"), SHAPES)
def test_a_frame_is_heard_however_it_is_cut_and_with_noise_around_it(frame, shape, is_request):
    for cut in range(len(frame) + 1):
        others = Overheard()
        assert others.hear(b"\xff\x03" + frame[:cut]) + others.hear(frame[cut:] + b"\x00") == [Talk(shape, is_request)]


def test_the_second_of_two_equal_writes_is_the_echo_and_the_third_is_none():
    heard = Overheard().hear(WRITE * 3)
    assert [talk.is_request for talk in heard] == [True, False, True]


def test_an_answer_belongs_to_requests_of_its_shape_and_a_refusal_to_all_of_its_function():
    (reply, refusal) = Overheard().hear(REPLY + REFUSAL)
    for count, fits in ((2, True), (3, False)):
        shape = read_request(3, 3, 0, count).shape
        assert (reply.may_answer(shape), refusal.may_answer(shape)) == (fits, True)


@given(st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([frame for frame, _, _ in SHAPES])), max_size=12))
def test_no_bytes_raise_and_what_is_kept_is_bounded(pieces):
    others = Overheard()
    for piece in pieces:
        others.hear(piece)
    assert len(others.hear(READ[:7])) == 0
    assert others.hear(READ[7:]) == [Talk(read_request(3, 3, 0x10, 2).shape, True)]
