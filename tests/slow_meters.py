"""Meters on the far end of a serial line, as slow as told, some of them dead."""

import asyncio
from collections.abc import Collection

from drivers.modbus.pdu import rtu_frame
from drivers.modbus.serial_port import SerialPort

_REQUEST_BYTES = 8


class SlowMeters:
    """Answers each read of any unit but the dead ones with zeros, `turnaround_s` after its last byte."""

    def __init__(self, path: str, *, baud: int, turnaround_s: float, dead: Collection[int] = ()) -> None:
        self._port = SerialPort(path, baud=baud, parity="E", stop=1)
        self._turnaround_s = turnaround_s
        self._dead = dead
        self._heard = b""

    def start(self) -> None:
        """From now on, until `close`."""
        self._port.start(self._receive, lambda reason: None)

    def close(self) -> None:
        """Let go of the line."""
        self._port.close()

    def _receive(self, data: bytes) -> None:
        self._heard += data
        while len(self._heard) >= _REQUEST_BYTES:
            request, self._heard = self._heard[:_REQUEST_BYTES], self._heard[_REQUEST_BYTES:]
            if request[0] not in self._dead:
                size = 2 * request[5]
                reply = rtu_frame(request[0], bytes([request[1], size]) + bytes(size))
                asyncio.get_running_loop().call_later(self._turnaround_s, self._port.send, reply)
