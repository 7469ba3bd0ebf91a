"""What the outside may know of the running gateway's ledger: fulfils `gateway.web.ledger_site.LedgerSite`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.proof.auditor import Auditor
from gateway.carbon.proof.entry_trace import EntryTrace
from gateway.carbon.proof.rebuild import Rebuilder
from gateway.store import totals
from gateway.store.audit.verification import Verification
from gateway.store.database import Store
from gateway.store.errors import NotInLedger
from gateway.store.ledger import pages as ledger
from gateway.store.ledger.as_reported import AsReported
from gateway.store.ledger.day_trace import DayTrace, Subject
from gateway.store.ledger.entry_text import csv_heading, csv_lines, entries_json, json_lines
from gateway.store.ledger.pages import Walk
from gateway.store.site_day import end_ms
from gateway.web.errors import NotFound
from gateway.web.ledger_site import ExportFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """Answers from the store, in the store's own thread; in long ones the writer comes in between the steps."""

    store: Store
    factors: FactorSet
    zone: ZoneInfo
    """Whose midnight ends a day."""
    lenses: Sequence[str]
    """Those that the site computes, the main one first."""

    async def totals(self, first: date, last: date, lens: str | None, as_of: date | None) -> dict[str, Any]:
        """`web.ledger_models.Totals`."""
        if as_of is None:
            sums = await self.store.read(totals.query, first.isoformat(), last.isoformat())
        else:
            reported = AsReported(first, last, end_ms(as_of, self.zone))
            await self._finish(reported)
            sums = reported.sums
        return totals.answer(sums, lens=lens or self.lenses[0], first=first, last=last, as_of=as_of)

    async def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        """`web.ledger_models.Entries`."""
        return entries_json(await self.store.read(ledger.page, limit, before_seq))

    async def trace_day(
        self, day: date, device: str, register: str | None, account: str | None, lens: str | None
    ) -> dict[str, Any]:
        """`web.ledger_models.DayTrace`."""
        trace = DayTrace(Subject(day, device, register, account, lens or self.lenses[0]))
        await self._finish(trace)
        return trace.answer()

    async def trace_entry(self, seq: int, row: int) -> dict[str, Any]:
        """`web.ledger_models.EntryTrace`; NotFound when the ledger has no such row."""
        trace = EntryTrace(seq, row, self.factors)
        try:
            await self._finish(trace)
        except NotInLedger as error:
            raise NotFound(error.error, error.remedy) from error
        return trace.answer()

    async def verify(self) -> dict[str, Any]:
        """`web.ledger_models.Verification`."""
        walk = Verification(Auditor(self.factors))
        await self._finish(walk)
        return walk.report()

    async def export(self, format: ExportFormat, rebuilt: bool) -> AsyncIterator[bytes]:
        """The whole ledger as lines, some records at a time; `rebuilt`: computed anew."""
        if format == "csv":
            yield csv_heading()
        lines = csv_lines if format == "csv" else json_lines
        rebuild = Rebuilder(self.factors) if rebuilt else None
        with self.store.walking():
            step = await self.store.read(ledger.after, 0, rebuild)
            while step is not None:
                seq, entries = step
                yield lines(entries)
                step = await self.store.read(ledger.after, seq, rebuild)

    async def _finish(self, walk: Walk) -> None:
        with self.store.walking():
            while await self.store.read(walk.advance):
                pass
