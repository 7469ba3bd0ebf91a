"""The one task that keeps a broker told: it fetches the newest values when it has time, and nothing waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final, Literal, Never

from sync.backoff import Backoff, Pace
from sync.errors import Refused, SyncError, Untrusted

if TYPE_CHECKING:  # the MQTT library is for those who use it
    from sync.telemetry.broker import Broker, Session

ONLINE: Final = b"online"
OFFLINE: Final = b"offline"
UNREACHABLE: Final = Pace(base_s=1, cap_s=30)
"""Nobody there: an attempt costs little, and values should come soon after the broker is back."""
REFUSED: Final = Pace(base_s=30, cap_s=300)
"""Somebody has to mend a password or a certificate."""
STEADY_S: Final = 60.0
"""A connection that lasted this long was a good one: the next failure is a first one."""

Trouble = Literal["unreachable", "refused", "untrusted"]
Payload = Callable[[], bytes]
"""The bytes that a topic should have now."""

_log = logging.getLogger("huxi.telemetry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """What the broker is told."""

    status: str
    """Retained: `online` while we are, `offline` otherwise (also by the broker itself)."""
    announcements: Mapping[str, Payload]
    """Retained, sent when they change, and all of them when somebody asks."""
    values: Mapping[str, Payload]
    """Sent each period, not retained: a value that nobody renews must not look like one."""
    question: str | None
    """The topic where `online` asks for everything again; None when nobody asks."""
    ours: str | None
    """Pattern of the announcements; what is found there and is not among them is withdrawn."""


class Telemetry:
    """Tells `topics` to `broker`, newest first hand: each payload is made when its turn to be sent has come.

    There is no queue. A broker that is slow, frozen or away costs values that nobody saw, and no memory. All
    pauses are measured on the event loop's clock.
    """

    def __init__(self, broker: Broker, topics: Topics, *, url: str, period_s: float, random: Random) -> None:
        self._broker = broker
        self._topics = topics
        self._url = url
        self._period_s = period_s
        self._backoff = Backoff(random)
        self._connected: bool | None = None
        self._trouble: Trouble | None = None
        self._last_error: str | None = None
        self._told: dict[str, bytes] = {}
        """Announcements as the broker has them."""
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Connects, tells, and connects again; ends by cancellation only."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            wait_s = self._note(await self._session(), lasted_s=loop.time() - began)
            await asyncio.sleep(wait_s)

    def state(self) -> dict[str, Any]:
        """How the broker is, as JSON; `connected` is null until the first attempt has ended."""
        return {
            "url": self._url,
            "connected": self._connected,
            "trouble": self._trouble,
            "last_error": self._last_error,
        }

    async def _session(self) -> SyncError:
        """One connection from its begin to what ended it."""
        try:
            async with (
                self._broker.connect(will=(self._topics.status, OFFLINE)) as session,
                asyncio.TaskGroup() as tasks,
            ):
                await self._greet(session)
                tasks.create_task(self._listen(session))
                await self._tell(session)
        except* SyncError as failures:
            failure = failures.exceptions[0]
        assert isinstance(failure, SyncError)  # each task raises one of them, and never a group
        return failure

    async def _greet(self, session: Session) -> None:
        await session.publish(self._topics.status, ONLINE, retain=True)
        heard = tuple(topic for topic in (self._topics.question, self._topics.ours) if topic is not None)
        if heard:
            await session.subscribe(heard)
        self._told.clear()
        self._connected, self._trouble, self._last_error = True, None, None
        _log.info("broker_connected url=%s", self._url)

    async def _tell(self, session: Session) -> Never:
        while True:
            self._asked.clear()
            for topic, payload_of in self._topics.announcements.items():
                payload = payload_of()
                if self._told.get(topic) != payload:
                    await session.publish(topic, payload, retain=True)
                    self._told[topic] = payload
            for topic, payload_of in self._topics.values.items():
                await session.publish(topic, payload_of(), retain=False)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period_s):
                    await self._asked.wait()

    async def _listen(self, session: Session) -> None:
        async for topic, payload in session.messages():
            if topic == self._topics.question:
                if payload == ONLINE:
                    self._told.clear()
                    self._asked.set()
            elif payload and topic not in self._topics.announcements:
                _log.info("announcement_withdrawn topic=%s", topic)
                await session.publish(topic, b"", retain=True)

    def _note(self, failure: SyncError, *, lasted_s: float) -> float:
        """Seconds until the next attempt; one log line a change of state."""
        if lasted_s >= STEADY_S:
            self._backoff.reset()
        # The text only: the error itself holds on to the connection that it came from.
        trouble, error = _trouble(failure), str(failure)
        wait_s = self._backoff.next_s(UNREACHABLE if trouble == "unreachable" else REFUSED)
        if trouble != self._trouble:
            _log.warning("broker_lost error=%s retry_in_s=%.1f", error, wait_s)
        self._connected, self._trouble, self._last_error = False, trouble, error
        return wait_s


def _trouble(failure: SyncError) -> Trouble:
    if isinstance(failure, Refused):
        return "refused"
    return "untrusted" if isinstance(failure, Untrusted) else "unreachable"
