import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.framing import RtuFraming, TcpFraming
from drivers.modbus.outcome import OutcomeKind
from drivers.modbus.pdu import rtu_frame
from drivers.modbus.request import read_request, write_request

READ = read_request(1, 3, 10, 2)
GOOD = bytes.fromhex("03 04 1234 5678")
DATA = bytes.fromhex("1234 5678")
REPLY = rtu_frame(1, GOOD)


def number(nth):
    """The transaction id of the so manieth request; 0 for none."""
    return (nth * 40507 - 1) % 0xFFFF + 1 if nth else 0


def tcp_reply(nth, pdu=GOOD, *, unit=1, protocol=0):
    """The reply to the so manieth request of a framing."""
    head = number(nth).to_bytes(2, "big") + protocol.to_bytes(2, "big") + (len(pdu) + 1).to_bytes(2, "big")
    return head + bytes([unit]) + pdu


class TestTcp:
    def test_the_request_has_a_new_number_each_time(self):
        framing = TcpFraming()
        assert framing.start(READ) == bytes.fromhex("9E3B 0000 0006 01 03 000A 0002")
        framing.expire()
        assert framing.start(READ)[:2] == number(2).to_bytes(2, "big")

    def test_the_number_is_never_zero_and_comes_again_after_all_others(self):
        framing = TcpFraming()
        numbers = [framing.start(READ)[:2] for _ in range(0xFFFF)]
        assert b"\x00\x00" not in numbers
        assert len(set(numbers)) == 0xFFFF
        assert framing.start(READ)[:2] == numbers[0]

    def test_a_reply_whose_number_is_one_off_does_not_answer_the_next_request(self):
        for off in (-1, 1):
            framing = TcpFraming()
            framing.start(READ)
            framing.expire()
            framing.start(READ)
            late = bytearray(tcp_reply(1))
            late[0:2] = (number(1) + off).to_bytes(2, "big")
            assert framing.feed(bytes(late)) is None

    def test_an_answer_may_come_in_any_pieces(self):
        for cut in range(len(tcp_reply(1)) + 1):
            framing = TcpFraming()
            framing.start(READ)
            verdicts = [framing.feed(tcp_reply(1)[:cut]), framing.feed(tcp_reply(1)[cut:])]
            assert [verdict.data for verdict in verdicts if verdict] == [DATA]

    def test_a_late_answer_is_passed_over(self):
        framing = TcpFraming()
        framing.start(READ)
        assert framing.expire().kind is OutcomeKind.TIMEOUT
        framing.start(READ)
        assert framing.feed(tcp_reply(1, bytes.fromhex("03 04 DEAD BEEF"))) is None
        assert framing.feed(tcp_reply(2)).data == DATA

    def test_a_late_answer_in_one_piece_with_the_right_one(self):
        framing = TcpFraming()
        framing.start(READ)
        framing.expire()
        framing.start(READ)
        assert framing.feed(tcp_reply(1, bytes.fromhex("03 04 DEAD BEEF")) + tcp_reply(2)).data == DATA

    def test_a_second_copy_of_an_answer_does_not_answer_the_next_request(self):
        framing = TcpFraming()
        framing.start(READ)
        assert framing.feed(tcp_reply(1) * 2).data == DATA
        framing.start(READ)
        assert framing.feed(b"") is None
        assert framing.feed(tcp_reply(2, bytes.fromhex("03 04 0000 0001"))).data == bytes.fromhex("0000 0001")

    def test_half_a_late_answer_between_exchanges_keeps_the_stream_in_step(self):
        framing = TcpFraming()
        framing.start(READ)
        framing.expire()
        framing.feed(tcp_reply(1)[:9])
        framing.start(READ)
        assert framing.feed(tcp_reply(1)[9:] + tcp_reply(2)).data == DATA

    def test_a_gateway_that_always_answers_with_number_zero_is_out_of_step(self):
        framing = TcpFraming()
        framing.start(READ)
        verdict = framing.feed(tcp_reply(0))
        assert verdict.kind is OutcomeKind.DESYNC
        assert "transaction id 0" in verdict.detail
        assert not framing.numbered

    def test_from_then_on_nothing_but_the_number_may_be_missing(self):
        framing = TcpFraming()
        framing.start(READ)
        framing.feed(tcp_reply(0))
        framing.start(READ)
        assert framing.feed(tcp_reply(0, unit=2)) is None
        assert framing.feed(tcp_reply(0, bytes.fromhex("03 02 1234"))) is None
        assert framing.feed(tcp_reply(7)) is None
        assert framing.feed(tcp_reply(0)).data == DATA
        framing.reset()
        framing.start(READ)
        assert framing.feed(tcp_reply(0)).data == DATA, "a new connection is to the same gateway"

    def test_who_has_ever_given_the_right_number_is_held_to_it(self):
        for first in (0, 1):
            framing = TcpFraming()
            framing.start(READ)
            framing.feed(tcp_reply(0) if first == 0 else tcp_reply(1))
            framing.start(READ)
            framing.feed(tcp_reply(2))
            framing.start(READ)
            assert framing.feed(tcp_reply(0)) is None
            assert framing.numbered

    def test_an_answer_of_another_unit_is_out_of_step(self):
        framing = TcpFraming()
        framing.start(READ)
        assert framing.feed(tcp_reply(1, unit=2)).kind is OutcomeKind.DESYNC

    def test_an_answer_of_another_function_is_corrupt(self):
        framing = TcpFraming()
        framing.start(READ)
        assert framing.feed(tcp_reply(1, bytes.fromhex("04 04 1234 5678"))).kind is OutcomeKind.CORRUPT

    def test_what_is_no_modbus_breaks_the_connection(self):
        for junk in (
            b"HTTP/1.1 400 Bad",
            tcp_reply(1, protocol=1),
            bytes(6),
            bytes.fromhex("0001 0000 FFFF"),
        ):
            framing = TcpFraming()
            framing.start(READ)
            assert framing.feed(junk).kind is OutcomeKind.CORRUPT
            assert framing.broken

    @given(st.lists(st.binary(max_size=40), max_size=8))
    def test_no_bytes_raise_and_none_is_taken_for_an_answer_by_chance(self, pieces):
        framing = TcpFraming()
        framing.start(READ)
        for piece in pieces:
            verdict = framing.feed(piece)
            assert verdict is None or verdict.kind is not OutcomeKind.OK or tcp_reply(1)[:9] in b"".join(pieces)


