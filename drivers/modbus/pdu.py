"""The one door to pymodbus: data units and frames, encoded for both sides and decoded for servers.

Replies to our own requests are not decoded here: pymodbus takes wrong function codes, lengths and echoes for
good, so request.py judges them on the bytes.
"""

import logging
from collections.abc import Sequence

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadCoilsResponse,
    ReadDiscreteInputsRequest,
    ReadDiscreteInputsResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

READ_COILS, READ_DISCRETES, READ_HOLDING, READ_INPUT, WRITE_SINGLE, WRITE_MULTIPLE = 1, 2, 3, 4, 6, 16
MAX_WRITE_REGISTERS = 123
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, BUSY = 1, 2, 3, 4, 6
PATH_DOWN, TARGET_SILENT = 0x0A, 0x0B  # said by a gateway on the way of a unit that it cannot reach

READS: dict[int, type[ReadHoldingRegistersRequest] | type[ReadCoilsRequest]] = {
    READ_COILS: ReadCoilsRequest,
    READ_DISCRETES: ReadDiscreteInputsRequest,
    READ_HOLDING: ReadHoldingRegistersRequest,
    READ_INPUT: ReadInputRegistersRequest,
}
_REPLIES: dict[int, type[ModbusPDU]] = {
    READ_COILS: ReadCoilsResponse,
    READ_DISCRETES: ReadDiscreteInputsResponse,
    READ_HOLDING: ReadHoldingRegistersResponse,
    READ_INPUT: ReadInputRegistersResponse,
    WRITE_SINGLE: WriteSingleRegisterResponse,
    WRITE_MULTIPLE: WriteMultipleRegistersResponse,
}
_REQUESTS = DecodePDU(is_server=True)
_TCP = FramerSocket(_REQUESTS)
_RTU = FramerRTU(_REQUESTS)

# At each error pymodbus logs the recent frames of every connection: one bad unit would flood the journal.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


def read_pdu(function: int, address: int, count: int) -> bytes:
    """A read request (functions 1 to 4); ValueError when it cannot be put on the wire."""
    if function not in READS:
        raise ValueError(f"function {function} does not read; 1, 2, 3 and 4 do")
    if count > 0 and address + count > 0x10000:
        raise ValueError(f"{count} items from address {address} reach beyond 65535")
    return bytes([function]) + READS[function](address=address, count=count).encode()


def write_pdu(function: int, address: int, words: Sequence[int]) -> bytes:
    """A write request (function 6 with one word, or 16); ValueError when it cannot be put on the wire."""
    if function not in (WRITE_SINGLE, WRITE_MULTIPLE):
        raise ValueError(f"function {function} does not write registers; 6 and 16 do")
    limit = 1 if function == WRITE_SINGLE else MAX_WRITE_REGISTERS
    if not 1 <= len(words) <= limit:
        raise ValueError(f"function {function} writes 1 to {limit} registers, not {len(words)}")
    if not all(0 <= word <= 0xFFFF for word in words):
        raise ValueError("a register word is a number from 0 to 65535")
    if not 0 <= address <= 0x10000 - len(words):
        raise ValueError(f"{len(words)} registers at address {address} do not lie in 0 to 65535")
    kind = WriteSingleRegisterRequest if function == WRITE_SINGLE else WriteMultipleRegistersRequest
    return bytes([function]) + kind(address=address, registers=words).encode()


def tcp_frame(unit: int, number: int, pdu: bytes) -> bytes:
    """`pdu` behind the header of Modbus TCP with the transaction id `number`."""
    return _TCP.encode(pdu, unit, number)


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """`pdu` between unit id and checksum, as on a serial line."""
    return _RTU.encode(pdu, unit, 0)


def rtu_frame_is_sound(frame: bytes) -> bool:
    """Whether the last two bytes are the checksum of the others."""
    return len(frame) >= 4 and FramerRTU.compute_CRC(frame[:-2]).to_bytes(2, "big") == frame[-2:]


def decode_request(pdu: bytes) -> tuple[int, int, int, list[int]] | int:
    """(function, address, count, words) of a request that a server got, or the exception code it deserves."""
    if not pdu or pdu[0] not in _REPLIES:
        return ILLEGAL_FUNCTION
    size = 5 if pdu[0] != WRITE_MULTIPLE else 6 + (pdu[5] if len(pdu) > 5 else 0)
    message = _REQUESTS.decode(pdu) if len(pdu) == size else None
    if message is None:
        return ILLEGAL_VALUE
    words = list(message.registers)
    if pdu[0] == WRITE_MULTIPLE and not 1 <= message.count == len(words) <= MAX_WRITE_REGISTERS:
        return ILLEGAL_VALUE
    count = len(words) if words else message.count
    if message.address + count > 0x10000:
        return ILLEGAL_ADDRESS
    return pdu[0], message.address, count, words


def read_reply_pdu(function: int, values: Sequence[int]) -> bytes:
    """A server's answer to a read: register words, or bits as 0 and 1."""
    reply = (
        _REPLIES[function](bits=[bool(value) for value in values])
        if function in (READ_COILS, READ_DISCRETES)
        else _REPLIES[function](registers=values)
    )
    return bytes([function]) + reply.encode()


def write_reply_pdu(function: int, address: int, words: Sequence[int]) -> bytes:
    """A server's answer to an accepted write."""
    return bytes([function]) + _REPLIES[function](address=address, registers=words).encode()


def exception_pdu(function: int, code: int) -> bytes:
    """A server's refusal."""
    refusal = ExceptionResponse(function & 0x7F, code)
    return bytes([refusal.function_code]) + refusal.encode()
