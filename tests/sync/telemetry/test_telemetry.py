"""Telemetry against a real broker: what it tells, and that no broker, however ill, costs more than news."""

import asyncio
import gc
import json
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sync.telemetry import broker as broker_module
from sync.telemetry.address import BrokerAddress
from sync.telemetry.broker import Broker
from sync.telemetry.telemetry import Telemetry, Topics
from tests.sync.telemetry.mosquitto import Mosquitto, eventually, kept, needs_mosquitto, run, witness

pytestmark = needs_mosquitto

STATUS = "huxi/site-1/status"
VALUE = "huxi/site-1/devices/pv"
CONFIG = "homeassistant/device/huxi-site-1/pv/config"
OLD_CONFIG = "homeassistant/device/huxi-site-1/gone/config"
QUESTION = "homeassistant/status"
PATTERN = "homeassistant/device/huxi-site-1/+/config"


class Eager(Random):
    """Waits next to nothing after each failure."""

    def uniform(self, a: float, b: float) -> float:
        return 0.02


class Site:
    """Something to tell: a value that is another one each time it is asked for."""

    def __init__(self) -> None:
        self.config = b'{"serial":null}'
        self.asked = 0

    def value(self) -> bytes:
        self.asked += 1
        return str(self.asked).encode()

    def topics(self) -> Topics:
        return Topics(
            status=STATUS,
            announcements={CONFIG: lambda: self.config},
            values={VALUE: self.value},
            question=QUESTION,
            ours=PATTERN,
        )


@asynccontextmanager
async def telling(port: int, site: Site, *, period_s: float = 0.05, **access: Any) -> AsyncIterator[Telemetry]:
    host = access.pop("host", "127.0.0.1")
    address = BrokerAddress(host=host, port=port, tls="tls" in access)
    telemetry = Telemetry(
        Broker(address, identifier="huxi-site-1", **access),
        site.topics(),
        url=f"mqtt://{host}:{port}",
        period_s=period_s,
        random=Eager(),
    )
    task = asyncio.create_task(telemetry.run())
    try:
        yield telemetry
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), "it ends by cancellation and by nothing else"


def connected(telemetry: Telemetry) -> Callable[[], bool]:
    return lambda: telemetry.state()["connected"] is True


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path)
    await mosquitto.start()
    yield mosquitto
    await mosquitto.stop()


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """asyncio reports what nobody took care of."""
    yield
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_it_tells_that_it_is_there_what_there_is_and_that_it_goes(broker: Mosquitto) -> None:
    site = Site()
    async with witness(broker.port) as other:
        async with telling(broker.port, site):
            await other.until(lambda: len(other.of(VALUE)) >= 3)
            assert await kept(broker.port) == {STATUS: b"online", CONFIG: site.config}
        await other.until(lambda: other.of(STATUS) == [b"online", b"offline"])
        assert other.of(VALUE)[:3] == [b"1", b"2", b"3"]
        assert other.heard[0][0] == STATUS, "first that it is there"
    assert (await kept(broker.port))[STATUS] == b"offline"


async def test_an_announcement_is_sent_again_only_when_it_changed(broker: Mosquitto) -> None:
    site = Site()
    async with witness(broker.port) as other, telling(broker.port, site):
        await other.until(lambda: len(other.of(VALUE)) >= 3)
        assert len(other.of(CONFIG)) == 1
        site.config = b'{"serial":"HV1"}'
        await other.until(lambda: len(other.of(CONFIG)) == 2)
        assert other.of(CONFIG)[-1] == site.config
    assert (await kept(broker.port))[CONFIG] == site.config


async def test_home_assistant_that_comes_back_is_told_everything_at_once(broker: Mosquitto) -> None:
    async with witness(broker.port) as other, telling(broker.port, Site(), period_s=3600):
        await other.until(lambda: len(other.of(VALUE)) == 1)
        await other.say(QUESTION, b"offline")
        await other.say(QUESTION, b"online")
        await other.until(lambda: len(other.of(VALUE)) == 2)
        assert len(other.of(CONFIG)) == 2


async def test_what_is_announced_and_is_no_more_is_withdrawn(broker: Mosquitto) -> None:
    async with witness(broker.port) as other:
        await other.say(OLD_CONFIG, b'{"device":{}}', retain=True)
        await other.say("homeassistant/device/others/gone/config", b"{}", retain=True)
        async with telling(broker.port, Site()):
            await other.until(lambda: b"" in other.of(OLD_CONFIG))
    assert set(await kept(broker.port)) == {STATUS, CONFIG, "homeassistant/device/others/gone/config"}


async def test_a_broker_that_is_killed_and_comes_back_is_told_everything(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="huxi")
    site = Site()
    async with telling(broker.port, site) as telemetry:
        await eventually(connected(telemetry))
        await broker.kill()
        await eventually(lambda: telemetry.state()["connected"] is False)
        assert telemetry.state()["trouble"] == "unreachable"
        await asyncio.sleep(0.3)  # a dozen attempts in vain
        await broker.start()
        await eventually(connected(telemetry))
        assert telemetry.state()["last_error"] is None
        async with witness(broker.port) as other:
            await other.until(lambda: {STATUS, CONFIG, VALUE} <= {topic for topic, *_ in other.heard})
    lines = [record.getMessage().split()[0] for record in caplog.records if record.name == "huxi.telemetry"]
    assert lines == ["broker_connected", "broker_lost", "broker_connected"], "one line a change of state"


