"""How often a broker is tried, in virtual time: never a hot loop, however it fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from sync.errors import Refused, SyncError, Unreachable, Untrusted
from sync.telemetry.telemetry import Telemetry, Topics
from tests.virtual_bus import run_in_virtual_time

HOUR_S = 3600
TOPICS = Topics(status="s", announcements={}, values={"v": lambda: b"1"}, question=None, ours=None)


class FailingBroker:
    """Fails in one way: at once, or by ending each connection after `lasts_s`."""

    def __init__(self, error: SyncError, lasts_s: float | None = None) -> None:
        self.error = error
        self.lasts_s = lasts_s
        self.tried_at: list[float] = []

    @asynccontextmanager
    async def connect(self, *, will: tuple[str, bytes]) -> AsyncIterator["FailingBroker"]:
        self.tried_at.append(asyncio.get_running_loop().time())
        if self.lasts_s is None:
            raise self.error
        yield self

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        pass

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        assert self.lasts_s is not None
        await asyncio.sleep(self.lasts_s)
        raise self.error
        yield "", b""


def tries_of_an_hour(broker: FailingBroker) -> int:
    async def main() -> None:
        telemetry = Telemetry(broker, TOPICS, url="", period_s=10, random=Random(1))  # type: ignore[arg-type]
        async with asyncio.timeout(HOUR_S):
            await telemetry.run()

    with pytest.raises(TimeoutError):
        run_in_virtual_time(main())
    return len(broker.tried_at)


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [(Unreachable("away"), 120, 400), (Refused("no"), 15, 60), (Untrusted("who?"), 15, 60)],
)
def test_a_broker_that_fails_for_an_hour_is_tried_with_patience(error: SyncError, least: int, most: int) -> None:
    assert least < tries_of_an_hour(FailingBroker(error)) < most


def test_one_that_throws_us_out_at_once_is_no_hot_loop() -> None:
    """Two gateways of one id throw each other out: each connection is good, and short."""
    assert tries_of_an_hour(FailingBroker(Unreachable("thrown out"), lasts_s=0.1)) < 400


def test_after_a_long_connection_the_first_attempt_comes_soon() -> None:
    broker = FailingBroker(Unreachable("restarted"), lasts_s=100)
    tries_of_an_hour(broker)
    gaps = [later - sooner for sooner, later in zip(broker.tried_at, broker.tried_at[1:], strict=False)]
    assert len(gaps) > 30
    assert all(100 <= gap <= 101 for gap in gaps)
