"""Epochs: which buffer of this gateway a record belongs to. Numbers go on from one to the next, names do not."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.store.outbox import STREAMS, head
from sync.messages import EPOCH

UNKNOWN: Final = "0" * 16
"""Name of an epoch whose own name was lost: nothing of it is sent any more."""


class Epoch(NamedTuple):
    """One buffer."""

    name: str
    """16 hex digits."""
    first: dict[str, int]
    """First record of each stream."""


def load(conn: sqlite3.Connection) -> list[Epoch]:
    """All epochs of a store, the newest last."""
    found = dict(conn.execute("SELECT key, value FROM meta WHERE key IN ('epoch', 'epochs')"))
    return parse(found["epoch"], found.get("epochs"))


def parse(name: str, earlier: str | None) -> list[Epoch]:
    """The epochs from what the store keeps of them. Raises LookupError, TypeError or ValueError for anything else."""
    if not EPOCH.fullmatch(name):
        raise ValueError("it is no epoch")
    if earlier is None:
        return [Epoch(name, dict.fromkeys(STREAMS, 1))]
    return [Epoch(str(each), {stream: int(first[stream]) for stream in STREAMS}) for each, first in json.loads(earlier)]


def begin(conn: sqlite3.Connection, before: Sequence[Epoch]) -> None:
    """From here on records belong to the store's own epoch, what it holds to those before; the caller's transaction."""
    (name,) = conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    own = Epoch(name, {stream: head(conn, stream).seq + 1 for stream in STREAMS})
    known = [*(before or [Epoch(UNKNOWN, dict.fromkeys(STREAMS, 1))]), own]
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('epochs', ?)", (json.dumps(known),))


def of_record(known: Sequence[Epoch], stream: str, seq: int) -> tuple[str, int, int | None]:
    """The epoch of a record: name, first record of the stream in it, and the last one; None in the newest."""
    last: int | None = None
    for epoch in reversed(known):
        if epoch.first[stream] <= seq:
            return epoch.name, epoch.first[stream], last
        last = epoch.first[stream] - 1
    raise ValueError(f"record {seq} of stream {stream} lies before every epoch")