async def test_a_broker_that_freezes_is_left_and_found_again(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "ANSWER_TIMEOUT_S", 0.2)
    site = Site()
    async with telling(broker.port, site) as telemetry:
        await eventually(connected(telemetry))
        broker.freeze()
        try:
            await eventually(lambda: telemetry.state()["connected"] is False)
            assert "no answer in 0.2 s" in telemetry.state()["last_error"]
            asked = site.asked
            await asyncio.sleep(0.7)  # it takes connections and says nothing on them
            assert telemetry.state()["connected"] is False
            assert site.asked == asked, "nothing is gathered for a broker that does not take it"
        finally:
            broker.thaw()
        await eventually(connected(telemetry))
        await eventually(lambda: site.asked > asked + 2)


@pytest.mark.slow
async def test_connections_to_a_frozen_broker_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given up closes by its keep-alive: later there are no more than one keep-alive's worth of attempts."""
    monkeypatch.setattr(broker_module, "ANSWER_TIMEOUT_S", 0.05)
    monkeypatch.setattr(broker_module, "KEEPALIVE_S", 1)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as deaf:
        async with telling(deaf.getsockname()[1], Site()) as telemetry:
            await eventually(lambda: telemetry.state()["connected"] is False)
            counts = []
            for _ in range(16):
                await asyncio.sleep(0.5)
                counts.append(open_sockets())
    assert counts[2] > counts[0], "they last for a while"
    assert max(counts[8:]) <= max(counts[:8]) + 3, counts


def open_sockets() -> int:
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(os.readlink(link).startswith("socket:") for link in links if link.is_symlink())


async def test_a_wrong_password_is_told_apart_and_a_right_one_is_taken(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    await run("mosquitto_passwd", "-c", "-b", str(passwords), "huxi", "right")
    mosquitto = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}")
    await mosquitto.start()
    try:
        for access in ({}, {"username": "huxi", "password": "wrong"}, {"username": "huxi"}):
            async with telling(mosquitto.port, Site(), **access) as telemetry:
                await eventually(lambda: telemetry.state()["connected"] is False)
                assert telemetry.state()["trouble"] == "refused"
                assert "wrong" not in telemetry.state()["last_error"]
        async with telling(mosquitto.port, Site(), username="huxi", password="right") as telemetry:
            await eventually(connected(telemetry))
    finally:
        await mosquitto.stop()


async def certificate(folder: Path, name: str) -> Path:
    """A certificate for localhost that has signed itself; its key lies beside it."""
    path = folder / f"{name}.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    whose = ("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost")
    await run("openssl", "req", "-x509", *curve, "-keyout", f"{path}.key", "-out", str(path), *whose)
    return path


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
async def test_under_tls_only_a_certificate_that_is_trusted_and_of_that_name_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "ANSWER_TIMEOUT_S", 0.5)
    cert, stranger = await certificate(tmp_path, "broker"), await certificate(tmp_path, "stranger")
    mosquitto = Mosquitto(tmp_path, f"certfile {cert}", f"keyfile {cert}.key")
    await mosquitto.start()
    good, other = (ssl.create_default_context(cafile=path) for path in (cert, stranger))
    try:
        async with telling(mosquitto.port, Site(), tls=good, host="localhost") as telemetry:
            await eventually(connected(telemetry))
        for context, host in ((other, "localhost"), (good, "127.0.0.1"), (ssl.create_default_context(), "localhost")):
            async with telling(mosquitto.port, Site(), tls=context, host=host) as telemetry:
                await eventually(lambda: telemetry.state()["connected"] is False)
                assert telemetry.state()["trouble"] == "untrusted", telemetry.state()
        async with telling(mosquitto.port, Site()) as telemetry:  # plain words to a broker that wants TLS
            await eventually(lambda: telemetry.state()["connected"] is False)
            assert telemetry.state()["trouble"] == "unreachable"
    finally:
        await mosquitto.stop()
    gc.collect()  # paho leaves the socket of a handshake that failed to the collector


async def test_something_that_is_no_broker_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "ANSWER_TIMEOUT_S", 0.2)

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server, telling(server.sockets[0].getsockname()[1], Site()) as telemetry:
        await eventually(lambda: telemetry.state()["connected"] is False)
        assert telemetry.state()["trouble"] == "unreachable"


async def test_a_payload_of_a_large_device_arrives_whole(broker: Mosquitto) -> None:
    site = Site()
    site.config = json.dumps({"components": {f"point_{n}": "x" * 200 for n in range(2_000)}}).encode()
    async with witness(broker.port) as other, telling(broker.port, site):
        await other.until(lambda: other.of(CONFIG) == [site.config])
