"""The receiver's HTTP face: FastAPI over a CentralStore. The contract is docs/sync-contract.md."""

import asyncio
import base64
import binascii
import time
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import ClientDisconnect

from sync.central.access import Party
from sync.central.answers import (
    Ack,
    Alive,
    Coverage,
    Gateways,
    Health,
    Intervals,
    Ledger,
    Live,
    SiteTotals,
    Stand,
    Time,
    Tombstones,
    Totals,
    Trouble,
)
from sync.central.errors import CentralError
from sync.central.newest import Newest
from sync.central.page import page
from sync.central.queries import Span
from sync.central.store import CentralStore
from sync.errors import Forked, Gap, Malformed, Rejected, SyncError, TooLarge
from sync.signed_time import NONCE, sign, statement
from sync.wire import EXACT_LIMIT, MAX_PACKED_BYTES

BODY_TIMEOUT_S: Final = 120.0
"""Longest time for the body of one batch to arrive."""
_MOST_ROWS: Final = 10_000
_MOST_SIGNING: Final = 4
"""Signatures at a time: each is a process, and anybody may ask."""
_BATCH: Final = {
    "requestBody": {
        "required": True,
        "description": "A batch as docs/sync-contract.md says: gzip (or xz) of a header line and one line a record.",
        "content": {"application/jsonl": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_LIVE: Final = {
    "requestBody": {
        "required": True,
        "description": 'One JSON object with "live": true, in gzip.',
        "content": {"application/json": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Trouble, "description": "Not a batch, or not of this address."},
    401: {"model": Trouble, "description": "The token is missing, unknown, revoked or another's."},
    408: {"model": Trouble, "description": "The body did not arrive."},
    409: {"model": Trouble, "description": "A gap (with `expected`) or a fork."},
    413: {"model": Trouble, "description": "Beyond the limits of the contract."},
    422: {"model": Trouble, "description": "The chain or a record is not sound."},
    503: {"model": Trouble, "description": "The database does not take it now."},
}
_QUESTIONS: Final[dict[int | str, dict[str, Any]]] = {
    status: _REFUSALS[status] | {"description": description}
    for status, description in (
        (401, "The token is missing, unknown or revoked, or may not read this."),
        (422, "A parameter is not as it must be."),
        (503, "The database does not answer now."),
    )
}


_NOTHING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Trouble, "description": "There is none."}}


class _NotAllowed(Exception):
    """No token, or one that does not open this."""


class _Missing(Exception):
    """What is asked for is not there."""


class _TooSlow(Exception):
    """The body did not arrive."""


def build(store: CentralStore, time_key: Path | None = None) -> FastAPI:
    """The application. Gateways deliver and read what is theirs, readers what is their tenant's; see `access`.

    With a `time_key` (private Ed25519 key, PEM) it tells the time, signed, to gateways whose clock is wrong.
    """
    newest, signing = Newest(), asyncio.Semaphore(_MOST_SIGNING)
    app = FastAPI(
        title="huxi central",
        version="1",
        description="Receives ledgers from gateways and tells what it holds. docs/sync-contract.md says the rest.",
        docs_url=None,  # the viewers load scripts from afar
        redoc_url=None,
    )
    for error in (_NotAllowed, _Missing, _TooSlow, RequestValidationError, SyncError, CentralError):
        app.add_exception_handler(error, _answer)

    async def caller(request: Request) -> Party:
        party = await store.by_token(_token(request.headers.get("Authorization", "")))
        if party is None:
            raise _NotAllowed("the token is missing, not known here or revoked")
        return party

    Caller = Annotated[Party, Depends(caller)]

    async def readable(gateway: str, party: Caller) -> Party:
        wanted = party if party.may_deliver(gateway) else await store.gateway(gateway)
        if wanted is None or not party.may_read(wanted):
            raise _NotAllowed("the token is not the one of this gateway, nor of a reader of its tenant")
        return wanted

    Readable = Annotated[Party, Depends(readable)]

    @app.post(
        "/v1/gateways/{gateway}/streams/{stream}/batches", responses=_REFUSALS, openapi_extra=_BATCH, tags=["delivery"]
    )
    async def take(gateway: str, stream: str, party: Caller, request: Request) -> Ack:
        """Deliver a batch: durably held when this answers 200."""
        if not party.may_deliver(gateway):
            raise _NotAllowed("the token is not the one of this gateway")
        return Ack(acked_through=await store.take(gateway, stream, await _body(request)))

    @app.get("/v1/gateways/{gateway}/streams/{stream}", response_model=Stand, responses=_QUESTIONS, tags=["delivery"])
    async def stream(gateway: Readable, stream: str, response: Response) -> Any:
        """Where a stream stands; the header Accept-Encoding says how batches may be packed."""
        response.headers["Accept-Encoding"] = "gzip, xz"
        return await store.stream(gateway.name, stream)

    @app.put(
        "/v1/gateways/{gateway}/live",
        status_code=HTTPStatus.NO_CONTENT,
        responses={status: _REFUSALS[status] for status in (400, 401, 408, 413)},
        openapi_extra=_LIVE,
        tags=["delivery"],
    )
    async def show(gateway: str, party: Caller, request: Request) -> None:
        """Show live values; the receiver process keeps the newest in memory."""
        if not party.may_deliver(gateway):
            raise _NotAllowed("the token is not the one of this gateway")
        newest.show(gateway, await _body(request))

    @app.get("/v1/gateways/{gateway}/live", response_model=Live, responses=_QUESTIONS | _NOTHING, tags=["questions"])
    async def live(gateway: Readable) -> Any:
        """The newest live values, for the eye: they are in no sum."""
        found = newest.of(gateway.name)
        if found is None:
            raise _Missing("no live values were shown since the receiver started")
        return found

    @app.get(
        "/v1/time",
        response_model=Time,
        responses={400: _REFUSALS[400], 503: _REFUSALS[503], **_NOTHING},
        tags=["delivery"],
    )
    async def now(nonce: str) -> Any:
        """The time, signed, for a gateway whose clock is wrong; needs no token."""
        if time_key is None:
            raise _Missing("this receiver has no time key")
        if not NONCE.fullmatch(nonce):
            raise Malformed(f"the nonce must match {NONCE.pattern}")
        if signing.locked():
            raise CentralError("too many ask for the time at once")
        async with signing:
            unix_ms = time.time_ns() // 1_000_000
            signature = await sign(time_key, statement(nonce, unix_ms))
        return {"unix_ms": unix_ms, "signature": signature.hex()}

    @app.get("/v1/gateways/{gateway}/totals", response_model=Totals, responses=_QUESTIONS, tags=["questions"])
    async def totals(gateway: Readable) -> Any:
        """Sums of each register over everything received."""
        return {"registers": await store.totals(gateway.name)}

    @app.get("/v1/gateways/{gateway}/coverage", response_model=Coverage, responses=_QUESTIONS, tags=["questions"])
    async def coverage(gateway: Readable) -> Any:
        """Registers that are behind."""
        return {"registers": await store.coverage(gateway.name)}

    @app.get("/v1/gateways/{gateway}/tombstones", response_model=Tombstones, responses=_QUESTIONS, tags=["questions"])
    async def tombstones(gateway: Readable) -> Any:
        """Records that never come, and what they would have added."""
        return await store.tombstones(gateway.name)

    @app.get("/v1/gateways/{gateway}/intervals", response_model=Intervals, responses=_QUESTIONS, tags=["questions"])
    async def intervals(gateway: Readable, span: Annotated[Span, Depends(_span)]) -> Any:
        """Rows of energy, in the order in which they were booked."""
        return await store.intervals(gateway.name, span)

    @app.get("/v1/gateways/{gateway}/ledger", response_model=Ledger, responses=_QUESTIONS, tags=["questions"])
    async def ledger(gateway: Readable, span: Annotated[Span, Depends(_span)]) -> Any:
        """Rows of carbon, in the order in which they were booked."""
        return await store.ledger(gateway.name, span)

    @app.get("/v1/gateways/{gateway}", response_model=Health, responses=_QUESTIONS, tags=["questions"])
    async def health(gateway: Readable) -> Any:
        """How a gateway stands."""
        return (await store.health([gateway]))[0]

    async def listing(party: Party, after: str, limit: int) -> dict[str, Any]:
        if party.site is not None:  # a gateway sees itself
            return {"gateways": await store.health([party]), "after": None}
        found = await store.gateways(party.tenant, None, after, limit)
        return {"gateways": await store.health(found), "after": found[-1].name if len(found) == limit else None}

    @app.get("/v1/gateways", response_model=Gateways, responses=_QUESTIONS, tags=["questions"])
    async def gateways(party: Caller, after: str = "", limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 1000) -> Any:
        """The gateways that the token may read, by id, and how they stand."""
        return await listing(party, after, limit)

    @app.get(
        "/v1/tenants/{tenant}/sites/{site}/totals", response_model=SiteTotals, responses=_QUESTIONS, tags=["questions"]
    )
    async def site_totals(tenant: str, site: str, party: Caller) -> Any:
        """Sums of each register of each gateway of a site."""
        members = await store.gateways(tenant, site, "", -1)
        if not members or not all(party.may_read(member) for member in members):
            raise _NotAllowed("the token is not the one of a reader of this tenant, or the site has no gateway")
        return {
            "registers": [
                {"gateway": member.name, **register}
                for member in members
                for register in await store.totals(member.name)
            ]
        }

    @app.get("/healthz", response_model=Alive, tags=["questions"])
    async def healthz() -> Any:
        """Whether the receiver answers and reaches its database; needs no token."""
        await store.stream("healthz", "ledger")
        return {"ok": True}

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index(party: Caller, after: str = "") -> str:
        return page(await listing(party, after, 1000))

    return app


def _token(header: str) -> str:
    """The token of `Bearer TOKEN`, or the password of `Basic …`, which is how a browser asks for one."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(text, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return text if scheme.lower() == "bearer" else ""


def _span(
    from_ms: Annotated[int, Query(ge=-EXACT_LIMIT, le=EXACT_LIMIT)] = 0,
    to_ms: Annotated[int, Query(ge=-EXACT_LIMIT, le=EXACT_LIMIT)] = EXACT_LIMIT,
    after: Annotated[str, Query(pattern=r"^([0-9]{1,9}[.][0-9]{1,16}[.][0-9]{1,9})?$")] = "",
    limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 1000,
) -> Span:
    return Span(from_ms=from_ms, to_ms=to_ms, after=after, limit=limit)


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
    text = str(error)
    more: dict[str, int] = {}
    match error:
        case _NotAllowed():
            status, word = HTTPStatus.UNAUTHORIZED, "token"
            headers["WWW-Authenticate"] = (
                'Bearer, Basic realm="huxi central: the token is the password", charset="UTF-8"'
            )
        case _Missing():
            status, word = HTTPStatus.NOT_FOUND, "not-found"
        case _TooSlow():
            status, word = HTTPStatus.REQUEST_TIMEOUT, "too-slow"
        case Gap():
            status, word, more = HTTPStatus.CONFLICT, "gap", {"expected": error.expected}
        case Forked():
            status, word = HTTPStatus.CONFLICT, "fork"
        case TooLarge():
            status, word = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large"
        case RequestValidationError():
            status, word = HTTPStatus.UNPROCESSABLE_ENTITY, "question"
            text = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
        case Malformed():
            status, word = HTTPStatus.BAD_REQUEST, "malformed"
        case Rejected():
            status, word = HTTPStatus.UNPROCESSABLE_ENTITY, "rejected"
        case _:
            status, word = HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"
    return JSONResponse({"error": word, "detail": text, **more}, status_code=status, headers=headers)
