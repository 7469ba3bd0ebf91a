"""What the web room needs to know of the gateway; `gateway.view` fulfils it, tests use a fake."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any, Literal, Protocol

ExportFormat = Literal["csv", "jsonl"]


class Site(Protocol):
    """The running gateway, seen from outside.

    Each answer is a plain dict in the shape of the model of the same name in `gateway.web.models`; what does
    not fit the model is refused, not rounded. Methods without `async` read memory only and return at once.
    A sick part of the gateway is data (`status()["problems"]`), not an exception. A `WebError` becomes the
    answer of its status; anything else is a fault and becomes 500.
    """

    async def status(self) -> dict[str, Any]:
        """`models.Status`."""

    def devices(self) -> dict[str, Any]:
        """`models.Devices`."""

    def live(self) -> dict[str, Any]:
        """`models.Live`: the newest values. Asked once a second for each open page."""

    def history(self, device: str, minutes: int) -> dict[str, Any]:
        """`models.History` of the last `minutes` (1 to 60).

        Raises `NotFound` when no device has that name.
        """

    async def totals(self, first: date, last: date) -> dict[str, Any]:
        """`models.Totals` over the days first to last, both inclusive, in the site's time zone."""

    async def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        """`models.Entries`, newest first: those of records below `before_seq`, or the newest when None.

        A record is never cut, so there may be more than `limit` (1 to 1000) when one record holds more.
        """

    async def verify(self) -> dict[str, Any]:
        """`models.Verification` of the whole ledger."""

    def export(self, format: ExportFormat) -> AsyncIterator[bytes]:
        """The whole ledger in chunks of whole lines."""

    async def sync_now(self) -> dict[str, Any]:
        """`models.Drained`: sends what waits, ignoring back-off, and says whether the buffer is drained."""
