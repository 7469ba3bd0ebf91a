"""An emulated serial line: two pseudo-terminals, and between them the time that bytes take on a wire."""

import asyncio
import contextlib
import os
import tty
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

from drivers.modbus.errors import TransportError

_BITS_PER_BYTE = 11
_CHUNK_BYTES = 4096
_PSEUDO_TERMINALS = "/dev/pts/"


class EmulatedLine:
    """A line with two ends, each a tty behind a symbolic link.

    A pseudo-terminal alone has no speed: here each byte needs 11 bits at `baud`, one after the other. What
    nobody takes off at an end is lost there, as on a wire. Leaving the context removes both ends.
    """

    def __init__(self, ends: tuple[Path, Path], *, baud: int) -> None:
        self._ends = ends
        self._byte_s = _BITS_PER_BYTE / baud
        self._fds: list[int] = []
        self._links: list[Path] = []
        self._directions: list[_Direction] = []

    async def __aenter__(self) -> Self:
        """Make both ends; TransportError when a path is taken or cannot be written."""
        try:
            masters = [self._make_end(path) for path in self._ends]
        except OSError as error:
            self._remove()
            raise TransportError(f"line {self._ends[0]}: {error}; choose another path") from error
        self._directions = [
            _Direction(masters[0], masters[1], self._byte_s),
            _Direction(masters[1], masters[0], self._byte_s),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _make_end(self, path: Path) -> int:
        master, slave = os.openpty()  # the slave stays open here, so that the end outlives its users
        self._fds += [master, slave]
        tty.setraw(slave)
        os.set_blocking(master, False)
        if path.is_symlink() and os.readlink(path).startswith(_PSEUDO_TERMINALS):
            path.unlink()  # left behind by a line that was killed
        path.symlink_to(os.ttyname(slave))
        self._links.append(path)
        return master

    def _remove(self) -> None:
        for direction in self._directions:
            direction.close()
        for fd in self._fds:
            os.close(fd)
        for path in self._links:
            path.unlink(missing_ok=True)
        self._directions, self._fds, self._links = [], [], []


class _Direction:
    """Bytes from one end to the other."""

    def __init__(self, source: int, target: int, byte_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._source = source
        self._target = target
        self._byte_s = byte_s
        self._under_way: deque[tuple[float, int]] = deque()  # (loop time of arrival, byte)
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(source, self._take)

    def close(self) -> None:
        self._loop.remove_reader(self._source)
        if self._timer is not None:
            self._timer.cancel()

    def _take(self) -> None:
        now = self._loop.time()
        self._free_at = max(self._free_at, now)
        for byte in os.read(self._source, _CHUNK_BYTES):
            self._free_at += self._byte_s
            self._under_way.append((self._free_at, byte))
        if self._timer is None:
            self._deliver()

    def _deliver(self) -> None:
        now = self._loop.time()
        arrived = bytearray()
        while self._under_way and self._under_way[0][0] <= now:
            arrived.append(self._under_way.popleft()[1])
        if arrived:
            with contextlib.suppress(BlockingIOError):  # full, since nobody reads there: lost, as on a wire
                os.write(self._target, arrived)
        self._timer = self._loop.call_at(self._under_way[0][0], self._deliver) if self._under_way else None
