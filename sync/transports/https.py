"""The contract of docs/sync-contract.md over HTTPS, with a bearer token."""

from http import HTTPStatus
from typing import Final

from sync.errors import BadAnswer, Forked, Refused, Rejected, SyncError, Unreachable
from sync.messages import Ack, Batch
from sync.transports.base import Position, checked_ack, checked_gap, checked_position
from sync.transports.client import Answer, Client, Way, printable
from sync.wire import encode_batch, gzipped, tightly_gzipped, xzed

_IN_TROUBLE: Final = frozenset({408, 425, 429})
_REFUSED: Final = frozenset({401, 403})
_REJECTED: Final = frozenset({400, 413, 422})


class HttpsTransport:
    """Sends to the receiver behind `way` over one kept connection. Raises SyncError for files of no use."""

    def __init__(self, way: Way, token: str, *, saves_bytes: bool = False) -> None:
        """`saves_bytes` packs as tightly as the receiver takes it, at more work."""
        self._saves_bytes = saves_bytes
        self._takes_xz = False
        self._client = Client(
            way,
            {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/jsonl",
            },
        )
        self._url = self._client.url

    @property
    def wire_bytes(self) -> int:
        """See Transport."""
        return self._client.wire_bytes

    async def send(self, batch: Batch) -> Ack:
        """See Transport; the errors are those of docs/sync-contract.md, "Answers"."""
        path = f"/v1/gateways/{batch.gateway}/streams/{batch.stream}/batches"
        pack = (xzed if self._takes_xz else tightly_gzipped) if self._saves_bytes else gzipped
        headers = {"Content-Encoding": "xz" if pack is xzed else "gzip"}
        answer = await self._client.exchange("POST", path, encode_batch(batch, pack), headers)
        if answer.status == HTTPStatus.OK and "acked_through" in answer.json:
            return checked_ack(batch, answer.json["acked_through"])
        if answer.status == HTTPStatus.CONFLICT and answer.json.get("error") == "gap":
            raise checked_gap(batch, answer.json.get("expected"))
        raise self._failure(answer)

    async def position(self, gateway: str, stream: str) -> Position:
        """See Transport."""
        answer = await self._client.exchange("GET", f"/v1/gateways/{gateway}/streams/{stream}")
        codings = answer.headers.get("Accept-Encoding", "").split(",")
        self._takes_xz = "xz" in {coding.partition(";")[0].strip().lower() for coding in codings}
        if answer.status == HTTPStatus.OK:
            return checked_position(answer.json)
        failure = self._failure(answer)
        raise failure if isinstance(failure, Unreachable | Refused) else BadAnswer(f"{self._url}: {failure}")

    async def show(self, gateway: str, live: bytes) -> None:
        """See Transport."""
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        answer = await self._client.exchange("PUT", f"/v1/gateways/{gateway}/live", gzipped(live), headers)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            raise self._failure(answer)

    async def knock(self) -> bool:
        """See Transport."""
        return await self._client.knock()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    def _failure(self, answer: Answer) -> SyncError:
        status, retry_after_s = answer.status, answer.retry_after_s
        detail = printable(answer.json.get("detail") or answer.json.get("error") or "no reason given")
        if status == HTTPStatus.CONFLICT and answer.json.get("error") == "fork":
            return Forked(detail)
        if status in _REFUSED:
            return Refused(f"{self._url} refuses the token of this gateway ({status}): check [sync] token_file")
        if status in _REJECTED:
            return Rejected(f"{detail} ({status})")
        if status in _IN_TROUBLE or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return BadAnswer(f"{self._url} is in trouble ({status})", retry_after_s=retry_after_s)
        return BadAnswer(f"{self._url} answers {status} but not like a huxi receiver: check [sync] url")
