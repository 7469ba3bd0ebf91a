"""The data folder of a stopped gateway: the same answers about its ledger as the daemon would give."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor_set import FactorSet, load_all
from gateway.carbon.proof.auditor import Auditor
from gateway.carbon.proof.entry_trace import EntryTrace
from gateway.carbon.proof.rebuild import Rebuilder
from gateway.cli.errors import CommandError
from gateway.cli.output import progress_to
from gateway.store import outbox, totals
from gateway.store.audit.verification import Verification
from gateway.store.database import open_offline
from gateway.store.errors import StoreError
from gateway.store.ledger import pages as ledger
from gateway.store.ledger.as_reported import AsReported
from gateway.store.ledger.day_trace import DayTrace, Subject
from gateway.store.ledger.entry_text import csv_heading, csv_lines, entries_json, json_lines
from gateway.store.ledger.pages import Scope, Walk, newest_scope
from gateway.store.site_day import end_ms


@contextmanager
def stopped_gateway(data_dir: Path) -> Iterator["StoppedGateway"]:
    """The folder, read-only. CommandError when a gateway works on it, or when it cannot be read."""
    try:
        with closing(open_offline(data_dir)) as conn:
            yield StoppedGateway(conn, data_dir)
    except StoreError as error:
        raise CommandError(str(error)) from None
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where damage is in a message or a name
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

    def totals(self, first: date | None, last: date | None, lens: str | None, as_of: date | None) -> dict[str, Any]:
        """Sums of each register in each account over the days first to last, both included."""
        first, last = first or date.min, last or date.max
        scope = self._scope()
        if as_of is None:
            sums = totals.query(self._conn, first.isoformat(), last.isoformat())
        else:
            reported = AsReported(first, last, end_ms(as_of, scope.zone))
            self._finish(reported)
            sums = reported.sums
        return totals.answer(sums, lens=lens or scope.lens, first=first, last=last, as_of=as_of)

    def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        """The newest entries, and where to go on."""
        return entries_json(ledger.page(self._conn, limit, before_seq))

    def trace_day(
        self, day: date, device: str, register: str | None, account: str | None, lens: str | None
    ) -> dict[str, Any]:
        """The totals of a device's day and the entries that they are the sums of."""
        trace = DayTrace(Subject(day, device, register, account, lens or self._scope().lens))
        self._finish(trace)
        return trace.answer()

    def trace_entry(self, seq: int, row: int) -> dict[str, Any]:
        """One entry, or row of intervals, and everything it rests on."""
        trace = EntryTrace(seq, row, self._factors())
        self._finish(trace)
        return trace.answer()

    def verify(self) -> dict[str, Any]:
        """Walk everything: chains, entries against intervals and factors, day totals."""
        walk = Verification(Auditor(self._factors()))
        (records,) = self._conn.execute("SELECT count(*) FROM record").fetchone()  # no mark is trusted here
        with progress_to(records, "verifying") as bar:
            while walk.advance(self._conn):
                bar.update(walk.records - bar.pos)
        return walk.report()

    def export(self, form: str, rebuilt: bool) -> Iterator[bytes]:
        """The whole ledger as lines of `form`, csv or jsonl; `rebuilt`: computed anew."""
        if form == "csv":
            yield csv_heading()
        lines = csv_lines if form == "csv" else json_lines
        rebuild = Rebuilder(self._factors()) if rebuilt else None
        step = ledger.after(self._conn, 0, rebuild)
        while step is not None:
            seq, entries = step
            yield lines(entries)
            step = ledger.after(self._conn, seq, rebuild)

    def _scope(self) -> Scope:
        return newest_scope(self._conn) or Scope("location", ZoneInfo("UTC"))

    def _factors(self) -> FactorSet:
        try:
            return load_all(self._data_dir)
        except FactorError as error:
            raise CommandError(str(error)) from None

    def _finish(self, walk: Walk) -> None:
        while walk.advance(self._conn):
            pass
