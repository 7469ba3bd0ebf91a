"""The receiver's HTTP face: FastAPI over a CentralStore. The contract is docs/sync-contract.md."""

import asyncio
import time
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import ClientDisconnect

from sync.central.errors import CentralError
from sync.central.newest import Newest
from sync.central.page import page
from sync.central.store import CentralStore
from sync.central.tokens import Tokens
from sync.errors import Forked, Gap, Malformed, Rejected, SyncError, TooLarge
from sync.signed_time import NONCE, sign, statement
from sync.wire import MAX_PACKED_BYTES

BODY_TIMEOUT_S: Final = 120.0
"""Longest time for the body of one batch to arrive."""
_MOST_SIGNING: Final = 4
"""Signatures at a time: each is a process, and anybody may ask."""


class _NotAllowed(Exception):
    """No token, or not the one of the gateway in the address."""


class _TooSlow(Exception):
    """The body did not arrive."""


def build(store: CentralStore, tokens: Tokens, time_key: Path | None = None) -> FastAPI:
    """The application: gateways in `tokens` may deliver to `store` and read what is theirs.

    The list of gateways and the page hold no energy data and need no token. With a `time_key` (private Ed25519 key,
    PEM) it tells the time, signed, to gateways whose clock is wrong.
    """
    newest, signing = Newest(), asyncio.Semaphore(_MOST_SIGNING)
    app = FastAPI(title="huxi central", docs_url=None, redoc_url=None)  # the viewers load scripts from afar
    for error in (_NotAllowed, _TooSlow, SyncError, CentralError):
        app.add_exception_handler(error, _answer)

    def owner(gateway: str, request: Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not tokens.allows(gateway, token):
            raise _NotAllowed("the token is missing or not the one of this gateway")
        return gateway

    Owner = Annotated[str, Depends(owner)]

    @app.post("/v1/gateways/{gateway}/streams/{stream}/batches")
    async def take(gateway: Owner, stream: str, request: Request) -> dict[str, int]:
        return {"acked_through": await store.take(gateway, stream, await _body(request))}

    @app.get("/v1/gateways/{gateway}/streams/{stream}")
    async def stream(gateway: Owner, stream: str, response: Response) -> dict[str, Any]:
        response.headers["Accept-Encoding"] = "gzip, xz"
        return await store.stream(gateway, stream)

    @app.put("/v1/gateways/{gateway}/live", status_code=HTTPStatus.NO_CONTENT)
    async def show(gateway: Owner, request: Request) -> None:
        newest.show(gateway, await _body(request))

    @app.get("/v1/gateways/{gateway}/live")
    async def live(gateway: Owner) -> Any:
        found = newest.of(gateway)
        return _missing("no live values were shown since the receiver started") if found is None else found

    @app.get("/v1/time")
    async def now(nonce: str) -> Any:
        if time_key is None:
            return _missing("this receiver has no time key")
        if not NONCE.fullmatch(nonce):
            raise Malformed(f"the nonce must match {NONCE.pattern}")
        if signing.locked():
            raise CentralError("too many ask for the time at once")
        async with signing:
            unix_ms = time.time_ns() // 1_000_000
            signature = await sign(time_key, statement(nonce, unix_ms))
        return {"unix_ms": unix_ms, "signature": signature.hex()}

    @app.get("/v1/gateways/{gateway}/totals")
    async def totals(gateway: Owner) -> dict[str, Any]:
        return {"registers": await store.totals(gateway)}

    @app.get("/v1/gateways/{gateway}/tombstones")
    async def tombstones(gateway: Owner) -> dict[str, Any]:
        return await store.tombstones(gateway)

    async def listing() -> list[dict[str, Any]]:
        heard = {entry["gateway"]: entry for entry in await store.gateways()}
        unheard: dict[str, dict[str, Any]] = {
            gateway: {"gateway": gateway, "epoch": None, "last_received_ms": None, "streams": {}}
            for gateway in tokens.gateways
        }
        return [entry for _, entry in sorted((unheard | heard).items())]

    @app.get("/v1/gateways")
    async def gateways() -> dict[str, Any]:
        return {"gateways": await listing()}

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        await store.gateways()
        return {"ok": True}

    @app.get("/", response_class=HTMLResponse)
    async def index() -> str:
        return page(await listing())

    return app


def _missing(detail: str) -> JSONResponse:
    return JSONResponse({"error": "not-found", "detail": detail}, status_code=HTTPStatus.NOT_FOUND)


async def _body(request: Request) -> bytes:
    """The body, in bounded memory and time; raises TooLarge and _TooSlow."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_PACKED_BYTES:
                    raise TooLarge(f"the batch has more than {MAX_PACKED_BYTES} bytes packed")
    except TimeoutError:
        raise _TooSlow(f"the batch did not arrive within {BODY_TIMEOUT_S:.0f} s") from None
    except ClientDisconnect:
        raise _TooSlow("the sender hung up in the middle of the batch") from None
    return bytes(body)


async def _answer(_request: Request, error: Exception) -> JSONResponse:
    """The answer to each error: {"error": a word for programs, "detail": one sentence for people}."""
    headers = {}
    more: dict[str, int] = {}
    match error:
        case _NotAllowed():
            status, word = HTTPStatus.UNAUTHORIZED, "token"
            headers["WWW-Authenticate"] = "Bearer"
        case _TooSlow():
            status, word = HTTPStatus.REQUEST_TIMEOUT, "too-slow"
        case Gap():
            status, word, more = HTTPStatus.CONFLICT, "gap", {"expected": error.expected}
        case Forked():
            status, word = HTTPStatus.CONFLICT, "fork"
        case TooLarge():
            status, word = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large"
        case Malformed():
            status, word = HTTPStatus.BAD_REQUEST, "malformed"
        case Rejected():
            status, word = HTTPStatus.UNPROCESSABLE_ENTITY, "rejected"
        case _:
            status, word = HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"
    return JSONResponse({"error": word, "detail": str(error), **more}, status_code=status, headers=headers)
