"""Verification: the whole store walked from first to last record, in steps that leave room for writers.

Checked are the chain of every stream, what each record of the ledger says, and the day totals.
"""

import sqlite3
from contextlib import closing
from itertools import pairwise
from typing import Any, Final

from gateway.store.audit.difference import utc
from gateway.store.audit.ledger_check import Auditor, LedgerCheck, StoredRecord
from gateway.store.errors import StoreError
from gateway.store.outbox import STREAMS, Head, head
from gateway.store.record import HEADER, STREAM, first_seq, follows
from sync.errors import Malformed
from sync.messages import GENESIS

DAMAGE: Final = (
    *(TypeError, ValueError, LookupError, AttributeError, ArithmeticError, OSError, sqlite3.Error),
    StoreError,
    Malformed,
)
"""What damaged cells of the database raise where they are used."""


class Verification:
    """One walk. Call `advance` until it returns False, then read `problems`; all in order of the records."""

    def __init__(self, auditor: Auditor) -> None:
        self.records = 0
        """Records looked at so far."""
        self.problems: list[str] = []
        """What is wrong, one sentence each, naming record and row; empty for a sound store."""
        self.heads: dict[str, Head] = {}
        """Where each stream ended, to be compared with what the receiver holds."""
        self._streams = list(STREAMS)
        self._seq = 0
        self._hash = GENESIS
        self._ledger = LedgerCheck(auditor, lambda seq, what: self._say(STREAM, seq, what))

    def advance(self, conn: sqlite3.Connection, records: int = 200) -> bool:
        """Looks at the next records; False when all was seen. What is appended in between is seen as well."""
        try:
            return self._advance(conn, records)
        except DAMAGE as error:
            # Whatever lies there has another form than anything that was ever written: nothing can be read on.
            self._say(self._streams[0], self._seq + 1, f"it, or what belongs to it, cannot be read ({error})")
            return False

    def _advance(self, conn: sqlite3.Connection, records: int) -> bool:
        stream = self._streams[0]
        if stream == STREAM and self._ledger.go_on(conn):
            return True
        before = self.records
        rows = conn.execute(
            "SELECT seq, kind, t0_ms, t1_ms, body, hash FROM record WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
            (stream, self._seq, records),
        )
        with closing(rows):
            for *fields, stored_hash in rows:
                record = StoredRecord(*fields)
                self._link(stream, record, stored_hash)
                if stream == STREAM and self._ledger.take(conn, record):
                    break
        if self.records > before:
            return True
        # Sums over damaged records say nothing new.
        if stream == STREAM and not self.problems and self._ledger.sums.compare_on(conn):
            return True
        self._finish(conn, stream)
        return bool(self._streams)

    def report(self) -> dict[str, Any]:
        """What the walk found, as the API gives it."""
        heads = {stream: {"seq": at.seq, "hash": at.hash.hex()} for stream, at in self.heads.items()}
        return {"ok": not self.problems, "records": self.records, "problems": self.problems, "heads": heads}

    def _link(self, stream: str, record: StoredRecord, stored_hash: bytes) -> None:
        self.records += 1
        seq, body = record.seq, record.body
        first = first_seq(seq, body) if record.kind == HEADER else seq
        if first != self._seq + 1:
            self._missing(stream, self._seq + 1, first - 1)
        elif not follows(self._hash, seq, record.kind, body, stored_hash):
            span = f"{record.kind}, {utc(record.t0_ms)} to {utc(record.t1_ms)}"
            self._say(stream, seq, f"its bytes do not match its hash ({span})")
        # Whatever was found, the walk goes on from here: one damage is one problem.
        self._seq, self._hash = seq, stored_hash

    def _finish(self, conn: sqlite3.Connection, stream: str) -> None:
        at = head(conn, stream)
        self._marks(conn, stream, at)
        if at.seq > self._seq:
            self._missing(stream, self._seq + 1, at.seq)
        elif at.hash != self._hash:
            self._say(stream, self._seq, "its hash is not the one at the head of the stream")
        if stream == STREAM:
            self._ledger.finish(conn)
            if not self.problems:
                self.problems += self._ledger.kept_problems(conn)
            self._ledger.sums.close()
        self.heads[stream] = at
        self._streams.pop(0)
        self._seq, self._hash = 0, GENESIS

    def _marks(self, conn: sqlite3.Connection, stream: str, at: Head) -> None:
        """The mark lies inside the stream, and nothing lies outside of it."""
        if at.seq < self._seq:
            self._say(stream, self._seq, f"the stream is said to end at {at.seq}")
        if not 0 <= at.acked_through <= at.seq:
            self._say(stream, at.seq, f"the receiver is said to hold {at.acked_through}")
        (outside,) = conn.execute("SELECT count(*) FROM record WHERE stream = ? AND seq < 1", (stream,)).fetchone()
        if outside:
            self._say(stream, 0, f"{outside} records lie before the first")
        if stream == self._streams[-1] and (foreign := _foreign(conn)):
            self.problems.append(f"stream {foreign}: there is no such stream")

    def _missing(self, stream: str, first: int, last: int) -> None:
        which = f"record {first} is" if first == last else f"records {first} to {last} are"
        self.problems.append(f"stream {stream}: {which} missing")

    def _say(self, stream: str, seq: int, what: str) -> None:
        self.problems.append(f"stream {stream}, record {seq}: {what}")


def _foreign(conn: sqlite3.Connection) -> str | None:
    """A stream that no gateway writes, found by leaps over those that it does."""
    for after, before in pairwise(("", *sorted(STREAMS), None)):
        row = conn.execute(
            "SELECT min(stream) FROM record WHERE stream > ? AND (? IS NULL OR stream < ?)", (after, before, before)
        ).fetchone()
        if row[0] is not None:
            return str(row[0])
    return None


def verify(conn: sqlite3.Connection, auditor: Auditor) -> list[str]:
    """All problems of a store at once; empty for a sound one. For a stopped gateway: it reads all at once."""
    walk = Verification(auditor)
    while walk.advance(conn):
        pass
    return walk.problems
