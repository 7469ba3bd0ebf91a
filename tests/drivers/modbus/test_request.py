import pytest

from drivers.modbus.outcome import OutcomeKind
from drivers.modbus.request import judge, read_request, write_request

READ = read_request(1, 3, 10, 2)


def test_a_read_is_encoded_as_the_standard_says():
    assert READ.pdu == bytes.fromhex("03 000A 0002")
    assert READ.shape == bytes.fromhex("01 03 04")


def test_writes_are_encoded_as_the_standard_says():
    assert write_request(1, 6, 10, [0x1234]).pdu == bytes.fromhex("06 000A 1234")
    assert write_request(1, 16, 10, [1, 2]).pdu == bytes.fromhex("10 000A 0002 04 0001 0002")


def test_the_right_answer_is_taken():
    verdict = judge(READ, bytes.fromhex("03 04 1234 5678"))
    assert (verdict.kind, verdict.data) == (OutcomeKind.OK, bytes.fromhex("1234 5678"))


def test_bits_come_packed():
    request = read_request(1, 1, 0, 9)
    assert judge(request, bytes.fromhex("01 02 FF 01")).data == b"\xff\x01"
    assert judge(request, bytes.fromhex("01 01 FF")).kind is OutcomeKind.CORRUPT


def test_a_refusal_carries_its_code():
    verdict = judge(READ, bytes.fromhex("83 02"))
    assert (verdict.kind, verdict.code, verdict.data) == (OutcomeKind.EXCEPTION, 2, b"")


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("04 04 1234 5678", id="other function"),
        pytest.param("03 02 1234", id="too short"),
        pytest.param("03 06 1234 5678 9ABC", id="too long"),
        pytest.param("03 04 1234", id="byte count lies"),
        pytest.param("03 04 1234 5678 00", id="one byte more"),
        pytest.param("03", id="function alone"),
        pytest.param("83", id="refusal without code"),
        pytest.param("83 02 00", id="refusal too long"),
        pytest.param("84 02", id="refusal of another function"),
    ],
)
def test_any_other_answer_to_a_read_is_corrupt(reply):
    verdict = judge(READ, bytes.fromhex(reply))
    assert verdict.kind is OutcomeKind.CORRUPT
    assert verdict.data == b""
    assert verdict.detail


@pytest.mark.parametrize(
    ("request_", "good", "bad"),
    [
        (
            write_request(1, 6, 10, [0x1234]),
            "06 000A 1234",
            ["06 000B 1234", "06 000A 1235", "06 000A 1234 00"],
        ),
        (write_request(1, 16, 10, [1, 2]), "10 000A 0002", ["10 000A 0001", "10 0009 0002", "06 000A 0002"]),
    ],
)
def test_a_write_wants_its_exact_echo(request_, good, bad):
    assert judge(request_, bytes.fromhex(good)).kind is OutcomeKind.OK
    assert {judge(request_, bytes.fromhex(reply)).kind for reply in bad} == {OutcomeKind.CORRUPT}


@pytest.mark.parametrize(
    ("unit", "function", "address", "count"),
    [
        (1, 3, 0, 0),
        (1, 3, 0, 126),
        (1, 3, 65535, 2),
        (1, 3, -1, 1),
        (256, 3, 0, 1),
        (1, 5, 0, 1),
        (1, 1, 0, 2001),
    ],
)
def test_reads_that_cannot_be_sent_are_refused(unit, function, address, count):
    with pytest.raises(ValueError):
        read_request(unit, function, address, count)


@pytest.mark.parametrize(
    ("unit", "function", "address", "words"),
    [
        (0, 6, 0, [1]),
        (1, 6, 0, [1, 2]),
        (1, 16, 0, []),
        (1, 16, 0, [0x10000]),
        (1, 16, 65535, [1, 2]),
        (1, 5, 0, [1]),
    ],
)
def test_writes_that_cannot_be_sent_or_have_no_answer_are_refused(unit, function, address, words):
    with pytest.raises(ValueError):
        write_request(unit, function, address, words)
