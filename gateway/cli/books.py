"""Where the ledger commands ask: the running daemon, or the data folder of a stopped gateway."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from gateway.cli.client import DaemonClient, daemon


class Books(Protocol):
    """One gateway's ledger; the answers have the shape of the local API."""

    def totals(self, first: date | None, last: date | None, lens: str | None, as_of: date | None) -> dict[str, Any]:
        """Sums over days, both included; None leaves that end open. See `web.ledger_site` for the rest."""
        ...

    def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        """The newest entries of records below `before_seq`, and where to go on."""
        ...

    def trace_day(
        self, day: date, device: str, register: str | None, account: str | None, lens: str | None
    ) -> dict[str, Any]:
        """The totals of a device's day and the entries that they are the sums of."""
        ...

    def trace_entry(self, seq: int, row: int) -> dict[str, Any]:
        """One entry, or row of intervals, and everything it rests on."""
        ...

    def verify(self) -> dict[str, Any]:
        """What recomputing the whole ledger found."""
        ...

    def export(self, form: str, rebuilt: bool) -> Iterator[bytes]:
        """The whole ledger as lines of `form`, csv or jsonl; `rebuilt`: computed anew."""
        ...


@contextmanager
def open_books(data: Path | None, config: Path, offline: Path | None) -> Iterator[Books]:
    """The ledger in the folder `offline` when given, else that of the daemon `data` or `config` names."""
    if offline is None:
        with daemon(data, config) as client:
            yield _DaemonBooks(client)
    else:
        from gateway.cli.offline import stopped_gateway

        with stopped_gateway(offline) as gateway:
            yield gateway


class _DaemonBooks:
    def __init__(self, client: DaemonClient) -> None:
        self._client = client

    def totals(self, first: date | None, last: date | None, lens: str | None, as_of: date | None) -> dict[str, Any]:
        return self._ask("totals", {"from": first, "to": last, "lens": lens, "as_of": as_of})

    def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        return self._ask("entries", {"limit": limit, "before_seq": before_seq})

    def trace_day(
        self, day: date, device: str, register: str | None, account: str | None, lens: str | None
    ) -> dict[str, Any]:
        subject = {"day": day, "device": device, "register": register, "account": account, "lens": lens}
        return self._ask("trace/day", subject)

    def trace_entry(self, seq: int, row: int) -> dict[str, Any]:
        return self._ask("trace/entry", {"seq": seq, "row": row})

    def verify(self) -> dict[str, Any]:
        return self._client.get("/api/v1/ledger/verify", timeout_s=None)

    def export(self, form: str, rebuilt: bool) -> Iterator[bytes]:
        return self._client.stream("/api/v1/ledger/export", format=form, rebuilt=str(rebuilt).lower())

    def _ask(self, what: str, query: Mapping[str, object]) -> dict[str, Any]:
        given = {name: str(value) for name, value in query.items() if value is not None}
        return self._client.get(f"/api/v1/ledger/{what}", timeout_s=None, **given)
