"""The ledger's part of the local API."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.responses import Response, StreamingResponse

from gateway.web import ledger_models as models
from gateway.web.errors import BadQuery
from gateway.web.ledger_queries import DayTraceQuery, EntriesQuery, EntryTraceQuery, ExportQuery, TotalsQuery
from gateway.web.ledger_site import LedgerSite
from gateway.web.operation import Operation, Query

_EXPORT_TYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


class LedgerApi:
    """The operations over one ledger."""

    def __init__(self, ledger: LedgerSite) -> None:
        self._ledger = ledger

    def operations(self) -> tuple[Operation, ...]:
        """All of them, in the order of the documentation."""
        return (
            Operation(
                path="/api/v1/ledger/totals",
                summary="Energy and carbon of whole days",
                handler=self._totals,
                answer=models.Totals,
                query=TotalsQuery,
            ),
            Operation(
                path="/api/v1/ledger/entries",
                summary="Ledger entries, newest first",
                handler=self._entries,
                answer=models.Entries,
                query=EntriesQuery,
            ),
            Operation(
                path="/api/v1/ledger/trace/day",
                summary="A device's day: its totals and the entries that they are the sums of",
                handler=self._trace_day,
                answer=models.DayTrace,
                query=DayTraceQuery,
            ),
            Operation(
                path="/api/v1/ledger/trace/entry",
                summary="One entry: how its amount follows, and everything it rests on",
                handler=self._trace_entry,
                answer=models.EntryTrace,
                query=EntryTraceQuery,
            ),
            Operation(
                path="/api/v1/ledger/verify",
                summary="Recompute and compare the whole ledger",
                handler=self._verify,
                answer=models.Verification,
            ),
            Operation(
                path="/api/v1/ledger/export",
                summary="The whole ledger as a file",
                handler=self._export,
                streams=tuple(_EXPORT_TYPES.values()),
                query=ExportQuery,
            ),
        )

    async def _totals(self, query: TotalsQuery) -> Mapping[str, Any]:
        if query.from_ > query.to:
            raise BadQuery(f"from={query.from_} is after to={query.to}", "give the earlier day as from")
        return await self._ledger.totals(query.from_, query.to, query.lens, query.as_of)

    async def _entries(self, query: EntriesQuery) -> Mapping[str, Any]:
        return await self._ledger.entries(query.limit, query.before_seq)

    async def _trace_day(self, query: DayTraceQuery) -> Mapping[str, Any]:
        return await self._ledger.trace_day(query.day, query.device, query.register_, query.account, query.lens)

    async def _trace_entry(self, query: EntryTraceQuery) -> Mapping[str, Any]:
        return await self._ledger.trace_entry(query.seq, query.row)

    async def _verify(self, query: Query) -> Mapping[str, Any]:
        return await self._ledger.verify()

    async def _export(self, query: ExportQuery) -> Response:
        chunks = self._ledger.export(query.format, query.rebuilt)
        first = await anext(chunks, b"")  # a fault before the first byte can still become a clear answer
        return StreamingResponse(
            _with_first(first, chunks),
            media_type=_EXPORT_TYPES[query.format],
            headers={
                "content-disposition": f'attachment; filename="huxi-ledger.{query.format}"',
                "cache-control": "no-store",
            },
        )


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
