"""Frames as a server cuts and makes them, written apart from the driver so that neither hides the other's mistake."""

from __future__ import annotations

import struct
from typing import NamedTuple, Protocol

_HEADER = struct.Struct(">HHH")  # transaction id, protocol id, length
_READS_AND_SINGLE_WRITES = range(1, 7)
_MULTIPLE_WRITES = (15, 16)


class RawRequest(NamedTuple):
    """A request as it came off the wire."""

    unit: int
    number: int  # transaction id; 0 where there is none
    pdu: bytes
    frame: bytes


class Wire(Protocol):
    """A framing, seen from the server."""

    has_header: bool  # that of Modbus TCP
    numbered: bool  # a reply tells which request it is to

    def cut(self, buffer: bytearray) -> RawRequest | None:
        """The first request in the buffer, taken out with what stands before it."""
        ...

    def frame(self, unit: int, number: int, pdu: bytes, *, lie: int = 0, protocol: int = 0) -> bytes:
        """A reply; `lie` is added to the length field or, where there is none, to the checksum."""
        ...


class TcpWire:
    """Modbus TCP."""

    has_header = True
    numbered = True

    def cut(self, buffer: bytearray) -> RawRequest | None:
        if len(buffer) < _HEADER.size:
            return None
        number, _, length = _HEADER.unpack_from(buffer)
        end = _HEADER.size + length
        if len(buffer) < end:
            return None
        frame = bytes(buffer[:end])
        del buffer[:end]
        return RawRequest(frame[6], number, frame[7:], frame)

    def frame(self, unit: int, number: int, pdu: bytes, *, lie: int = 0, protocol: int = 0) -> bytes:
        return _HEADER.pack(number, protocol, (len(pdu) + 1 + lie) & 0xFFFF) + bytes([unit]) + pdu


class ZeroWire(TcpWire):
    """Modbus TCP of a gateway that gives every reply the number 0."""

    numbered = False

    def frame(self, unit: int, number: int, pdu: bytes, *, lie: int = 0, protocol: int = 0) -> bytes:
        return super().frame(unit, 0, pdu, lie=lie, protocol=protocol)


class RtuWire:
    """Modbus RTU, on a line or inside TCP."""

    has_header = False
    numbered = False

    def cut(self, buffer: bytearray) -> RawRequest | None:
        while len(buffer) >= 8:
            frame = bytes(buffer[: _request_size(buffer)])
            if len(frame) >= 8 and crc(frame) == 0:
                del buffer[: len(frame)]
                return RawRequest(frame[0], 0, frame[1:-2], frame)
            del buffer[0]
        return None

    def frame(self, unit: int, number: int, pdu: bytes, *, lie: int = 0, protocol: int = 0) -> bytes:
        head = bytes([unit]) + pdu
        return head + ((crc(head) + lie) & 0xFFFF).to_bytes(2, "little")


def crc(data: bytes) -> int:
    """The checksum of a serial frame; 0 over a frame that ends in its own."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


_CRC = tuple(_crc_of_byte(value) for value in range(256))


def _request_size(buffer: bytearray) -> int:
    if buffer[1] in _READS_AND_SINGLE_WRITES:
        return 8
    return 9 + buffer[6] if buffer[1] in _MULTIPLE_WRITES else 0
