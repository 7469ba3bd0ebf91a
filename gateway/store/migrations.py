"""The schema of the database, as steps that are applied once and in order."""

import secrets
import sqlite3

from sqlite_utils import Database, Migrations

from gateway.store import registers, totals
from gateway.store.errors import StoreError
from gateway.store.schema import STEPS

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    t0_ms INTEGER NOT NULL,
    t1_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE mark (
    stream TEXT PRIMARY KEY,
    acked_through INTEGER NOT NULL,
    head_seq INTEGER NOT NULL,
    head_hash BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE register (
    device TEXT NOT NULL,
    register TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (device, register)
) WITHOUT ROWID;
CREATE TABLE day_total (
    day TEXT NOT NULL,
    device TEXT NOT NULL,
    register TEXT NOT NULL,
    flow TEXT NOT NULL,
    lens TEXT NOT NULL,
    account TEXT NOT NULL,
    energy_mWh INTEGER NOT NULL,
    emitted_ng TEXT NOT NULL,
    baseline_ng TEXT,
    missing_ms INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (day, device, register, lens, account)
) WITHOUT ROWID;
"""

CONTRACT_USE = """
CREATE TABLE contract_use (
    device TEXT NOT NULL,
    register TEXT NOT NULL,
    year INTEGER NOT NULL,
    used_mWh INTEGER NOT NULL,
    PRIMARY KEY (device, register, year)
) WITHOUT ROWID
"""

UNDATED = """
CREATE TABLE boot (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    offset_ms INTEGER,
    source TEXT
);
CREATE TABLE undated (
    boot INTEGER NOT NULL,
    number INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (boot, number)
) WITHOUT ROWID;
"""

REGISTER_STATES = """
CREATE TABLE register_states (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL
)
"""

SERIES = """
CREATE TABLE series_channel (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    point TEXT NOT NULL,
    unit TEXT NOT NULL,
    is_counter INTEGER NOT NULL
);
CREATE TABLE series_minute (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE series_quarter (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE series_raw (id INTEGER PRIMARY KEY, body BLOB NOT NULL)
"""


DAY_TOTAL = """
CREATE TABLE day_total (
    id INTEGER PRIMARY KEY,
    day TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL
)
"""


RESUME = """
CREATE TABLE resume (
    device TEXT NOT NULL,
    register TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (device, register)
) WITHOUT ROWID
"""

SET_ASIDE = """
CREATE TABLE set_aside (
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    t_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID
"""


def migrate(conn: sqlite3.Connection, version: int) -> None:
    """Brings the database to `version`, all steps or none. A new one gets its epoch, a random name.

    Raises StoreError for a ledger in a form that was given up.
    """
    db = Database(conn, execute_plugins=False)
    steps = Migrations("huxi")
    all_steps = (_first, _contract_use, _undated, _packed_states, _series, _packed_totals, _resume, _set_aside)
    for name, step in zip(STEPS, all_steps, strict=True):
        steps(name=name)(step)
    with db.atomic():
        steps.apply(db)
        db.execute(f"PRAGMA user_version = {version:d}")


def _first(db: Database) -> None:
    for statement in SCHEMA.split(";"):
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES ('epoch', ?)", [secrets.token_hex(8)])


def _contract_use(db: Database) -> None:
    if db.execute("SELECT 1 FROM record WHERE stream = 'ledger' LIMIT 1").fetchone():
        raise StoreError(
            "the data folder holds a ledger of a development version, in a form that is not read any more; "
            "move the folder aside and start with a new one"
        )
    db.execute(CONTRACT_USE)


def _undated(db: Database) -> None:
    for statement in UNDATED.split(";"):
        db.execute(statement)


def _packed_states(db: Database) -> None:
    db.execute(REGISTER_STATES)
    registers.put(db.conn, db.execute("SELECT device, register, state FROM register").fetchall())
    db.execute("DROP TABLE register")


def _series(db: Database) -> None:
    for statement in SERIES.split(";"):
        db.execute(statement)


def _packed_totals(db: Database) -> None:
    rows = db.execute(
        "SELECT day, device, register, flow, lens, account, energy_mWh, emitted_ng, baseline_ng, missing_ms, rows"
        " FROM day_total"
    ).fetchall()
    db.execute("DROP TABLE day_total")
    db.execute(DAY_TOTAL)
    names = ("day", "device", "register", "flow", "lens", "account")
    for *of_row, energy_mWh, emitted_ng, baseline_ng, missing_ms, count in rows:
        total = totals.from_meta(
            dict(zip(names, of_row, strict=True))
            | {"energy_mWh": energy_mWh, "emitted_ng": emitted_ng, "baseline_ng": baseline_ng}
            | {"missing_ms": missing_ms, "rows": count}
        )
        totals.add(db.conn, [total])


def _resume(db: Database) -> None:
    db.execute(RESUME)


def _set_aside(db: Database) -> None:
    db.execute(SET_ASIDE)
