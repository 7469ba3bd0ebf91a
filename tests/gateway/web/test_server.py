"""The doors: binding, who may come in, and closing."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from gateway.web.errors import BindError
from gateway.web.server import WebServer
from gateway.web.site import Site
from gateway.web.socket_path import socket_address

Connect = Callable[[str], httpx.AsyncClient]


async def test_the_socket_is_for_owner_and_group_and_goes_away(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with WebServer(site, path, None) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert server.urls == ()
    assert not path.exists()


async def test_a_stale_socket_is_replaced(site: Site, tmp_path: Path, connect: Connect) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    async with WebServer(site, path, None), connect(str(path)) as client:
        assert (await client.get("/healthz")).json() == {"ok": True}


async def test_a_socket_that_answers_is_left_alone(site: Site, tmp_path: Path, connect: Connect) -> None:
    path = tmp_path / "api.sock"
    async with WebServer(site, path, None):
        with pytest.raises(BindError, match=f"a gateway already answers on {path}"):
            await WebServer(site, path, None).__aenter__()
        async with connect(str(path)) as client:
            assert (await client.get("/healthz")).status_code == 200


async def test_a_file_in_the_way_is_not_deleted(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.write_text("precious")
    with pytest.raises(BindError, match="it is not a socket"):
        await WebServer(site, path, None).__aenter__()
    assert path.read_text() == "precious"


@pytest.mark.parametrize("depth", [1, 30])
async def test_a_missing_folder_is_named(site: Site, tmp_path: Path, depth: int) -> None:
    path = tmp_path.joinpath(*["missing"] * depth, "api.sock")
    with pytest.raises(BindError, match=r"cannot open the socket .*No such file.*data folder"):
        await WebServer(site, path, None).__aenter__()


async def test_deep_folders_work(site: Site, tmp_path: Path, connect: Connect) -> None:
    folder = tmp_path.joinpath(*["community-gateway"] * 10)
    folder.mkdir(parents=True)
    path = folder / "api.sock"
    assert len(os.fsencode(path)) > 108
    with socket.socket(socket.AF_UNIX) as crashed, socket_address(path) as address:
        crashed.bind(address)
    async with WebServer(site, path, None):
        with socket_address(path) as address:
            async with connect(address) as client:
                assert (await client.get("/healthz")).json() == {"ok": True}
        with pytest.raises(BindError, match="already answers"):
            await WebServer(site, path, None).__aenter__()
    assert not path.exists()


def test_short_paths_stay_as_they_are(tmp_path: Path) -> None:
    with socket_address(Path("/run/huxi/api.sock")) as address:
        assert address == "/run/huxi/api.sock"


async def test_a_port_in_use_is_named_and_nothing_is_left_behind(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BindError) as refused:
            await WebServer(site, path, ("127.0.0.1", port)).__aenter__()
    assert refused.value.error == f"cannot listen on 127.0.0.1:{port}: the port is in use"
    assert refused.value.remedy == "stop the program that uses it, or give the page another port: [web] listen"
    assert not path.exists()


async def test_an_address_of_another_machine_is_named(site: Site, tmp_path: Path) -> None:
    with pytest.raises(BindError, match=r"cannot listen on 192\.0\.2\.1:8080: .*address of this machine"):
        await WebServer(site, tmp_path / "api.sock", ("192.0.2.1", 8080)).__aenter__()


async def test_only_its_own_names_open_the_tcp_door(server: WebServer, tcp: httpx.AsyncClient) -> None:
    port = httpx.URL(server.urls[0]).port
    for good in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", f"LocalHost:{port}"):
        assert (await tcp.get("/healthz", headers={"host": good})).status_code == 200, good
    for bad in (
        "evil.example",
        f"evil.example:{port}",
        "localhost",
        f"localhost:{port + 1}",
        f"0.0.0.0:{port}",
    ):
        answer = await tcp.get("/healthz", headers={"host": bad})
        assert answer.status_code == 421, bad
        assert answer.json()["error"] == f"no page is served under the name '{bad}'"


async def test_a_request_without_host_is_refused(server: WebServer) -> None:
    port = httpx.URL(server.urls[0]).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 421")
    writer.close()


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/status", "/api/v1/nothing"])
async def test_each_response_carries_the_security_headers(tcp: httpx.AsyncClient, path: str) -> None:
    for request in (tcp.get(path), tcp.get(path, headers={"host": "evil.example"})):
        headers = (await request).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; ")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] in {"no-store", "no-cache"}
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


async def test_the_stream_delivers_and_ends_when_the_gateway_stops(site: Any, tmp_path: Path, connect: Connect) -> None:
    path = tmp_path / "api.sock"
    events: list[tuple[str, dict[str, Any]]] = []
    async with asyncio.timeout(10), connect(str(path)) as client:
        async with WebServer(site, path, None):
            stream = client.stream("GET", "/api/v1/live")
            response = await stream.__aenter__()
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = response.aiter_lines()
            while len(events) < 3:
                line = await anext(lines)
                if line.startswith("event: "):
                    data = (await anext(lines)).removeprefix("data: ")
                    events.append((line.removeprefix("event: "), json.loads(data)))
        rest = [line async for line in lines]  # ends by itself: the server closed it properly
        await stream.__aexit__(None, None, None)
    assert [name for name, _ in events] == ["live", "status", "live"]
    assert events[0][1]["devices"][0]["power_W"] == 12345.6
    assert events[0][1]["devices"][1]["power_W"] is None
    assert events[1][1]["today"]["emitted_ng"] == str(2**53 + 1)
    assert events[2][1]["t_ms"] - events[0][1]["t_ms"] == pytest.approx(1000, abs=400)
    assert not any(line.startswith("event: status") for line in rest)


def test_everything_works_on_uvloop_too(site: Site, tmp_path: Path, connect: Connect) -> None:
    async def main() -> tuple[int, int, int]:
        path = tmp_path / "api.sock"
        async with (
            WebServer(site, path, ("127.0.0.1", 0)) as server,
            connect(str(path)) as client,
            httpx.AsyncClient(base_url=server.urls[0], trust_env=False) as tcp,
        ):
            asked = await client.post("/api/v1/sync/now")
            read = await tcp.get("/healthz")
            refused = await tcp.post("/api/v1/sync/now")
            return asked.status_code, read.status_code, refused.status_code

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == (200, 200, 403)


async def test_cancelling_the_gateway_closes_the_doors(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    serving = asyncio.Event()

    async def gateway() -> None:
        async with WebServer(site, path, ("127.0.0.1", 0)):
            serving.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(gateway())
    await serving.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not path.exists()
