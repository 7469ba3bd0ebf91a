"""The one SQLite connection, on its own thread: a write is one durable transaction, a read one snapshot.

WAL with synchronous=FULL, because "stored" must survive a power cut. One connection owns all writes and
checkpoints (SQLite before 3.51.3 can corrupt a WAL that two connections reset).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from gateway.store.errors import StoreError
from gateway.store.lock import locked, no_access, require_unlocked

FILE_NAME = "huxi.db"
SCHEMA_VERSION = 3
CHECK_BUDGET_S = 10.0
"""Longest look at a database after an unclean stop; what it does not see in this time is met by reading."""
SETTINGS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA mmap_size = 0",  # a failing card must give an error, not SIGBUS
    "PRAGMA journal_size_limit = 8388608",
)

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """The open database of a data folder. Made by `Store.open`."""

    def __init__(self, data_dir: Path, conn: sqlite3.Connection, thread: ThreadPoolExecutor, epoch: str) -> None:
        self.data_dir = data_dir
        self.epoch = epoch
        """16 hex digits, made with the database: which buffer of this gateway this is."""
        self._conn = conn
        self._thread = thread
        self._walks = 0
        self._file = _identity(data_dir / FILE_NAME)

    @classmethod
    @asynccontextmanager
    async def open(cls, data_dir: Path) -> AsyncIterator[Store]:
        """Makes the folder when missing, takes its lock, opens (or makes) the database, updates its schema.

        Raises StoreError: no access, lock taken, damaged file, or a database of a newer huxi.
        """
        _make_folder(data_dir)
        with locked(data_dir), ThreadPoolExecutor(1, thread_name_prefix="huxi-store") as thread:
            loop = asyncio.get_running_loop()
            conn, epoch = await loop.run_in_executor(thread, _open_database, data_dir / FILE_NAME)
            try:
                yield cls(data_dir, conn, thread, epoch)
            finally:
                # Behind whatever is queued: a cancelled writer's transaction ends before the file closes.
                thread.submit(conn.close).result()

    @property
    def is_in_place(self) -> bool:
        """False when the file that is open is not the one in the data folder any more."""
        return self._file == _identity(self.data_dir / FILE_NAME)

    @contextmanager
    def walking(self) -> Iterator[None]:
        """Around many reads that belong together: meanwhile nothing is moved that they may have passed."""
        self._walks += 1
        try:
            yield
        finally:
            self._walks -= 1

    @property
    def is_walked(self) -> bool:
        """True while somebody is `walking`."""
        return self._walks > 0

    async def run(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn(conn, …)` returns, inside BEGIN IMMEDIATE … COMMIT; durable when this returns.

        An exception of `fn` undoes everything and passes; SQLite's own become StoreError. A cancelled call is
        done either completely or not at all.
        """
        return await self._transact("BEGIN IMMEDIATE", "COMMIT", partial(fn, self._conn, *args, **kwargs))

    async def read(self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn(conn, …)` returns; whatever it writes is undone. Writers wait: keep it short."""
        return await self._transact("BEGIN", "ROLLBACK", partial(fn, self._conn, *args, **kwargs))

    async def _transact(self, begin: str, end: str, work: Callable[[], T]) -> T:
        def on_thread() -> T:
            with _explained(self.data_dir / FILE_NAME):
                self._conn.execute(begin)
                try:
                    result = work()
                    self._conn.execute(end)
                except BaseException:
                    if self._conn.in_transaction:
                        self._conn.execute("ROLLBACK")
                    raise
                return result

        return await asyncio.get_running_loop().run_in_executor(self._thread, on_thread)


def open_offline(data_dir: Path) -> sqlite3.Connection:
    """A read-only connection to the database of a stopped gateway; the caller closes it.

    Raises StoreError while a gateway works on the folder, or when there is no readable database.
    """
    path = data_dir / FILE_NAME
    if not path.is_file():
        raise StoreError(f"there is no database {path}; name the data_dir of a gateway that has run")
    require_unlocked(data_dir)
    wal = path.with_name(f"{FILE_NAME}-wal")
    writable = os.access(data_dir, os.W_OK)
    if not writable and wal.exists() and wal.stat().st_size:
        raise StoreError(f"{path} was not closed cleanly and its folder cannot be written; copy it and read the copy")
    with _explained(path):
        # SQLite writes its shared index beside a WAL database, unless told that nobody changes the file.
        mode = "mode=ro" if writable else "immutable=1"
        conn = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
        try:
            _require_version(path, conn, exactly=True)
        except BaseException:
            conn.close()
            raise
        return conn


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(no_access(data_dir, error)) from error


def _open_database(path: Path) -> tuple[sqlite3.Connection, str]:
    """The connection and the epoch. Runs on the store's thread, to which SQLite then binds the connection."""
    wal = path.with_name(f"{path.name}-wal")
    stopped_uncleanly = wal.exists() and wal.stat().st_size > 0
    with _explained(path):
        conn = sqlite3.connect(path, isolation_level=None)
        try:
            if conn.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                raise StoreError(f"{path} lies on a file system without shared memory; move data_dir to a local disk")
            for setting in SETTINGS:
                conn.execute(setting)
            if stopped_uncleanly:
                _quick_check(path, conn)
            if _require_version(path, conn) < SCHEMA_VERSION:
                from gateway.store.migrations import (
                    migrate,
                )  # sqlite-utils costs 8 MB: only when there is a step to do

                migrate(conn, SCHEMA_VERSION)
            (epoch,) = conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        except BaseException:
            conn.close()
            raise
        return conn, epoch


def _require_version(path: Path, conn: sqlite3.Connection, *, exactly: bool = False) -> int:
    version: int = conn.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer huxi (schema {version}, this one knows {SCHEMA_VERSION}); "
            "install that version again"
        )
    if exactly and version != SCHEMA_VERSION:
        raise StoreError(f"{path} is of an older huxi (schema {version}); start the gateway once to update it")
    return version


def _quick_check(path: Path, conn: sqlite3.Connection) -> None:
    deadline = time.monotonic() + CHECK_BUDGET_S
    conn.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        (verdict,) = conn.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    else:
        if verdict != "ok":
            raise StoreError(_damaged(path, verdict))
    finally:
        conn.set_progress_handler(None, 0)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into StoreError with a remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_explanation(path, error)) from error


def _explanation(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(path, str(error))
    if code == sqlite3.SQLITE_FULL:
        return f"the disk of {path} is full; free some space"
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return f"cannot write {path}: {error}; give it to the user that runs huxi"
    return f"{path}: {error}; look for disk errors in the system's journal"


def _damaged(path: Path, detail: str) -> str:
    return (
        f"{path} is damaged ({detail}); move {path.name}, {path.name}-wal and {path.name}-shm "
        "to a safe place and start again with a new database"
    )
