"""What the web room needs to know of the ledger; `gateway.ledger_view` fulfils it, tests use a fake."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any, Literal, Protocol

ExportFormat = Literal["csv", "jsonl"]


class LedgerSite(Protocol):
    """The ledger of the running gateway, seen from outside; the rules are those of `gateway.web.site.Site`.

    Each answer is a plain dict in the shape of the model of the same name in `gateway.web.ledger_models`.
    """

    async def totals(self, first: date, last: date, lens: str | None, as_of: date | None) -> dict[str, Any]:
        """`models.Totals` over the days first to last, both inclusive, in the site's time zone.

        Under `lens`, or the site's main one when None; with `as_of`, only what was booked by the end of that day.
        """

    async def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        """`models.Entries`, newest first: those of records below `before_seq`, or the newest when None.

        A record is never cut, so there may be more than `limit` (1 to 1000) when one record holds more.
        """

    async def trace_day(
        self, day: date, device: str, register: str | None, account: str | None, lens: str | None
    ) -> dict[str, Any]:
        """`models.DayTrace` of a device's day; None: of every register or account, under the main lens."""

    async def trace_entry(self, seq: int, row: int) -> dict[str, Any]:
        """`models.EntryTrace` of an entry, or of a row of intervals. Raises `NotFound` when there is none."""

    async def verify(self) -> dict[str, Any]:
        """`models.Verification` of the whole ledger."""

    def export(self, format: ExportFormat, rebuilt: bool) -> AsyncIterator[bytes]:
        """The whole ledger in chunks of whole lines; `rebuilt`: computed anew from intervals and factors."""
