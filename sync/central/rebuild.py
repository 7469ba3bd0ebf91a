"""The rows of all records made anew: what an update of the tables does, since the records are the truth."""

import logging
from typing import Final

import orjson

from sync.central import ingest
from sync.central.database import Database
from sync.errors import Rejected
from sync.messages import Record

_AT_ONCE: Final = 500
"""Records in memory at a time."""

_log = logging.getLogger("huxi.central")


def rows(db: Database) -> None:
    """Make the rows of all records that are held, in the caller's transaction; the tables of rows are empty."""
    after: tuple[object, ...] = (0, 0)
    while page := db.execute(
        "SELECT epoch_id, seq, gateway, kind, body FROM record JOIN epoch ON id = epoch_id "
        f"WHERE stream = 'ledger' AND (epoch_id, seq) > (?, ?) ORDER BY epoch_id, seq LIMIT {_AT_ONCE}",
        after,
    ):
        for epoch_id, seq, gateway, kind, body in page:
            try:
                record = Record(stream="ledger", seq=seq, kind=kind, body=body)
                ingest.add_rows(db, gateway, epoch_id, [record], [orjson.loads(body)])
            except Rejected as error:  # it was acknowledged: its bytes stay, and somebody has to look
                _log.error("held_record_unreadable gateway=%s text=%s", gateway, error)
        after = page[-1][:2]
