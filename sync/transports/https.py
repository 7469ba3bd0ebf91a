"""Batches by HTTP POST with a bearer token; the only place of the room that knows httpx."""

import asyncio
import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from sync.errors import BadAnswer, Forked, Refused, Rejected, SyncError, Unreachable
from sync.messages import Ack, Batch
from sync.transports.base import checked_ack, checked_gap
from sync.wire import encode_batch

CONNECT_TIMEOUT_S: Final = 5.0
"""With the longest back-off of ten seconds: back within 15 s of a receiver that returns."""
SILENCE_TIMEOUT_S: Final = 20.0
"""Longest time without a byte in either direction."""
EXCHANGE_TIMEOUT_S: Final = 120.0
"""Longest time for one batch, however steadily it drips."""
MAX_ANSWER_BYTES: Final = 16 * 1024
"""Answers of the contract have a few hundred bytes."""

_MAX_REASON_CHARS = 300
_NOT_THERE = frozenset({408, 502, 503, 504})
_REFUSED = frozenset({401, 403})
_REJECTED = frozenset({400, 413, 422})


class HttpsTransport:
    """Sends to the receiver at `url` (https, or http where the way is private) over one kept connection."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(SILENCE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/jsonl",
                "Content-Encoding": "gzip",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            follow_redirects=False,
            trust_env=False,
        )

    async def send(self, batch: Batch) -> Ack:
        """See Transport; the errors are those of docs/sync-contract.md, "Answers"."""
        address = f"{self._url}/v1/gateways/{batch.gateway}/streams/{batch.stream}/batches"
        try:
            async with (
                asyncio.timeout(EXCHANGE_TIMEOUT_S),
                self._client.stream("POST", address, content=encode_batch(batch)) as response,
            ):
                body = await _read(response)
        except TimeoutError:
            raise Unreachable(f"{self._url} took more than {EXCHANGE_TIMEOUT_S:.0f} s for one batch") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self._url} cannot be reached: {str(error) or type(error).__name__}") from None
        return self._judge(batch, response, body)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    def _judge(self, batch: Batch, response: httpx.Response, body: bytes | None) -> Ack:
        """The Ack in an answer, or its error raised; `body` is None when it is not worth reading."""
        status, answer = response.status_code, _object(body)
        if status == httpx.codes.OK and "acked_through" in answer:
            return checked_ack(batch, answer["acked_through"])
        if status == httpx.codes.CONFLICT and answer.get("error") == "gap":
            raise checked_gap(batch, answer.get("expected"))
        raise self._failure(status, answer, _retry_after_s(response.headers))

    def _failure(self, status: int, answer: Mapping[str, Any], retry_after_s: float | None) -> SyncError:
        detail = _printable(answer.get("detail") or answer.get("error") or "no reason given")
        if status == httpx.codes.CONFLICT and answer.get("error") == "fork":
            return Forked(detail)
        if status in _REFUSED:
            return Refused(f"{self._url} refuses the token of this gateway ({status}): check [sync] token_file")
        if status in _REJECTED:
            return Rejected(f"{detail} ({status})")
        if status in _NOT_THERE:
            return Unreachable(f"{self._url} is not ready ({status})", retry_after_s=retry_after_s)
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return BadAnswer(f"{self._url} is in trouble ({status})", retry_after_s=retry_after_s)
        return BadAnswer(f"{self._url} answers {status} but not like a huxi receiver: check [sync] url")


async def _read(response: httpx.Response) -> bytes | None:
    """The body; None when it is longer than any answer of the contract, or packed unasked."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            return None
    return bytes(body)


def _object(body: bytes | None) -> dict[str, Any]:
    """The JSON object in `body`, empty when it holds none."""
    try:
        value = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """Retry-After in seconds; a date counts from the answer's own Date, for our clock may be wrong."""
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return (parsedate_to_datetime(text) - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _printable(value: object) -> str:
    """Foreign text, fit for a log line and a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(value)[:_MAX_REASON_CHARS])
