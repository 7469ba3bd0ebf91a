"""Tables of the receiver, for both databases: the records as they came, and the rows of the kinds it knows."""

from typing import Final

VERSION: Final = 5
"""Of the tables; kept in the database."""

ROW_TABLES: Final = ("interval", "entry", "restatement")
"""What follows from records and can be made from them again."""
GROWING: Final = ("record", *ROW_TABLES)
"""What grows without end: a server lays these tables apart by time."""

RECORDS: Final = """
CREATE TABLE epoch (
    id {id},                            -- rises in the order in which epochs were first seen
    gateway TEXT NOT NULL,
    epoch TEXT NOT NULL,
    UNIQUE (gateway, epoch)
);
CREATE TABLE stream (
    epoch_id INTEGER NOT NULL REFERENCES epoch,
    stream TEXT NOT NULL,
    acked_through BIGINT NOT NULL,
    hash {bytes} NOT NULL,              -- chain hash after acked_through
    received_ms BIGINT NOT NULL,        -- when its last new record came
    fork TEXT,                          -- the last contradiction, kept until a person deals with it
    fork_ms BIGINT,
    PRIMARY KEY (epoch_id, stream)
);
CREATE TABLE record (
    epoch_id INTEGER NOT NULL,
    stream TEXT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    body {bytes} NOT NULL,
    hash {bytes} NOT NULL,              -- chain hash after this record
    received_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (epoch_id, stream, seq{and_received_ms})
) {apart_by_received_ms};
"""

REFUSAL: Final = """
CREATE TABLE refusal (                  -- the last batch of a stream that was not taken, and why
    gateway TEXT NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL,
    refused_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, stream)
);
"""

ROWS: Final = """
CREATE TABLE register (
    id {id},
    gateway TEXT NOT NULL,
    device TEXT NOT NULL,
    register TEXT NOT NULL,
    flow TEXT NOT NULL,
    UNIQUE (gateway, device, register, flow)
);
CREATE TABLE line (                     -- what entries have in common
    id {id},
    gateway TEXT NOT NULL,
    lens TEXT NOT NULL,
    account TEXT NOT NULL,
    method TEXT NOT NULL,
    factor TEXT NOT NULL,               -- empty: the method needs none
    UNIQUE (gateway, lens, account, method, factor)
);
CREATE TABLE interval (
    epoch_id INTEGER NOT NULL,
    seq BIGINT NOT NULL,                -- record of the stream "ledger"
    row INTEGER NOT NULL,               -- row in that record
    t0_ms BIGINT NOT NULL,
    t1_ms BIGINT NOT NULL,
    register_id INTEGER NOT NULL,
    register_epoch BIGINT NOT NULL,
    energy_mWh BIGINT,                  -- null: missing
    raw_begin {wide},
    raw_end {wide},
    class SMALLINT NOT NULL,
    flags BIGINT NOT NULL,
    kind SMALLINT NOT NULL,             -- 0 normal, 1 reversal, 2 restatement
    PRIMARY KEY (epoch_id, seq, row{and_t0_ms})
) {apart_by_t0_ms};
CREATE TABLE entry (
    epoch_id INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    row INTEGER NOT NULL,
    t0_ms BIGINT NOT NULL,              -- of its interval
    intervals_seq BIGINT NOT NULL,
    interval_row INTEGER NOT NULL,
    register_id INTEGER NOT NULL,
    line_id INTEGER NOT NULL,
    emitted_ng {wide} NOT NULL,
    baseline_ng {wide},
    class SMALLINT NOT NULL,
    flags BIGINT NOT NULL,
    PRIMARY KEY (epoch_id, seq, row{and_t0_ms})
) {apart_by_t0_ms};
CREATE TABLE restatement (
    epoch_id INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    row INTEGER NOT NULL,
    t0_ms BIGINT NOT NULL,
    t1_ms BIGINT NOT NULL,
    day TEXT NOT NULL,                  -- of the site, YYYY-MM-DD
    register_id INTEGER NOT NULL,
    line_id INTEGER NOT NULL,
    kind SMALLINT NOT NULL,             -- 1: what is taken back, 2: what stands instead
    rows BIGINT NOT NULL,               -- entries that it sums up
    energy_mWh BIGINT NOT NULL,
    emitted_ng {wide} NOT NULL,
    baseline_ng {wide},
    class SMALLINT NOT NULL,
    flags BIGINT NOT NULL,
    hash TEXT NOT NULL,                 -- over those entries, as the contract says
    PRIMARY KEY (epoch_id, seq, row{and_t0_ms})
) {apart_by_t0_ms};
"""

ASIDE: Final = """
CREATE TABLE coverage (
    register_id INTEGER PRIMARY KEY,
    state BIGINT NOT NULL,              -- as the contract says; 0: in time
    since_ms BIGINT,                    -- until when the register is closed; null: never read
    at_ms BIGINT NOT NULL               -- when that was told last
);
CREATE TABLE tombstone (
    epoch_id INTEGER NOT NULL,
    stream TEXT NOT NULL,
    seq BIGINT NOT NULL,                -- the last record that it stands for
    first_seq BIGINT NOT NULL,          -- the first one that did not come
    reason TEXT NOT NULL,
    sums_known SMALLINT NOT NULL,       -- 0: nobody knows what is missing
    PRIMARY KEY (epoch_id, stream, seq)
);
CREATE TABLE tombstone_sum (
    epoch_id INTEGER NOT NULL,
    seq BIGINT NOT NULL,                -- of the stream "ledger"
    register_id INTEGER NOT NULL,
    lens TEXT NOT NULL,
    account TEXT NOT NULL,
    rows BIGINT NOT NULL,               -- entries and restatements
    energy_mWh {wide} NOT NULL,
    emitted_ng {wide} NOT NULL,
    baseline_ng {wide},
    PRIMARY KEY (epoch_id, seq, register_id, lens, account)
);
"""

ACCESS: Final = """
CREATE TABLE access (
    name TEXT NOT NULL,
    role TEXT NOT NULL,                 -- gateway: delivers and reads what is its own; reader: reads
    tenant TEXT,                        -- null: a reader of all tenants
    site TEXT,                          -- of a gateway
    digest {bytes} NOT NULL UNIQUE,     -- SHA-256 of the token, which is kept nowhere
    added_ms BIGINT NOT NULL,
    revoked_ms BIGINT,
    PRIMARY KEY (role, name)
);
"""
