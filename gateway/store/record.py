"""One record of the ledger: its kind, its block, and whether it is still whole."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from gateway.store.body import unpack
from gateway.store.errors import StoreError
from sync.errors import Malformed
from sync.messages import GENESIS, chain
from sync.wire import Block, decode_block

STREAM: Final = "ledger"
INTERVALS: Final = "intervals"
ENTRIES: Final = "entries"
RESTATEMENT: Final = "restatement"
HEADER: Final = "header"
"""Kind of a record of which only sums are left: pruned, or one that never will be delivered."""
UNDELIVERED: Final = "undelivered"
"""Key in a header's meta: why the receiver never gets the records that it stands for; one of the next two."""
SUMS_KNOWN: Final = "sums_known"
"""Key in a header's meta: false when it stands for records that cannot be read, and their sums are not its own."""
EVICTED: Final = "evicted"
"""There was no room for them."""
QUARANTINED: Final = "quarantined"
"""They could not be read."""


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


def first_seq(seq: int, header: object) -> int:
    """The first record that a header stands for; `seq` is its own number, which is the last. Raises Malformed."""
    found = decoded(header).meta.get("first_seq", seq)
    if type(found) is not int or not 1 <= found <= seq:
        raise Malformed(f"header {seq} says that it begins at {found!r}")
    return found


UNKNOWN_HASH: Final = GENESIS
"""Hash of a header that stands for records of which not even the last one's hash is known."""


def follows(before: bytes, seq: int, kind: str, stored: object, after: bytes) -> bool:
    """Whether a record is the one that its hash says, whatever SQLite holds there; `before` is the hash before it.

    That cannot be told of a header, nor of the first record behind others that are lost.
    """
    if kind == HEADER or (seq > 1 and before == UNKNOWN_HASH):
        return True
    try:
        return chain(before, seq, unpack(stored)) == after
    except Malformed:
        return False


def is_of_kind(kind: str, stored: object) -> bool:
    """Whether a body says that it is of this kind, at little cost: the kind stands beside it, outside of its hash."""
    try:
        return b'"kind":"%s"' % kind.encode() in unpack(stored)
    except Malformed:
        return False


@contextmanager
def readable(seq: int) -> Iterator[None]:
    """Turns what a malformed record of the ledger raises into a StoreError that names it."""
    try:
        yield
    except (Malformed, LookupError, TypeError, ValueError) as error:
        raise StoreError(f"record {seq} of the ledger cannot be read ({error}); run `huxi ledger verify`") from error
