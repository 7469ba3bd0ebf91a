"""Tables of the receiver: the records as they came, and the rows of the kinds it knows."""

import sqlite3
from collections.abc import Callable
from typing import Final

from sync.central.errors import CentralError

VERSION: Final = 3
"""Kept in the file as user_version."""

_TABLES: Final = """
CREATE TABLE epoch (
    id INTEGER PRIMARY KEY,             -- rises in the order in which epochs were first seen
    gateway TEXT NOT NULL,
    epoch TEXT NOT NULL,
    UNIQUE (gateway, epoch)
);
CREATE TABLE stream (
    epoch_id INTEGER NOT NULL REFERENCES epoch,
    stream TEXT NOT NULL,
    acked_through INTEGER NOT NULL,
    hash BLOB NOT NULL,                 -- chain hash after acked_through
    received_ms INTEGER NOT NULL,       -- when its last new record came
    fork TEXT,                          -- the last contradiction, kept until a person deals with it
    fork_ms INTEGER,
    PRIMARY KEY (epoch_id, stream)
) WITHOUT ROWID;
CREATE TABLE record (
    epoch_id INTEGER NOT NULL REFERENCES epoch,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL,                 -- chain hash after this record
    PRIMARY KEY (epoch_id, stream, seq)
) WITHOUT ROWID;
CREATE TABLE register (
    id INTEGER PRIMARY KEY,
    gateway TEXT NOT NULL,
    device TEXT NOT NULL,
    register TEXT NOT NULL,
    flow TEXT NOT NULL,
    UNIQUE (gateway, device, register, flow)
);
CREATE TABLE interval (
    epoch_id INTEGER NOT NULL REFERENCES epoch,
    seq INTEGER NOT NULL,               -- record of the stream "ledger"
    row INTEGER NOT NULL,               -- row in that record
    register_id INTEGER NOT NULL REFERENCES register,
    register_epoch INTEGER NOT NULL,
    t0_ms INTEGER NOT NULL,
    t1_ms INTEGER NOT NULL,
    energy_mWh INTEGER,                 -- null: missing
    raw_begin TEXT,
    raw_end TEXT,
    class INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (epoch_id, seq, row)
) WITHOUT ROWID;
CREATE TABLE entry (
    epoch_id INTEGER NOT NULL REFERENCES epoch,
    seq INTEGER NOT NULL,
    row INTEGER NOT NULL,
    intervals_seq INTEGER NOT NULL,
    interval_row INTEGER NOT NULL,
    register_id INTEGER NOT NULL REFERENCES register,
    lens TEXT NOT NULL,
    account TEXT NOT NULL,
    method TEXT NOT NULL,
    factor TEXT,
    emitted_ng TEXT NOT NULL,           -- decimal: may be beyond 64 bits in a restatement
    baseline_ng TEXT,
    class INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    PRIMARY KEY (epoch_id, seq, row),
    FOREIGN KEY (epoch_id, intervals_seq, interval_row) REFERENCES interval
) WITHOUT ROWID;
"""
_RESTATEMENT: Final = """
CREATE TABLE restatement (
    epoch_id INTEGER NOT NULL REFERENCES epoch,
    seq INTEGER NOT NULL,
    row INTEGER NOT NULL,
    day TEXT NOT NULL,                  -- of the site, YYYY-MM-DD
    register_id INTEGER NOT NULL REFERENCES register,
    lens TEXT NOT NULL,
    account TEXT NOT NULL,
    method TEXT NOT NULL,
    factor TEXT NOT NULL,
    t0_ms INTEGER NOT NULL,
    t1_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL,              -- 1: what is taken back, 2: what stands instead
    rows INTEGER NOT NULL,              -- entries that it sums up
    energy_mWh INTEGER NOT NULL,
    class INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    emitted_ng TEXT NOT NULL,
    baseline_ng TEXT,
    hash TEXT NOT NULL,                 -- over those entries, as the contract says
    PRIMARY KEY (epoch_id, seq, row)
) WITHOUT ROWID;
"""

_TOMBSTONE: Final = """
CREATE TABLE tombstone (
    epoch_id INTEGER NOT NULL REFERENCES epoch,
    stream TEXT NOT NULL,
    seq INTEGER NOT NULL,               -- the last record that it stands for
    first_seq INTEGER NOT NULL,         -- the first one that did not come
    reason TEXT NOT NULL,
    sums_known INTEGER NOT NULL,
    PRIMARY KEY (epoch_id, stream, seq)
) WITHOUT ROWID;
CREATE TABLE tombstone_sum (
    epoch_id INTEGER NOT NULL REFERENCES epoch,
    seq INTEGER NOT NULL,               -- of the stream "ledger"
    register_id INTEGER NOT NULL REFERENCES register,
    lens TEXT NOT NULL,
    account TEXT NOT NULL,
    rows INTEGER NOT NULL,              -- entries and restatements
    energy_mWh INTEGER NOT NULL,
    emitted_ng TEXT NOT NULL,
    baseline_ng TEXT,
    PRIMARY KEY (epoch_id, seq, register_id, lens, account)
) WITHOUT ROWID;
"""


def prepare(conn: sqlite3.Connection, take_up: Callable[[sqlite3.Connection, str], None]) -> None:
    """Make the tables in a new file, or bring those of an earlier version up to date.

    `take_up(conn, kind)` makes the rows of a kind that the earlier version kept as bytes only. Raises CentralError
    for a file of another program or a later version.
    """
    ((found,),) = conn.execute("PRAGMA user_version")
    ((tables,),) = conn.execute("SELECT count(*) FROM sqlite_schema")
    if found == 0 and tables == 0:
        _apply(conn, f"{_TABLES} {_RESTATEMENT} {_TOMBSTONE}")
        conn.execute("COMMIT")
    elif found in (1, 2):
        _apply(conn, f"{_RESTATEMENT if found == 1 else ''} {_TOMBSTONE}")
        if found == 1:
            take_up(conn, "restatement")
        conn.execute("COMMIT")
    elif found != VERSION:
        raise CentralError(f"the file is not a huxi receiver of version {VERSION} (it says {found}): choose another")


def _apply(conn: sqlite3.Connection, tables: str) -> None:
    conn.executescript(f"BEGIN IMMEDIATE; {tables} PRAGMA user_version = {VERSION};")
