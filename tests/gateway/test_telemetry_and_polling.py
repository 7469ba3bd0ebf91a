"""Nothing of telemetry can slow polling: no broker, however ill, moves a poll."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from ext import Quality
from gateway.clock import SystemClock
from gateway.poller import Poller
from sync.errors import Unreachable
from sync.telemetry import broker as broker_module
from sync.telemetry.address import BrokerAddress
from sync.telemetry.broker import Broker
from sync.telemetry.telemetry import Telemetry, Topics
from tests.gateway.test_poller import LoopClock, ScriptedDevice
from tests.sync.telemetry.mosquitto import Mosquitto, eventually, needs_mosquitto
from tests.virtual_bus import VirtualLoop, run_in_virtual_time

SPAN_S = 300


class IllBroker:
    """Takes `takes_s` for each message, and fails instead when that is longer than anybody waits."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.told = 0
        self.oldest_s = 0.0
        """The greatest age of a value when its turn to be sent had come."""

    @asynccontextmanager
    async def connect(self, *, will: tuple[str, bytes]) -> AsyncIterator["IllBroker"]:
        yield self

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if not retain:
            self.oldest_s = max(self.oldest_s, asyncio.get_running_loop().time() - float(payload))
        await asyncio.sleep(min(self.takes_s, broker_module.ANSWER_TIMEOUT_S))
        if self.takes_s > broker_module.ANSWER_TIMEOUT_S:
            raise Unreachable("it is frozen")
        self.told += 1

    async def subscribe(self, topics: tuple[str, ...]) -> None:
        pass

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        await asyncio.Event().wait()
        yield "", b""


class BlockingBroker(IllBroker):
    """Stops the whole loop for each message, as a call that waits for its socket would."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.now += self.takes_s


def topics(devices: int) -> Topics:
    """Values that are the time at which they were made."""
    values = {f"huxi/s/devices/{n}": lambda: str(asyncio.get_running_loop().time()).encode() for n in range(devices)}
    return Topics(status="huxi/s/status", announcements={}, values=values, question=None, ours=None)


def polls_of_a_while(broker: IllBroker | None) -> list[float]:
    """When a device is read within SPAN_S, beside a telemetry of a hundred devices or without one."""
    device = ScriptedDevice("d", Quality.OK, 0.02)

    async def main() -> None:
        poller = Poller([(device, 1000)], clock=LoopClock(), on_reading=lambda reading: None)  # type: ignore[list-item]
        async with asyncio.timeout(SPAN_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(poller.run())
            if broker is not None:
                telemetry = Telemetry(broker, topics(100), url="", period_s=1, random=Random(1))  # type: ignore[arg-type]
                tasks.create_task(telemetry.run())

    with pytest.raises(TimeoutError):
        run_in_virtual_time(main())
    return device.read_at


@pytest.mark.parametrize("takes_s", [0.0, 0.9, 1e9])
def test_a_broker_that_is_slow_or_frozen_moves_no_poll(takes_s: float) -> None:
    broker = IllBroker(takes_s)
    alone, beside = polls_of_a_while(None), polls_of_a_while(broker)
    assert len(alone) == SPAN_S + 1
    assert beside == alone
    assert broker.oldest_s == 0, "a slow broker gets fewer values, not older ones"
    assert (broker.told > SPAN_S / 2) == (takes_s < 1), "the broker was told what it took"


def test_a_telemetry_that_waited_would_be_seen() -> None:
    """Control: polls move when something holds the loop."""
    assert polls_of_a_while(BlockingBroker(0.9)) != polls_of_a_while(None)


@needs_mosquitto
async def test_polls_go_on_while_a_real_broker_is_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls are counted between the freeze and the moment it is noticed: a loop that waited would count none."""
    monkeypatch.setattr(broker_module, "ANSWER_TIMEOUT_S", 1.0)
    mosquitto = Mosquitto(tmp_path)
    await mosquitto.start()
    device = ScriptedDevice("d", Quality.OK, 0)
    poller = Poller([(device, 20)], clock=SystemClock(), on_reading=lambda reading: None)  # type: ignore[list-item]
    broker = Broker(BrokerAddress(host="127.0.0.1", port=mosquitto.port, tls=False), identifier="huxi-s")
    telemetry = Telemetry(broker, topics(100), url="", period_s=0.05, random=Random(1))
    tasks = [asyncio.create_task(poller.run()), asyncio.create_task(telemetry.run())]
    try:
        await eventually(lambda: telemetry.state()["connected"] is True)
        mosquitto.freeze()
        before = len(device.read_at)
        await eventually(lambda: telemetry.state()["connected"] is False)
        assert len(device.read_at) - before >= 10
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await mosquitto.stop()
