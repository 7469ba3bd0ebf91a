"""The local API: what can be asked of a running gateway, and the application that answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.store.errors import StoreError
from gateway.web import models
from gateway.web.desk_api import DeskApi
from gateway.web.errors import WebError
from gateway.web.feed import Feed
from gateway.web.guard import error_response
from gateway.web.ledger_api import LedgerApi
from gateway.web.metrics import MEDIA_TYPE, metrics
from gateway.web.openapi import document
from gateway.web.operation import Operation, Query
from gateway.web.queries import ChartQuery, DeviceQuery, HistoryQuery
from gateway.web.site import Site

_PAGE = Path(__file__).parent / "static"
_EVENTS = "text/event-stream"


def build(site: Site, feed: Feed) -> Starlette:
    """The application: API, its description and the page. Who may ask what is the guard's business."""
    operations = Api(site, feed).operations()
    description = document(operations)

    async def openapi(request: Request) -> Response:
        return JSONResponse(description)

    return Starlette(
        routes=[
            *(operation.route() for operation in operations),
            Route("/api/v1/openapi.json", openapi),
            *([Mount("/", StaticFiles(directory=_PAGE, html=True))] if _PAGE.is_dir() else ()),
        ],
        exception_handlers={
            WebError: _on_web_error,
            HTTPException: _on_http_error,
            StoreError: _on_store_error,
            Exception: _on_fault,
        },
    )


class Api:
    """The operations over one site."""

    def __init__(self, site: Site, feed: Feed) -> None:
        self._site = site
        self._feed = feed

    def operations(self) -> tuple[Operation, ...]:
        """All of them, in the order of the documentation."""
        return (
            Operation(path="/healthz", summary="Does it answer?", handler=self._health, answer=models.Health),
            Operation(
                path="/api/v1/status",
                summary="The gateway as a whole",
                handler=self._status,
                answer=models.Status,
            ),
            Operation(
                path="/api/v1/devices",
                summary="Devices and their newest values",
                handler=self._devices,
                answer=models.Devices,
            ),
            Operation(
                path="/api/v1/devices/relearn",
                summary="Ask a device for everything again that it once refused (Unix socket only)",
                handler=self._relearn,
                answer=models.Relearning,
                query=DeviceQuery,
                method="POST",
            ),
            Operation(
                path="/api/v1/live",
                summary="Live values each second, status each five seconds",
                handler=self._live,
                streams=(_EVENTS,),
            ),
            Operation(
                path="/api/v1/history",
                summary="Power of one device over the last minutes",
                handler=self._history,
                answer=models.History,
                query=HistoryQuery,
            ),
            Operation(
                path="/api/v1/chart",
                summary="Rollups of one point: by the minute for up to two days, else by the quarter of an hour",
                handler=self._chart,
                answer=models.Chart,
                query=ChartQuery,
            ),
            Operation(
                path="/metrics",
                summary="The gateway's own figures, for Prometheus",
                handler=self._metrics,
                streams=(MEDIA_TYPE,),
            ),
            *LedgerApi(self._site.ledger).operations(),
            *DeskApi(self._site.desk).operations(),
            Operation(
                path="/api/v1/clock/trust",
                summary="Take the machine's clock as right (Unix socket only)",
                handler=self._trust_clock,
                answer=models.ClockTrusted,
                method="POST",
            ),
            Operation(
                path="/api/v1/sync",
                summary="How sending goes",
                handler=self._sync,
                answer=models.SyncState,
            ),
            Operation(
                path="/api/v1/sync/now",
                summary="Send what waits, now (Unix socket only)",
                handler=self._sync_now,
                answer=models.Drained,
                method="POST",
            ),
        )

    async def _health(self, query: Query) -> Mapping[str, Any]:
        return {"ok": True}

    async def _status(self, query: Query) -> Mapping[str, Any]:
        return await self._site.status()

    async def _devices(self, query: Query) -> Mapping[str, Any]:
        return await self._site.devices()

    async def _relearn(self, query: DeviceQuery) -> Mapping[str, Any]:
        return self._site.relearn(query.device)

    async def _live(self, query: Query) -> Response:
        return StreamingResponse(self._feed.admit(), media_type=_EVENTS, headers={"cache-control": "no-store"})

    async def _history(self, query: HistoryQuery) -> Mapping[str, Any]:
        return self._site.history(query.device, query.minutes)

    async def _trust_clock(self, query: Query) -> Mapping[str, Any]:
        return await self._site.trust_clock()

    async def _chart(self, query: ChartQuery) -> Mapping[str, Any]:
        return await self._site.chart(query.device, query.point, query.from_ms, query.to_ms)

    async def _metrics(self, query: Query) -> Response:
        return Response(metrics(await self._site.status()), media_type=MEDIA_TYPE)

    async def _sync(self, query: Query) -> Mapping[str, Any]:
        sync: Mapping[str, Any] = (await self._site.status())["sync"]
        return sync

    async def _sync_now(self, query: Query) -> Mapping[str, Any]:
        return await self._site.sync_now()


async def _on_web_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, WebError)
    return error_response(error.status, error.error, error.remedy)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and not request.url.path.startswith("/api/"):
        remedy = "the page is at /; a checkout builds it with: make page"
    else:
        remedy = "see /api/v1/openapi.json for what can be asked"
    return error_response(error.status_code, f"{request.method} {request.url.path}: {error.detail}", remedy)


async def _on_store_error(request: Request, error: Exception) -> Response:
    return error_response(503, f"the store cannot answer: {error}", "see `huxi doctor`; /api/v1/status still answers")


async def _on_fault(request: Request, error: Exception) -> Response:
    """The answer to a fault of ours; Starlette raises it on, so that the server logs it once."""
    return error_response(500, f"{request.url.path} failed inside the gateway", "its log says why: journalctl -u huxi")
