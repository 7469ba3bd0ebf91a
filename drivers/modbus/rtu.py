"""A serial line as a link's transport."""

from collections.abc import Callable

from drivers.modbus.serial_port import SerialPort

_BITS_PER_BYTE = 11  # start, 8 data, parity or second stop, stop
_SLOW_BAUD, _SLOW_GAP_S = 19200, 0.005  # up to this speed cheap transceivers need so long to turn round


class SerialTransport:
    """One tty."""

    reopening_helps = False  # a silent unit is no reason to let the whole line go

    def __init__(self, path: str, *, baud: int, parity: str, stop: int) -> None:
        self._path = path
        self._baud = baud
        self._parity = parity
        self._stop = stop
        self._port: SerialPort | None = None

    async def open(self, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self._port = SerialPort(self._path, baud=self._baud, parity=self._parity, stop=self._stop)
        self._port.start(receive, lost)

    def send(self, data: bytes) -> None:
        if self._port is not None:
            self._port.send(data)

    async def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None


def silence_s(baud: int) -> float:
    """The silence that ends a frame: 3.5 bytes, constant above 19200 baud (serial line V1.02, 2.5.1.1)."""
    return 3.5 * _BITS_PER_BYTE / baud if baud <= 19200 else 0.00175


def least_gap_s(baud: int) -> float:
    """The shortest pause between an answer and the next request."""
    return max(silence_s(baud), _SLOW_GAP_S if baud <= _SLOW_BAUD else 0.0)
