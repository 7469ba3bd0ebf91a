"""The receiver's embedded SQLite file: one connection on one thread; what is acknowledged is committed."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sync.central import ingest, queries, schema
from sync.central.errors import CentralError

_P = ParamSpec("_P")
_T = TypeVar("_T")


class CentralStore:
    """Batches in, totals out. All methods raise CentralError when the file fails (disk full, for one)."""

    def __init__(self, conn: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._conn = conn
        self._thread = thread

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator["CentralStore"]:
        """The store in the file `path`, made when missing; nobody else can open it meanwhile."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="huxi-central") as thread:
            loop = asyncio.get_running_loop()
            conn = await loop.run_in_executor(thread, _connect, path)
            try:
                yield cls(conn, thread)
            finally:
                await loop.run_in_executor(thread, conn.close)

    async def take(self, gateway: str, stream: str, packed: bytes) -> int:
        """Durably store what is new in a packed batch posted for `gateway` and `stream`; give its last seq.

        Raises TooLarge, Malformed, Rejected (also for a record of a known kind that cannot be read), Gap or
        Forked; then nothing of the batch is stored.
        """
        return await self._run(ingest.take, gateway, stream, packed)

    async def stream(self, gateway: str, stream: str) -> dict[str, Any]:
        """Where the stream stands in the newest epoch of the gateway: {"epoch", "acked_through", "hash"}."""
        return await self._run(queries.stream, gateway, stream)

    async def gateways(self) -> list[dict[str, Any]]:
        """Each gateway that ever delivered, with the streams of its newest epoch."""
        return await self._run(queries.gateways)

    async def totals(self, gateway: str) -> list[dict[str, Any]]:
        """Exact sums of each register over everything received; carbon under the lens "location"."""
        return await self._run(queries.totals, gateway)

    async def tombstones(self, gateway: str) -> dict[str, Any]:
        """Which records never come, and the sums of what they would have added, by register, lens and account."""
        return await self._run(queries.tombstones, gateway)

    async def _run(
        self, fn: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        def guarded() -> _T:
            try:
                return fn(self._conn, *args, **kwargs)
            except sqlite3.Error as error:
                raise CentralError(f"the receiver cannot use its file: {error}") from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)


def _connect(path: Path) -> sqlite3.Connection:
    try:
        conn = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    except sqlite3.Error as error:
        raise CentralError(f"{path} cannot be opened ({error}): give a file in a folder that can be written") from None
    try:
        # Exclusive: a second writer could corrupt the WAL (SQLite < 3.51.3). FULL: an ack must outlive power.
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            conn.execute(f"PRAGMA {pragma}")
        conn.create_aggregate("whole_sum", 1, _WholeSum)  # type: ignore[arg-type]  # the stub knows only int sums
        schema.prepare(conn, ingest.take_up)
    except sqlite3.Error as error:
        conn.close()
        raise CentralError(f"{path} cannot be used ({error}): is another receiver running on it?") from None
    except CentralError as error:
        conn.close()
        raise CentralError(f"{path}: {error}") from None
    return conn


class _WholeSum:
    """SQL aggregate over integers and decimal strings of any size; null when all are null."""

    def __init__(self) -> None:
        self._sum: int | None = None

    def step(self, value: int | str | None) -> None:
        if value is not None:
            self._sum = (self._sum or 0) + int(value)

    def finalize(self) -> str | None:
        return None if self._sum is None else str(self._sum)
