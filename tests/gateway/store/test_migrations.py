"""Migrations: a database of each older version becomes the same as a new one, and keeps what it holds."""

import sqlite3
from pathlib import Path

import pytest

from gateway.store import outbox, registers, totals
from gateway.store.database import SCHEMA_VERSION
from gateway.store.errors import StoreError
from gateway.store.migrations import migrate


def _back_to_version_1(conn: sqlite3.Connection) -> None:
    for table in (
        "contract_use",
        "resume",
        "set_aside",
        "boot",
        "undated",
        "register_states",
        "series_channel",
        "series_minute",
        "series_quarter",
        "series_raw",
        "day_total",
    ):
        conn.execute(f"DROP TABLE {table}")
    conn.execute(
        "CREATE TABLE register (device TEXT NOT NULL, register TEXT NOT NULL, state TEXT NOT NULL,"
        " PRIMARY KEY (device, register)) WITHOUT ROWID"
    )
    conn.execute(
        "CREATE TABLE day_total (day TEXT, device TEXT, register TEXT, flow TEXT, lens TEXT, account TEXT,"
        " energy_mWh INTEGER, emitted_ng TEXT, baseline_ng TEXT, missing_ms INTEGER, rows INTEGER)"
    )
    conn.execute("DELETE FROM _sqlite_migrations WHERE name > '0001-first'")
    conn.execute("PRAGMA user_version = 1")


def tables(conn: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(conn.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))


def test_a_database_of_version_1_gets_the_use_of_contracts() -> None:
    conn, new = (sqlite3.connect(":memory:", isolation_level=None) for _ in range(2))
    migrate(new, SCHEMA_VERSION)
    migrate(conn, SCHEMA_VERSION)
    _back_to_version_1(conn)
    (epoch,) = conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    conn.execute("INSERT INTO register VALUES ('d', 'r', 'state')")
    sums = ("2026-09-21", "d", "r", "import", "location", "inventory", 7, str(2**70), None, 0, 1)
    conn.execute(f"INSERT INTO day_total VALUES ({', '.join('?' * len(sums))})", sums)
    migrate(conn, SCHEMA_VERSION)
    (total,) = totals.query(conn, "0", "9")
    assert (total.energy_mWh, total.emitted_ng, total.baseline_ng) == (7, 2**70, None)
    assert tables(conn) == tables(new)
    assert conn.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone() == (epoch,)
    assert registers.load_all(conn) == [("d", "r", "state")]
    conn.close()
    new.close()


def test_a_ledger_in_the_form_of_version_1_is_refused_and_left_alone(tmp_path: Path) -> None:
    conn = sqlite3.connect(tmp_path / "huxi.db", isolation_level=None)
    migrate(conn, SCHEMA_VERSION)
    _back_to_version_1(conn)
    outbox.append(conn, "ledger", "intervals", 0, 1, b"{}")
    with pytest.raises(StoreError, match="move the folder aside"):
        migrate(conn, SCHEMA_VERSION)
    assert conn.execute("PRAGMA user_version").fetchone() == (1,)
    assert conn.execute("SELECT count(*) FROM record").fetchone() == (1,)
    conn.close()
