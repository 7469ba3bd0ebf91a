"""HTTP to one receiver: one kept connection, bounded answers, errors that say what to do. The room's only httpx."""

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from sync.errors import BadAnswer, Shut, SyncError, Unreachable

CONNECT_TIMEOUT_S: Final = 5.0
SILENCE_TIMEOUT_S: Final = 20.0
"""Longest time without a byte in either direction."""
EXCHANGE_TIMEOUT_S: Final = 120.0
"""Longest time for one exchange, however steadily it drips."""
KNOCK_TIMEOUT_S: Final = 3.0
"""With the longest pause between two knocks: back within 15 s of a receiver that returns."""
KEEP_ALIVE_S: Final = 900.0
"""How long an idle connection is kept here: a new one costs more bytes than a record."""
MAX_ANSWER_BYTES: Final = 16 * 1024
"""Answers of the contract have a few hundred bytes."""
HANDSHAKE_BYTES: Final = 6000
"""What a new TLS connection costs, about: two certificates and the keys."""
CONNECT_BYTES: Final = 200
"""What a TCP connection costs, about."""

_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How to get to a receiver."""

    url: str
    """https, or http where the way is private; without a slash at the end."""
    ca_file: Path | None = None
    """The authorities that may have signed its certificate, instead of the well-known ones."""
    cert_file: Path | None = None
    """This gateway's own certificate and key (PEM), for receivers that want one."""
    proxy: str | None = None
    """HTTP proxy to go through."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    """None when it is longer than any answer of the contract, or packed unasked."""
    json: Mapping[str, Any] = field(init=False)
    """The JSON object in the body, empty when it holds none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "json", _object(self.body))

    @property
    def retry_after_s(self) -> float | None:
        """Retry-After in seconds; a date counts from the answer's own Date, for our clock may be wrong."""
        text = self.headers.get("Retry-After", "")
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            return (parsedate_to_datetime(text) - parsedate_to_datetime(self.headers["Date"])).total_seconds()
        except (ValueError, TypeError, KeyError, OverflowError):
            return None


class Client:
    """Requests to the receiver behind `way`, one at a time. Made outside: raises SyncError for files of no use."""

    def __init__(self, way: Way, headers: Mapping[str, str], *, checks_dates: bool = True) -> None:
        self.url = way.url.rstrip("/")
        self.wire_bytes = 0
        """Bytes to and fro so far, as far as they are known: heads and bodies exactly, connections by estimate."""
        door = urlsplit(way.proxy or self.url)
        self._door = (door.hostname or "", door.port or (443 if door.scheme == "https" else 80))
        self._client = httpx.AsyncClient(
            verify=_context(way, checks_dates) if self.url.startswith("https") else True,
            proxy=way.proxy,
            timeout=httpx.Timeout(SILENCE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE_S),
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
            follow_redirects=False,
            trust_env=False,
        )

    async def exchange(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer to one request. Raises Shut (no connection), Unreachable or BadAnswer (TLS) with the remedy."""
        request = self._client.build_request(
            method, f"{self.url}{path}", content=content, headers=headers, extensions={"trace": self._trace}
        )
        self.wire_bytes += _head_bytes(request.headers) + len(content or b"")
        try:
            async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
                response = await self._client.send(request, stream=True)
                try:
                    body = await self._read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise Unreachable(f"{self.url} took more than {EXCHANGE_TIMEOUT_S:.0f} s for one exchange") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _explained(self.url, error) from None
        self.wire_bytes += _head_bytes(response.headers)
        return Answer(response.status_code, response.headers, body)

    async def knock(self) -> bool:
        """Whether somebody takes connections at the receiver's address (or the proxy's); nothing is said there."""
        self.wire_bytes += CONNECT_BYTES
        try:
            async with asyncio.timeout(KNOCK_TIMEOUT_S):
                _, writer = await asyncio.open_connection(*self._door)
        except (OSError, TimeoutError):
            return False
        writer.transport.abort()
        return True

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _read(self, response: httpx.Response) -> bytes | None:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            return None
        body = bytearray()
        async for chunk in response.aiter_raw():
            self.wire_bytes += len(chunk)
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                return None
        return bytes(body)

    async def _trace(self, event: str, _info: Mapping[str, Any]) -> None:
        if event.endswith("connect_tcp.started"):
            self.wire_bytes += CONNECT_BYTES
        elif event.endswith("start_tls.started"):
            self.wire_bytes += HANDSHAKE_BYTES


def _context(way: Way, checks_dates: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=way.ca_file) if way.ca_file else httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        raise SyncError(
            f"[sync] ca_file {way.ca_file} cannot be used ({error}): give the authority's PEM file"
        ) from None
    try:
        if way.cert_file:
            context.load_cert_chain(way.cert_file)
    except (OSError, ssl.SSLError) as error:
        raise SyncError(
            f"[sync] cert_file {way.cert_file} cannot be used ({error}): give a PEM file with certificate and key"
        ) from None
    if not checks_dates:
        context.verify_flags |= _NO_CHECK_TIME
    return context


def _explained(url: str, error: Exception) -> SyncError:
    """What went wrong on the way, with the remedy where there is a known one."""
    text = printable(str(error) or type(error).__name__)
    for sign, why in _TLS_FAULTS:
        if sign in text:
            return BadAnswer(f"{url}: {why}".format(today=time.strftime("%Y-%m-%d", time.gmtime())))
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Shut(f"{url} cannot be reached: {text}")
    return Unreachable(f"{url} cannot be reached: {text}")


_TLS_FAULTS: Final = (
    ("certificate has expired", "its certificate has expired: renew it there; this gateway's clock says {today}"),
    ("not yet valid", "its certificate is not valid yet: set this gateway's clock, which says {today}"),
    ("Hostname mismatch", "its certificate is for another name: check [sync] url"),
    ("IP address mismatch", "its certificate is for another name: check [sync] url"),
    ("self-signed certificate", "its certificate is signed by nobody known here: set [sync] ca_file"),
    ("unable to get local issuer", "its certificate is signed by nobody known here: set [sync] ca_file"),
    ("WRONG_VERSION_NUMBER", "it speaks no TLS: is [sync] url an http:// address?"),
    ("CERTIFICATE_REQUIRED", "it wants a certificate of this gateway: set [sync] cert_file"),
    ("[SSL", "no safe connection could be made: see `openssl s_client -connect`"),
)


def printable(value: object) -> str:
    """Foreign text, fit for a log line and a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(value)[:_MAX_REASON_CHARS])


_MAX_REASON_CHARS = 300


def _head_bytes(headers: httpx.Headers) -> int:
    """Bytes of a head: its lines, and about the first one."""
    return 80 + sum(len(name) + len(value) + 4 for name, value in headers.raw)


def _object(body: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
