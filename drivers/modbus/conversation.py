"""The server's half of a framing: bytes of requests in, bytes of replies out."""

import time
from collections.abc import Callable
from typing import Protocol

from drivers.modbus.bank import RegisterBank
from drivers.modbus.pdu import (
    READ_INPUT,
    TARGET_SILENT,
    decode_request,
    exception_pdu,
    read_reply_pdu,
    rtu_frame,
    rtu_frame_is_sound,
    tcp_frame,
    write_reply_pdu,
)

_HEADER = 6  # bytes of a Modbus TCP header before the unit id
_LONGEST_RTU = 256
_RTU_PAUSE_S = 0.5  # a request interrupted for longer is forgotten


class Conversation(Protocol):
    """One client's stream of requests."""

    def feed(self, data: bytes) -> bytes | None:
        """Bytes to send back for these, perhaps none; None when this client does not speak Modbus."""
        ...


class TcpConversation:
    """Modbus TCP. A unit that is not here gets exception 0x0B, as a gateway to a serial line gives it."""

    def __init__(self, bank: RegisterBank) -> None:
        self._bank = bank
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        buffer = self._buffer
        buffer += data
        replies = b""
        while len(buffer) >= _HEADER:
            number = int.from_bytes(buffer[0:2], "big")
            protocol = int.from_bytes(buffer[2:4], "big")
            length = int.from_bytes(buffer[4:6], "big")
            if protocol or not 2 <= length <= 254:
                return None
            end = _HEADER + length
            if len(buffer) < end:
                break
            unit, pdu = buffer[_HEADER], bytes(buffer[_HEADER + 1 : end])
            del buffer[:end]
            replies += tcp_frame(unit, number, _answer(self._bank, unit, pdu))
        return replies


class RtuConversation:
    """Modbus RTU. A unit that is not here is silent, as on a line; noise is skipped."""

    def __init__(self, bank: RegisterBank, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._bank = bank
        self._clock_s = clock_s
        self._buffer = bytearray()
        self._last_s = clock_s()

    def feed(self, data: bytes) -> bytes:
        now_s = self._clock_s()
        if now_s - self._last_s > _RTU_PAUSE_S:
            self._buffer.clear()
        self._last_s = now_s
        self._buffer += data
        replies = b""
        while frame := self._cut():
            unit, pdu = frame[0], frame[1:-2]
            answer = _answer(self._bank, unit, pdu)
            if answer != exception_pdu(pdu[0], TARGET_SILENT):
                replies += rtu_frame(unit, answer)
        del self._buffer[:-_LONGEST_RTU]
        return replies

    def _cut(self) -> bytes:
        """The first sound request in the buffer, taken out with all before it; empty when there is none."""
        buffer = self._buffer
        for start in range(len(buffer) - 3):
            size = _request_size(buffer[start : start + 7]) or len(buffer) - start
            frame = bytes(buffer[start : start + size])
            if len(frame) == size and rtu_frame_is_sound(frame):
                del buffer[: start + size]
                return frame
        return b""


def _request_size(head: bytearray) -> int:
    """Bytes of the frame that begins so; 0 when only the silence after it would tell."""
    function = head[1]
    if 1 <= function <= 6:
        return 8
    if function in (15, 16) and len(head) == 7:
        return 9 + head[6]
    return 0


def _answer(bank: RegisterBank, unit: int, pdu: bytes) -> bytes:
    request = decode_request(pdu)
    if isinstance(request, int):
        return exception_pdu(pdu[0], request)
    function, address, count, words = request
    if function > READ_INPUT:
        code = bank.write(unit, function, address, words)
        return exception_pdu(function, code) if code else write_reply_pdu(function, address, words)
    values = bank.read(unit, function, address, count)
    return exception_pdu(function, values) if isinstance(values, int) else read_reply_pdu(function, values)
