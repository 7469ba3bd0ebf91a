"""The receiver's database for a fleet: a PostgreSQL server, shared by any number of receivers.

Needs the extra `central` (psycopg). Tables that grow are laid apart by month (UTC), each made before it is needed.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sync.central.errors import CentralError
from sync.central.schema import ACCESS, ASIDE, GROWING, RECORDS, REFUSAL, ROWS, VERSION

_OPTIONS: Final = (
    "-c synchronous_commit=on -c lock_timeout=20s -c idle_in_transaction_session_timeout=60s "
    "-c client_min_messages=warning -c application_name=huxi-central"
)
"""An acknowledgement must outlive power; a receiver that hangs must not hold others up for ever."""
_CONNECT_S: Final = 10
_FIRST_MS, _END_MS = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000 for year in (2020, 2100))
"""Months have a table of their own between these; a time outside has no place in a ledger, and yet finds one."""
_AHEAD_MS: Final = 31 * 86_400_000
_SERIAL: Final = 0x68757869
"""Lock under which tables are made."""


class PostgresDatabase:
    """A Database on a server."""

    words: Mapping[str, str] = {
        "id": "INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "bytes": "BYTEA",
        "wide": "NUMERIC(40)",
        "and_received_ms": ", received_ms",
        "and_t0_ms": ", t0_ms",
        "apart_by_received_ms": "PARTITION BY RANGE (received_ms)",
        "apart_by_t0_ms": "PARTITION BY RANGE (t0_ms)",
        "sum": "sum",
        "hold": " FOR UPDATE OF stream",
    }

    def __init__(self, url: str) -> None:
        """A connection to the server at `url` (postgresql://…), made when first used."""
        try:
            own = str(conninfo_to_dict(url).get("options") or "")
            self._target = make_conninfo(url, options=f"{own} {_OPTIONS}", connect_timeout=_CONNECT_S)
        except psycopg.ProgrammingError as error:
            text = " ".join(str(error).split())
            raise CentralError(f"the address of the database cannot be read: {text}") from None
        self._conn: psycopg.Connection[tuple[Any, ...]] | None = None
        self._types: dict[str, list[int]] = {}
        self._there: set[str] = set()

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """See Database."""
        with self._translated() as conn:
            cursor = conn.execute(sql.replace("?", "%s"), values or None)
            return cursor.fetchall() if cursor.description else []

    def append(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        """See Database."""
        with self._translated() as conn, conn.cursor() as cursor:
            if table not in self._types:
                described = cursor.execute(f"SELECT * FROM {table} LIMIT 0").description
                self._types[table] = [column.type_code for column in described or ()]
            with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(self._types[table])
                write = copy.write_row
                for row in rows:
                    write(row)

    def wide(self, decimals: Sequence[str | None]) -> list[int | None]:
        """See Database."""
        return [None if value is None else int(value) for value in decimals]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See Database."""
        with self._translated() as conn, conn.transaction():
            yield

    def make_room(self, table: str, times_ms: Collection[int]) -> None:
        """See Database; this month and the next are always there."""
        now_ms = time.time_ns() // 1_000_000
        months = {_month(t_ms) for t_ms in (*times_ms, now_ms, now_ms + _AHEAD_MS) if _FIRST_MS <= t_ms < _END_MS}
        for month in months:
            name = f"{table}_{month:%Y_%m}"
            if name in self._there:
                continue
            # Whoever else makes it waits here; whoever adds rows does not.
            self.execute(f"LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE")
            if self.execute("SELECT to_regclass(?) IS NOT NULL", (name,)) == [(True,)]:
                self._there.add(name)  # only now: one that is made here may still be undone
                continue
            begin_ms, end_ms = (int(at.timestamp()) * 1000 for at in (month, _after(month)))
            self.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
            self.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({begin_ms}) TO ({end_ms})")

    def prepare(self) -> None:
        """See Database. Raises CentralError when the server does not keep what it commits, too."""
        if self.execute("SHOW fsync") != [("on",)]:
            raise CentralError(
                "the PostgreSQL server runs with fsync = off: what is acknowledged would not outlive a power cut; "
                "set fsync = on in postgresql.conf"
            )
        with self.transaction():
            self.execute("SELECT pg_advisory_xact_lock(?)", (_SERIAL,))
            if self.execute("SELECT to_regclass('central_version') IS NOT NULL") == [(False,)]:
                self._make()
            ((found,),) = self.execute("SELECT version FROM central_version")
        if found != VERSION:
            raise CentralError(f"the database is of version {found} of huxi central, not {VERSION}: choose another")

    def close(self) -> None:
        """See Database."""
        if self._conn is not None:
            self._conn.close()

    def _make(self) -> None:
        self.execute(f"CREATE TABLE central_version AS SELECT {VERSION} AS version")
        for statement in (RECORDS + REFUSAL + ROWS + ASIDE + ACCESS).format(**self.words).split(";\n"):
            if statement.strip():
                self.execute(statement)
        for table in GROWING:
            for name, begin, end in (("past", "MINVALUE", _FIRST_MS), ("beyond", _END_MS, "MAXVALUE")):
                self.execute(f"CREATE TABLE {table}_{name} PARTITION OF {table} FOR VALUES FROM ({begin}) TO ({end})")
            self.make_room(table, ())

    @contextmanager
    def _translated(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        try:
            if self._conn is None or self._conn.closed:
                self._conn = psycopg.connect(self._target, autocommit=True)
            yield self._conn
        except psycopg.Error as error:
            text = " ".join(str(error).split())
            raise CentralError(f"the receiver cannot use its PostgreSQL database: {text}") from error


def _month(t_ms: int) -> datetime:
    return datetime.fromtimestamp(t_ms // 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _after(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
