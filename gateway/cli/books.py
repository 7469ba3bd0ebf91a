"""Where the ledger commands ask: the running daemon, or the data folder of a stopped gateway."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from gateway.cli.client import DaemonClient, daemon


class Books(Protocol):
    """One gateway's ledger; the answers have the shape of the local API."""

    def totals(self, first: str | None, last: str | None) -> dict[str, Any]:
        """Sums over days (YYYY-MM-DD, both included); None leaves that end open."""
        ...

    def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        """The newest entries of records below `before_seq`, and where to go on."""
        ...

    def verify(self) -> dict[str, Any]:
        """What recomputing the whole ledger found."""
        ...

    def export(self, form: str) -> Iterator[bytes]:
        """The whole ledger as lines of `form`, csv or jsonl."""
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

    def totals(self, first: str | None, last: str | None) -> dict[str, Any]:
        days: dict[str, Any] = {name: day for name, day in (("from", first), ("to", last)) if day is not None}
        return self._client.get("/api/v1/ledger/totals", **days)

    def entries(self, limit: int, before_seq: int | None) -> dict[str, Any]:
        start: dict[str, Any] = {} if before_seq is None else {"before_seq": before_seq}
        return self._client.get("/api/v1/ledger/entries", limit=limit, **start)

    def verify(self) -> dict[str, Any]:
        return self._client.get("/api/v1/ledger/verify", timeout_s=None)

    def export(self, form: str) -> Iterator[bytes]:
        return self._client.stream("/api/v1/ledger/export", format=form)
