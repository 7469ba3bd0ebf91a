"""What the receiver holds, for an event loop: the work is done in threads, each with a connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from queue import LifoQueue
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sync.central import access, ingest, queries
from sync.central.access import Party
from sync.central.database import Database
from sync.central.errors import CentralError
from sync.central.queries import Span
from sync.central.sqlite import SqliteDatabase

_P = ParamSpec("_P")
_T = TypeVar("_T")
_CONNECTIONS: Final = 4
"""To a PostgreSQL server. More do not help: one process decodes on one core."""


def open_databases(where: str) -> tuple[list[Database], Database]:
    """Connections to the records, ready for use, and the one to the table of access.

    `where` is a file for SQLite or an address postgresql://…. Raises CentralError with the remedy.
    """
    if not is_postgres(where):
        records = SqliteDatabase.open(Path(where))
        return [_prepared(records)], SqliteDatabase.open_access(Path(where))
    first, *others = (_postgres(where) for _ in range(_CONNECTIONS + 1))
    return others, _prepared(first)


def open_access(where: str) -> Database:
    """The table of access alone, for the command. Raises CentralError."""
    return _prepared(_postgres(where)) if is_postgres(where) else SqliteDatabase.open_access(Path(where))


def is_postgres(where: str) -> bool:
    """Whether this is the address of a server, and not a file."""
    return where.startswith(("postgresql://", "postgres://"))


def _postgres(url: str) -> Database:
    try:
        from sync.central.postgres import PostgresDatabase  # an extra: only who asks for it needs it
    except ImportError as error:
        raise CentralError(
            f"PostgreSQL needs the extra `central` ({error}): pip install --require-hashes -r requirements/central.txt"
        ) from None
    return PostgresDatabase(url)


def _prepared(database: Database) -> Database:
    try:
        database.prepare()
    except BaseException:
        database.close()
        raise
    return database


class CentralStore:
    """Batches in, totals out. All methods raise CentralError when the database fails (disk full, for one)."""

    def __init__(self, databases: list[Database], access_database: Database) -> None:
        self._idle: LifoQueue[Database] = LifoQueue()
        for database in databases:
            self._idle.put(database)
        self._thread = ThreadPoolExecutor(len(databases), "huxi-central")
        self._access = access_database
        self._access_thread = ThreadPoolExecutor(1, "huxi-access")

    @classmethod
    @asynccontextmanager
    async def open(cls, where: str | Path) -> AsyncIterator["CentralStore"]:
        """The store in a SQLite file, made when missing (nobody else can open it meanwhile), or at postgresql://…"""
        databases, access_database = await asyncio.to_thread(open_databases, str(where))
        store = cls(databases, access_database)
        try:
            yield store
        finally:
            await asyncio.to_thread(store._close)

    async def take(self, gateway: str, stream: str, packed: bytes) -> int:
        """Durably store what is new in a packed batch posted for `gateway` and `stream`; give its last seq.

        Raises TooLarge, Malformed, Rejected (also for a record of a known kind that cannot be read), Gap or
        Forked; then nothing of the batch is stored.
        """
        return await self._run(ingest.take, gateway, stream, packed)

    async def stream(self, gateway: str, stream: str) -> dict[str, Any]:
        """Where the stream stands in the newest epoch of the gateway: {"epoch", "acked_through", "hash"}."""
        return await self._run(queries.stream, gateway, stream)

    async def health(self, gateways: list[Party]) -> list[dict[str, Any]]:
        """How each of some gateways stands, with the streams of its newest epoch."""
        return await self._run(queries.health, gateways, time.time_ns() // 1_000_000)

    async def coverage(self, gateway: str) -> list[dict[str, Any]]:
        """The registers that are behind: why, until when they are closed, and when that was told."""
        return await self._run(queries.coverage, gateway)

    async def totals(self, gateway: str) -> list[dict[str, Any]]:
        """Exact sums of each register over everything received; carbon under the lens "location"."""
        return await self._run(queries.totals, gateway)

    async def tombstones(self, gateway: str) -> dict[str, Any]:
        """Which records never come, and the sums of what they would have added, by register, lens and account."""
        return await self._run(queries.tombstones, gateway)

    async def intervals(self, gateway: str, span: Span) -> dict[str, Any]:
        """Rows of energy as they were booked, corrections too: {"rows", "after"}."""
        return await self._run(queries.intervals, gateway, span)

    async def ledger(self, gateway: str, span: Span) -> dict[str, Any]:
        """Rows of carbon as they were booked, restatements too: {"rows", "after"}."""
        return await self._run(queries.ledger, gateway, span)

    async def by_token(self, token: str) -> Party | None:
        """Whose token this is, None when nobody's or revoked."""
        return await self._ask(access.by_token, token)

    async def gateway(self, name: str) -> Party | None:
        """The gateway of this id."""
        return await self._ask(access.gateway, name)

    async def gateways(self, tenant: str | None, site: str | None, after: str, limit: int) -> list[Party]:
        """Gateways by id from `after` on, of one tenant and site when given."""
        return await self._ask(access.parties, access.GATEWAY, tenant=tenant, site=site, after=after, limit=limit)

    async def add(self, name: str, role: str, tenant: str | None, site: str | None = None) -> str:
        """See access.add."""
        return await self._ask(access.add, name, role, tenant, site)

    async def _run(self, fn: Callable[Concatenate[Database, _P], _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        def with_one() -> _T:
            database = self._idle.get()
            try:
                return fn(database, *args, **kwargs)
            finally:
                self._idle.put(database)

        return await asyncio.get_running_loop().run_in_executor(self._thread, with_one)

    async def _ask(self, fn: Callable[Concatenate[Database, _P], _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        def ask() -> _T:
            return fn(self._access, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._access_thread, ask)

    def _close(self) -> None:
        self._thread.shutdown()
        self._access_thread.shutdown()
        for database in (*self._idle.queue, self._access):
            database.close()
