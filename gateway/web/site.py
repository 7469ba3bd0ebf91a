"""What the web room needs to know of the gateway; `gateway.view` fulfils it, tests use a fake."""

from typing import Any, Protocol

from gateway.web.desk_site import DeskSite
from gateway.web.ledger_site import LedgerSite


class Site(Protocol):
    """The running gateway, seen from outside.

    Each answer is a plain dict in the shape of the model of the same name in `gateway.web.models`; what does
    not fit the model is refused, not rounded. Methods without `async` read memory only and return at once.
    A sick part of the gateway is data (`status()["problems"]`), not an exception. A `WebError` becomes the
    answer of its status; anything else is a fault and becomes 500.
    """

    @property
    def ledger(self) -> LedgerSite:
        """Its ledger."""

    @property
    def desk(self) -> DeskSite:
        """Where a person acts on the ledger."""

    async def status(self) -> dict[str, Any]:
        """`models.Status`."""

    async def devices(self) -> dict[str, Any]:
        """`models.Devices`."""

    def live(self) -> dict[str, Any]:
        """`models.Live`: the newest values. Asked once a second for each open page."""

    def history(self, device: str, minutes: int) -> dict[str, Any]:
        """`models.History` of the last `minutes` (1 to 60).

        Raises `NotFound` when no device has that name.
        """

    def relearn(self, device: str) -> dict[str, Any]:
        """`models.Relearning`: from its next poll on the device is asked for everything again.

        Raises `NotFound` when no device has that name.
        """

    async def trust_clock(self) -> dict[str, Any]:
        """`models.ClockTrusted`: the machine's clock is right now, a person says. Raises `Busy` when it cannot be."""

    async def chart(self, device: str, point: str | None, t0_ms: int, t1_ms: int) -> dict[str, Any]:
        """`models.Chart` of [t0_ms, t1_ms), at most 93 days; the device's power when no point is named.

        Raises `NotFound` when the device or the point does not exist.
        """

    async def sync_now(self) -> dict[str, Any]:
        """`models.Drained`: sends what waits, ignoring back-off, and says whether the buffer is drained."""
