"""The receiver's embedded database: one SQLite file, one connection; what is acknowledged is on the disk."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sync.central import rebuild
from sync.central.errors import CentralError
from sync.central.schema import ACCESS, ASIDE, RECORDS, REFUSAL, ROWS, VERSION

_APART: Final = "WITHOUT ROWID"


class SqliteDatabase:
    """A Database in a file."""

    words: Mapping[str, str] = {
        "id": "INTEGER PRIMARY KEY",
        "bytes": "BLOB",
        "wide": "TEXT",  # decimal: 64 bits do not hold all of them
        "and_received_ms": "",
        "and_t0_ms": "",
        "apart_by_received_ms": _APART,
        "apart_by_t0_ms": _APART,
        "sum": "whole_sum",
        "hold": "",
    }

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn = conn
        self._path = path
        self._insert: dict[str, str] = {}

    @classmethod
    def open(cls, path: Path) -> "SqliteDatabase":
        """The file of records, made when missing. Nobody else can open it meanwhile. Raises CentralError."""
        # Exclusive: a second writer could corrupt the WAL (SQLite < 3.51.3). FULL: an ack must outlive power.
        return cls(_connect(path, "locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"), path)

    @classmethod
    def open_access(cls, path: Path) -> "SqliteDatabase":
        """The small file beside it that says who may deliver, for the receiver and the command at once.

        It is apart because the file of records has one user only, and has no WAL because it has two.
        """
        beside = path.with_name(f"{path.name}.access")
        database = cls(_connect(beside, "journal_mode=DELETE", "synchronous=FULL"), beside)
        with database.transaction():
            if not database.execute("SELECT 1 FROM sqlite_schema"):
                database.execute(ACCESS.format(**cls.words))
        beside.chmod(0o600)
        return database

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """See Database."""
        with self._translated():
            return self._conn.execute(sql, values).fetchall()

    def append(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        """See Database."""
        with self._translated():
            if table not in self._insert:
                columns = self._conn.execute(f"SELECT * FROM {table} LIMIT 0").description
                self._insert[table] = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"
            self._conn.executemany(self._insert[table], rows)

    def wide(self, decimals: Sequence[str | None]) -> Sequence[str | None]:
        """See Database."""
        return decimals

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See Database."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
            raise

    def make_room(self, table: str, times_ms: Collection[int]) -> None:
        """Nothing to do: a file has one place for all times."""

    def prepare(self) -> None:
        """Make the tables in a new file, or bring those of an earlier version up to date.

        Raises CentralError for a file of another program or a later version.
        """
        ((found,),) = self.execute("PRAGMA user_version")
        ((tables,),) = self.execute("SELECT count(*) FROM sqlite_schema")
        if found == 0 and tables == 0:
            with self.transaction():
                self._make(RECORDS + REFUSAL + ROWS + ASIDE)
        elif 0 < found < VERSION:
            with self.transaction():
                kept = ("epoch", "stream", "record")
                for (table,) in self.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
                    if table not in kept:
                        self.execute(f"DROP TABLE {table}")
                if not self.execute("SELECT 1 FROM pragma_table_info('record') WHERE name = 'received_ms'"):
                    self.execute("ALTER TABLE record ADD COLUMN received_ms BIGINT NOT NULL DEFAULT 0")
                self._make(REFUSAL + ROWS + ASIDE)
                rebuild.rows(self)
        elif found != VERSION:
            raise CentralError(
                f"{self._path}: the file is not a huxi receiver of version {VERSION} (it says {found}): choose another"
            )

    def close(self) -> None:
        """See Database."""
        self._conn.close()

    def _make(self, tables: str) -> None:
        for statement in tables.format(**self.words).split(";\n"):
            self.execute(statement)
        self.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CentralError(f"the receiver cannot use its file {self._path}: {error}") from error


def _connect(path: Path, *pragmas: str) -> sqlite3.Connection:
    try:
        conn = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise CentralError(f"{path} cannot be opened ({error}): give a file in a folder that can be written") from None
    try:
        for pragma in pragmas:
            conn.execute(f"PRAGMA {pragma}")
        conn.create_aggregate("whole_sum", 1, _WholeSum)  # type: ignore[arg-type]  # the stub knows only int sums
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("ROLLBACK")
    except sqlite3.Error as error:
        conn.close()
        raise CentralError(f"{path} cannot be used ({error}): is another receiver running on it?") from None
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
