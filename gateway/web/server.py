"""The web server: opens the doors, serves the API and the page, and closes without losing an answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Container, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from gateway.web.api import build
from gateway.web.doors import host_and_port, tcp_door, unix_door
from gateway.web.feed import Feed
from gateway.web.guard import Guard
from gateway.web.site import Site

_FINISH_S = 5  # for answers that are under way when the gateway stops
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_ON_THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # "all addresses" is no name to call a page by


class WebServer:
    """Serves one site, inside the running event loop, for as long as its `async with` block lasts.

    socket_path: where the Unix socket is made; everything may be asked there.
    tcp: host and port (0: any free one) of the page, or None for no TCP at all; it only reads.
    Entering raises `BindError` when a door cannot be opened.
    """

    def __init__(self, site: Site, socket_path: Path, tcp: tuple[str, int] | None) -> None:
        self._site = site
        self._socket_path = socket_path
        self._tcp = tcp
        self._urls: tuple[str, ...] = ()
        self._running: contextlib.AbstractAsyncContextManager[None] = self._run()

    @property
    def urls(self) -> tuple[str, ...]:
        """Addresses of the page while it is served; none without TCP."""
        return self._urls

    async def __aenter__(self) -> Self:
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.__aexit__(kind, error, trace)

    @contextlib.asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        feed = Feed(self._site)
        app = build(self._site, feed)
        with contextlib.ExitStack() as doors:
            servers = [(_server(app, None), doors.enter_context(unix_door(self._socket_path)))]
            if self._tcp is not None:
                host, port = self._tcp
                door = doors.enter_context(tcp_door(host, port))
                port = door.getsockname()[1]
                host = _ON_THIS_MACHINE.get(host, host)
                self._urls = (f"http://{host_and_port(host, port)}/",)
                servers.append((_server(app, _host_headers(host, port)), door))
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(server.serve(sockets=[door])) for server, door in servers]
                try:
                    yield
                finally:
                    feed.close()
                    for server, _ in servers:
                        server.should_exit = True
                    await asyncio.wait(tasks)
                    self._urls = ()


def _host_headers(host: str, port: int) -> Container[str]:
    """What a client that means this door may write in its Host header."""
    names = {host_and_port(name, port) for name in (*_LOCAL_HOSTS, host.lower())}
    return names | {name.removesuffix(":80") for name in names} if port == 80 else names


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: when to stop is the daemon's decision."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, hosts: Container[str] | None) -> _Server:
    return _Server(
        uvicorn.Config(
            Guard(app, hosts),
            http="h11",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_FINISH_S,
        )
    )
