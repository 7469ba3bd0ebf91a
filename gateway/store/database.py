"""The one SQLite connection, on its own thread: a write is one durable transaction, a read one snapshot.

WAL with synchronous=FULL, because "stored" must survive a power cut. One connection owns all writes and
checkpoints (SQLite before 3.51.3 can corrupt a WAL that two connections reset).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from gateway.store import checkpoint, inspection, quarantine
from gateway.store.errors import Damaged, DiskFull, StoreError
from gateway.store.folder import FILE_NAME, LOG, SUSPECT
from gateway.store.lock import locked, no_access, require_unlocked
from gateway.store.schema import PAGE_BYTES, SCHEMA_VERSION
from gateway.store.space import throw_off_ballast

log = logging.getLogger("huxi.store")

CHECKPOINT_S = 3600.0
"""How often the small checkpoint file is written: seldom, for the card's sake."""
SETTINGS = (
    f"PRAGMA page_size = {PAGE_BYTES}",
    # Only one process ever opens it: without the index that others would share, a commit writes two pages less.
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
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
        self._checkpoint_due = time.monotonic() + CHECKPOINT_S
        self._file = _identity(data_dir / FILE_NAME)

    @classmethod
    @asynccontextmanager
    async def open(cls, data_dir: Path) -> AsyncIterator[Store]:
        """Makes the folder when missing, takes its lock, opens (or makes) the database, updates its schema.

        A damaged database is set aside and a new one goes on with what could be saved (`gateway.store.quarantine`).
        Raises StoreError: no access, lock taken, disk full, or a database of a newer huxi.
        """
        _make_folder(data_dir)
        with locked(data_dir), ThreadPoolExecutor(1, thread_name_prefix="huxi-store") as thread:
            loop = asyncio.get_running_loop()
            conn, epoch = await loop.run_in_executor(thread, _open_database, data_dir)
            store = cls(data_dir, conn, thread, epoch)
            try:
                yield store
            finally:
                # Behind whatever is queued: a cancelled writer's transaction ends before the file closes.
                thread.submit(store._close).result()

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
            with self._suspected(), _explained(self.data_dir / FILE_NAME):
                self._conn.execute(begin)
                try:
                    result = work()
                    self._conn.execute(end)
                except BaseException:
                    if self._conn.in_transaction:
                        self._conn.execute("ROLLBACK")
                    raise
            if time.monotonic() >= self._checkpoint_due:
                self._write_checkpoint()
            return result

        return await asyncio.get_running_loop().run_in_executor(self._thread, on_thread)

    @contextmanager
    def _suspected(self) -> Iterator[None]:
        """Where damage is met, the next start is told of it, however long a look for it would take."""
        try:
            yield
        except Damaged as error:
            with suppress(OSError):
                (self.data_dir / SUSPECT).write_text(inspection.told(error.__cause__ or error), encoding="utf-8")
            raise

    async def keep_checkpoint(self) -> None:
        """Renews the small checkpoint file now; it is also done every hour and at the end."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write_checkpoint)

    def _write_checkpoint(self) -> None:
        """Renews the small checkpoint file. Where that fails the old one stays: the database has it all."""
        self._checkpoint_due = time.monotonic() + CHECKPOINT_S
        try:
            checkpoint.write(self.data_dir, checkpoint.of_store(self._conn))
        except (OSError, sqlite3.Error, StoreError) as error:
            log.warning("checkpoint file not written reason=%s", error)

    def _close(self) -> None:
        with closing(self._conn):
            if self.is_in_place:
                self._write_checkpoint()


def open_offline(data_dir: Path) -> sqlite3.Connection:
    """A read-only connection to the database of a stopped gateway; the caller closes it.

    Raises StoreError while a gateway works on the folder, or when there is no readable database.
    """
    path = data_dir / FILE_NAME
    if not path.is_file():
        raise StoreError(f"there is no database {path}; name the data_dir of a gateway that has run")
    require_unlocked(data_dir)
    wal = data_dir / LOG
    writable = os.access(data_dir, os.W_OK)
    if not writable and wal.exists() and wal.stat().st_size:
        raise StoreError(f"{path} was not closed cleanly and its folder cannot be written; copy it and read the copy")
    with _explained(path):
        # SQLite writes its shared index beside a WAL database, unless told that nobody changes the file.
        mode = "mode=ro" if writable else "immutable=1"
        conn = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
        try:
            version = _version(conn)
            if version != SCHEMA_VERSION:
                older = "an older huxi: start the gateway once to update it"
                newer = "a newer huxi: install that version again"
                raise StoreError(
                    f"{path} (schema {version}, this one knows {SCHEMA_VERSION}) is of "
                    f"{older if version < SCHEMA_VERSION else newer}"
                )
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


def _open_database(data_dir: Path) -> tuple[sqlite3.Connection, str]:
    """The connection and the epoch. Runs on the store's thread, to which SQLite then binds the connection."""
    try:
        return _opened(data_dir)
    except DiskFull:
        if not throw_off_ballast(data_dir):
            raise
        return _opened(data_dir)


def _opened(data_dir: Path) -> tuple[sqlite3.Connection, str]:
    path = data_dir / FILE_NAME
    with _explained(path):
        _mend(data_dir)
        conn = sqlite3.connect(path, isolation_level=None)
        try:
            for setting in SETTINGS:
                conn.execute(setting)
            if conn.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                raise StoreError(f"{path} lies on a file system that takes no write-ahead log; move data_dir elsewhere")
            if _version(conn) < SCHEMA_VERSION:
                from gateway.store.migrations import (
                    migrate,
                )  # sqlite-utils costs 8 MB: only when there is a step to do

                migrate(conn, SCHEMA_VERSION)
            (epoch,) = conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        except BaseException:
            conn.close()
            raise
        return conn, epoch


def _mend(data_dir: Path) -> None:
    """Puts a new database in the place of one that cannot be used."""
    try:
        quarantine.finish(data_dir)
        reason = inspection.fault(data_dir)
        if reason is not None:
            quarantine.replace(data_dir, reason)
    except OSError as error:
        kind = DiskFull if error.errno == errno.ENOSPC else StoreError
        raise kind(f"{data_dir}: {error.strerror or error}; look for disk errors in the system's journal") from error


def _version(conn: sqlite3.Connection) -> int:
    version: int = conn.execute("PRAGMA user_version").fetchone()[0]
    return version


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into StoreError with a remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise _kind(error)(_explanation(path, error)) from error


def _kind(error: sqlite3.Error) -> type[StoreError]:
    if _code(error) == sqlite3.SQLITE_FULL or getattr(error, "sqlite_errorcode", 0) in inspection.NO_ROOM:
        return DiskFull
    is_damage = inspection.is_no_text(error) or _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return Damaged if is_damage else StoreError


def _explanation(path: Path, error: sqlite3.Error) -> str:
    if _kind(error) is Damaged:
        remedy = "at its next start the gateway sets it aside and goes on with what it can save"
        return f"{path} is damaged ({inspection.told(error)}); {remedy}"
    if _kind(error) is DiskFull:
        return f"the disk of {path} is full; free some space"
    if _code(error) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return f"cannot write {path}: {error}; give it to the user that runs huxi"
    return f"{path}: {error}; look for disk errors in the system's journal"


def _code(error: sqlite3.Error) -> int:
    """The primary code of an extended one; 0 for an error of the Python module itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
