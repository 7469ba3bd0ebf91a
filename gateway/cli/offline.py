"""The data folder of a stopped gateway: the same answers about its ledger as the daemon would give."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gateway.carbon.entries import recheck
from gateway.carbon.factors import FactorSet, shipped
from gateway.cli.errors import CommandError
from gateway.cli.output import progress_to
from gateway.store import ledger, outbox, totals
from gateway.store.database import open_offline
from gateway.store.entry_text import csv_heading, csv_lines, entry_json, json_lines
from gateway.store.errors import StoreError
from gateway.store.verification import Verification


@contextmanager
def stopped_gateway(data_dir: Path) -> Iterator["StoppedGateway"]:
    """The folder, read-only. CommandError when a gateway works on it, or when it cannot be read."""
    try:
        with closing(open_offline(data_dir)) as conn:
            yield StoppedGateway(conn, data_dir)
    except StoreError as error:
        raise CommandError(str(error)) from None
    except sqlite3.Error as error:
        raise CommandError(
            f"the database in {data_dir} cannot be read ({error}): restore a copy of the folder"
        ) from None


class StoppedGateway:
    """Questions to one data folder; made by `stopped_gateway`."""

    def __init__(self, conn: sqlite3.Connection, data_dir: Path) -> None:
        self._conn = conn
        self._data_dir = data_dir

    def buffer(self) -> dict[str, Any]:
        """What the store holds and what still waits for the receiver."""
        stats = outbox.stats(self._conn)
        return {
            "records": stats.records,
            "backlog_records": stats.backlog_records,
            "bytes": stats.bytes,
            "oldest_unsent_ms": stats.oldest_unsent_ms,
            "disk_free_bytes": shutil.disk_usage(self._data_dir).free,
        }

    def totals(self, first: str | None, last: str | None) -> dict[str, Any]:
        """Sums of each register in each account over the days first to last (YYYY-MM-DD, both included)."""
        first, last = first or "0001-01-01", last or "9999-12-31"
        sums = totals.by_register(totals.query(self._conn, first, last))
        return {
            "lens": sums[0].lens if sums else None,
            "registers": [totals.as_json(total) for total in sums],
            "from": first,
            "to": last,
        }

    def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        """The newest entries, and where to go on."""
        entries, next_before_seq = ledger.page(self._conn, limit, before_seq)
        return {"entries": [entry_json(entry) for entry in entries], "next_before_seq": next_before_seq}

    def verify(self) -> dict[str, Any]:
        """Walk everything: chains, entries against intervals and factors, day totals."""
        walk = Verification(partial(recheck, factors=FactorSet.load(shipped())))
        with progress_to(outbox.stats(self._conn).records, "verifying") as bar:
            while walk.advance(self._conn):
                bar.update(walk.records - bar.pos)
        return {"ok": not walk.problems, "records": walk.records, "problems": walk.problems}

    def export(self, form: str) -> Iterator[bytes]:
        """The whole ledger as lines of `form`, csv or jsonl."""
        if form == "csv":
            yield csv_heading()
        lines = csv_lines if form == "csv" else json_lines
        step = ledger.after(self._conn, 0)
        while step is not None:
            seq, entries = step
            yield lines(entries)
            step = ledger.after(self._conn, seq)
