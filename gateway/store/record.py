"""One record of the ledger: its kind, its block, and whether it is still whole."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from gateway.store.body import unpack
from gateway.store.errors import StoreError
from sync.errors import Malformed
from sync.wire import Block, decode_block

STREAM: Final = "ledger"
INTERVALS: Final = "intervals"
ENTRIES: Final = "entries"
RESTATEMENT: Final = "restatement"
HEADER: Final = "header"
"""Kind of a record that was pruned."""


class Pruned(NamedTuple):
    """How far the ledger was pruned."""

    through: int
    """Last record of which only the header is left, 0 when none."""
    sums_in: int
    """The header that holds the sums of those records that were booked on its day."""


def pruned(conn: sqlite3.Connection) -> Pruned:
    """How far the ledger was pruned."""
    row = conn.execute("SELECT value FROM meta WHERE key = 'pruned'").fetchone()
    return Pruned(0, 0) if row is None else Pruned(*map(int, row[0].split()))


def read(conn: sqlite3.Connection, seq: int) -> Block:
    """One record of the ledger, decoded. Raises StoreError when it is missing or damaged."""
    row = conn.execute("SELECT body FROM record WHERE stream = ? AND seq = ?", (STREAM, seq)).fetchone()
    with readable(seq):
        if row is None:
            raise Malformed("it is missing")
        return decoded(row[0])


def decoded(body: object) -> Block:
    """The block in the body of a record, whatever SQLite holds there. Raises Malformed."""
    return decode_block(unpack(body))


@contextmanager
def readable(seq: int) -> Iterator[None]:
    """Turns what a malformed record of the ledger raises into a StoreError that names it."""
    try:
        yield
    except (Malformed, LookupError, TypeError, ValueError) as error:
        raise StoreError(f"record {seq} of the ledger cannot be read ({error}); run `huxi ledger verify`") from error
