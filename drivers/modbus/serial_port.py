"""A serial port on the event loop: pyserial opens and configures it, the loop watches its file descriptor."""

import asyncio
import os
import termios
from collections.abc import Callable

import serial

from drivers.modbus.errors import TransportError

_READ_BYTES = 4096
_FAULTS = (OSError, ValueError, NotImplementedError, OverflowError, termios.error)
"""What pyserial lets through while it opens and configures; a tty may go away at any moment of that."""


class SerialPort:
    """An open tty, locked against other processes."""

    def __init__(self, path: str, *, baud: int, parity: str, stop: int) -> None:
        """Open it; TransportError when it cannot be opened or another process holds it."""
        try:
            self._port = serial.Serial(
                path, baud, parity=parity, stopbits=stop, timeout=0, write_timeout=0, exclusive=True
            )
        except _FAULTS as error:
            raise TransportError(
                f"{path}: {error}; check the path (by-id names are stable), the group dialout, "
                "and that no other program has it open"
            ) from error
        self._fd: int = self._port.fileno()
        self._pending = bytearray()
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def start(self, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """Begin to deliver bytes; `lost` is called once when the port goes away, never after `close`."""
        self._receive = receive
        self._lost = lost
        self._loop.add_reader(self._fd, self._read)

    def send(self, data: bytes) -> None:
        """Put bytes on the line, as fast as it takes them."""
        if not self._closed:
            self._pending += data
            self._write()

    def close(self) -> None:
        """Let the port go."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._port.close()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._drop(str(error))
            return
        if data:
            self._receive(data)
        else:
            self._drop("the port was hung up")

    def _write(self) -> None:
        try:
            written = os.write(self._fd, self._pending)
        except BlockingIOError:
            written = 0
        except OSError as error:
            self._drop(str(error))
            return
        del self._pending[:written]
        if self._pending:
            self._loop.add_writer(self._fd, self._write)
        else:
            self._loop.remove_writer(self._fd)

    def _drop(self, reason: str) -> None:
        self.close()
        self._lost(reason)