class TestRtu:
    def test_the_request_ends_in_its_checksum(self):
        assert RtuFraming().start(READ) == bytes.fromhex("01 03 000A 0002 E409")

    def test_an_answer_may_come_in_any_pieces(self):
        for cut in range(len(REPLY) + 1):
            framing = RtuFraming()
            framing.start(READ)
            verdicts = [framing.feed(REPLY[:cut]), framing.feed(REPLY[cut:])]
            assert [verdict.data for verdict in verdicts if verdict] == [DATA]

    def test_noise_around_the_answer_does_no_harm(self):
        for noise in (b"\x00", b"\xff", b"\x55\xaa\x12", b"\x01\x03", b"\x01\x03\x04", rtu_frame(2, GOOD)):
            framing = RtuFraming()
            framing.start(READ)
            assert framing.feed(noise) is None
            verdict = framing.feed(REPLY + b"\x00") or framing.expire()
            assert verdict.data == DATA, noise.hex()

    def test_a_damaged_answer_is_corrupt_at_once(self):
        framing = RtuFraming()
        framing.start(READ)
        verdict = framing.feed(REPLY[:-1] + bytes([REPLY[-1] ^ 1]))
        assert verdict.kind is OutcomeKind.CORRUPT
        assert "checksum" in verdict.detail

    def test_a_truncated_answer_is_corrupt_when_time_is_over(self):
        framing = RtuFraming()
        framing.start(READ)
        assert framing.feed(REPLY[:-1]) is None
        assert framing.expire().kind is OutcomeKind.CORRUPT

    def test_silence_is_a_time_out(self):
        framing = RtuFraming()
        framing.start(READ)
        assert framing.expire().kind is OutcomeKind.TIMEOUT

    def test_an_answer_to_another_request_is_out_of_step(self):
        foreign = (
            rtu_frame(2, GOOD),
            rtu_frame(1, bytes.fromhex("04 04 1234 5678")),
            rtu_frame(1, bytes.fromhex("03 02 1234")),
            rtu_frame(1, bytes.fromhex("84 02")),
            rtu_frame(1, bytes.fromhex("06 0001 0002")),
        )
        for frame in foreign:
            framing = RtuFraming()
            framing.start(READ)
            assert framing.feed(frame) is None
            assert framing.expire().kind is OutcomeKind.DESYNC

    def test_a_refusal_is_taken(self):
        framing = RtuFraming()
        framing.start(READ)
        verdict = framing.feed(rtu_frame(1, bytes.fromhex("83 06")))
        assert (verdict.kind, verdict.code) == (OutcomeKind.EXCEPTION, 6)

    def test_a_write_wants_its_exact_echo(self):
        framing = RtuFraming()
        framing.start(write_request(1, 16, 10, [1, 2]))
        assert framing.feed(rtu_frame(1, bytes.fromhex("10 000A 0001"))) is None
        assert framing.feed(rtu_frame(1, bytes.fromhex("10 000A 0002"))).kind is OutcomeKind.OK

    def test_the_echo_of_our_own_request_is_passed_over(self):
        framing = RtuFraming()
        echo = framing.start(READ)
        assert framing.feed(echo) is None
        assert framing.feed(REPLY).data == DATA

    @pytest.mark.parametrize("cut", range(9))
    def test_so_it_is_however_it_is_cut(self, cut):
        request = read_request(1, 3, 0x0200, 1)  # its first bytes look like the head of the reply
        framing = RtuFraming()
        echo, reply = framing.start(request), rtu_frame(1, bytes.fromhex("03 02 1234"))
        assert framing.feed((echo + reply)[:cut]) is None
        assert framing.feed((echo + reply)[cut:]).data == bytes.fromhex("1234")

    def test_an_echo_alone_is_silence(self):
        framing = RtuFraming()
        framing.feed(framing.start(READ))
        assert framing.expire().kind is OutcomeKind.TIMEOUT

    def test_where_reads_come_back_the_echo_of_a_write_does_not_prove_it(self):
        framing = RtuFraming()
        framing.feed(framing.start(READ) + REPLY)
        frame = framing.start(write_request(1, 6, 1, [5]))
        assert framing.feed(frame) is None
        assert framing.feed(frame).kind is OutcomeKind.OK
        framing.start(READ)
        framing.feed(REPLY)  # the adapter was changed for one that does not hear itself
        assert framing.feed(framing.start(write_request(1, 6, 1, [5]))).kind is OutcomeKind.OK

    @given(st.lists(st.binary(max_size=40), max_size=8))
    def test_no_bytes_raise(self, pieces):
        framing = RtuFraming()
        framing.start(READ)
        for piece in pieces:
            framing.feed(piece)
        assert framing.expire().kind in (OutcomeKind.TIMEOUT, OutcomeKind.CORRUPT, OutcomeKind.DESYNC)
