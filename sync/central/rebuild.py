"""The rows of all records made anew: what an update of the tables does, since the records are the truth."""

import logging
from typing import Final

import orjson

from sync.central import ingest, tombstones
from sync.central.database import Database
from sync.errors import SyncError
from sync.messages import TOMBSTONE, Record
from sync.wire import read_tombstone

_AT_ONCE: Final = 500
"""Records in memory at a time."""

_log = logging.getLogger("huxi.central")


def rows(db: Database) -> None:
    """Make the rows of all records that are held, in the caller's transaction; the tables of rows are empty."""
    after: tuple[int, str, int] = (0, "", 0)
    while page := db.execute(
        "SELECT epoch_id, stream, seq, gateway, kind, body FROM record JOIN epoch ON id = epoch_id "
        f"WHERE (epoch_id, stream, seq) > (?, ?, ?) ORDER BY epoch_id, stream, seq LIMIT {_AT_ONCE}",
        after,
    ):
        for epoch_id, stream, seq, gateway, kind, body in page:
            mark = after[2] if after[:2] == (epoch_id, stream) else 0
            after = (epoch_id, stream, seq)
            try:
                _make(db, gateway, epoch_id, Record(stream=stream, seq=seq, kind=kind, body=body), mark)
            except SyncError as error:  # it was acknowledged: its bytes stay, and somebody has to look
                _log.error("held_record_unreadable gateway=%s text=%s", gateway, error)


def _make(db: Database, gateway: str, epoch_id: int, record: Record, mark: int) -> None:
    if record.kind == TOMBSTONE:
        stone, _ = read_tombstone(record.body)
        tombstones.add(db, gateway, epoch_id, record, stone.first_seq, mark)
    elif record.stream == "ledger":
        ingest.add_rows(db, gateway, epoch_id, [record], [orjson.loads(record.body)])
