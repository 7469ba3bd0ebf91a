"""The receiver vouches for the time where nobody else does: over a real socket, by its signature alone."""

import asyncio
import time

import pytest

from gateway import receiver_time
from gateway.clock import Anchor, Dating, SystemClock
from gateway.receiver_time import RECEIVER, ReceiverTime
from sync.central.app import build
from sync.central.store import CentralStore
from sync.transports.client import Way
from tests.sync.conformance.small_receiver import serving
from tests.sync.transports.test_receiver_time import key_pair


class WrongClock(SystemClock):
    """A board without a battery."""

    def wall_ms(self):
        return 0


@pytest.fixture
def dating():
    return Dating(WrongClock(), [lambda: None])


@pytest.fixture
async def way(tmp_path):
    private, _ = key_pair(tmp_path, "time")
    async with CentralStore.open(tmp_path / "central.db") as store, serving(build(store, private)) as url:
        yield Way(url=url)


async def asked(asker, until, monkeypatch):
    """Asks again and again until something is true, or for a second."""
    monkeypatch.setattr(receiver_time, "PAUSE_S", 0.01)
    task = asyncio.create_task(asker.run())
    for _ in range(100):
        await asyncio.sleep(0.01)
        if until():
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return until()


async def test_readings_get_their_date_from_the_receiver(way, dating, tmp_path, monkeypatch):
    def is_dated():
        dating.observe()
        return dating.trusted

    assert await asked(ReceiverTime(way, tmp_path / "time.pub", dating), is_dated, monkeypatch)
    assert dating.anchor.source == RECEIVER
    assert abs(dating.now_ms() - time.time_ns() // 1_000_000) < 1000


@pytest.mark.parametrize("wrong_ms", [None, 0, 1 << 42])
async def test_what_cannot_be_is_told_and_not_believed(way, dating, tmp_path, monkeypatch, caplog, wrong_ms):
    """Another key; a receiver whose own clock is in 1970, or in the next century."""
    key_file = key_pair(tmp_path, "stranger")[1] if wrong_ms is None else tmp_path / "time.pub"
    if wrong_ms is not None:
        monkeypatch.setattr("sync.central.app.time.time_ns", lambda: wrong_ms * 1_000_000)
    assert await asked(ReceiverTime(way, key_file, dating), lambda: bool(caplog.records), monkeypatch)
    dating.observe()
    assert not dating.trusted
    assert "receiver tells" in caplog.records[0].getMessage()


async def test_nobody_is_asked_while_readings_can_be_dated(unused_tcp_port, dating, tmp_path, monkeypatch, caplog):
    dating.hear(Anchor(offset_ms=1, source="hand"))
    dating.observe()
    nowhere = Way(url=f"http://127.0.0.1:{unused_tcp_port}")
    assert not await asked(ReceiverTime(nowhere, tmp_path / "none", dating), lambda: bool(caplog.records), monkeypatch)
