"""A connection to an MQTT broker; the only place that knows aiomqtt."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiomqtt

from sync.errors import Refused, SyncError, Unreachable, Untrusted
from sync.telemetry.address import BrokerAddress

ANSWER_TIMEOUT_S: Final = 5.0
"""Longest wait for the broker's word on one message; a broker that froze is noticed by it."""
KEEPALIVE_S: Final = 10
"""Silence after which each side asks for the other; a connection that we have given up closes by it, too."""
FAREWELL_TIMEOUT_S: Final = 1.0
MOST_WAITING: Final = 1000
"""Messages from the broker that wait for us at most; what comes on top is dropped."""

_NOT_ALLOWED = frozenset({134, 135})
"""Reason codes: bad user name or password, not authorised (MQTT 5, 3.2.2.2; older codes are translated to them)."""


class Broker:
    """A broker and who we are to it. Connects anew each time it is asked to."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        identifier: str,
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._identifier = identifier
        self._username = username
        self._password = password
        self._tls = tls
        self._name = f"{address.host}:{address.port}"

    @asynccontextmanager
    async def connect(self, *, will: tuple[str, bytes]) -> AsyncIterator[Session]:
        """A session for as long as the block lasts.

        `will` (topic, payload) is what the broker tells everybody, retained, when we are gone: by itself when the
        connection breaks, by our own farewell when we are cancelled. Raises Unreachable, Refused or Untrusted.
        """
        topic, payload = will
        try:
            async with aiomqtt.Client(
                self._address.host,
                self._address.port,
                identifier=self._identifier,
                username=self._username,
                password=self._password,
                tls_context=self._tls,
                will=aiomqtt.Will(topic, payload, qos=1, retain=True),
                clean_session=True,
                timeout=ANSWER_TIMEOUT_S,
                keepalive=KEEPALIVE_S,
                max_queued_incoming_messages=MOST_WAITING,
                logger=_quiet(),
            ) as client:
                session = Session(client, self._name)
                try:
                    yield session
                except asyncio.CancelledError:
                    with suppress(SyncError, TimeoutError):
                        async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                            await session.publish(topic, payload, retain=True)
                    raise
        except aiomqtt.MqttError as error:
            raise _translated(error, self._name) from None


class Session:
    """One connection to a broker."""

    def __init__(self, client: aiomqtt.Client, name: str) -> None:
        self._client = client
        self._name = name

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Returns when the broker has the message; raises Unreachable when it does not say so in time."""
        try:
            await self._client.publish(topic, payload, qos=1, retain=retain)
        except aiomqtt.MqttError as error:
            raise _translated(error, self._name) from None
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # aiomqtt waits by asyncio.wait_for, which before Python 3.12 loses a cancellation that meets the answer.
            raise asyncio.CancelledError

    async def subscribe(self, topics: tuple[str, ...]) -> None:
        """Asks for these topics, patterns allowed."""
        try:
            await self._client.subscribe([(topic, 1) for topic in topics])
        except aiomqtt.MqttError as error:
            raise _translated(error, self._name) from None

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """Topic and payload of what comes; ends by raising Unreachable when the connection does."""
        try:
            async for message in self._client.messages:
                payload = message.payload
                yield message.topic.value, payload if isinstance(payload, bytes) else b""
        except aiomqtt.MqttError as error:
            raise _translated(error, self._name) from None


def _translated(error: aiomqtt.MqttError, name: str) -> SyncError:
    code = getattr(error, "rc", None)
    if getattr(code, "value", code) in _NOT_ALLOWED:
        return Refused(f"the broker {name} refuses the user name or password")
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return Untrusted(f"the certificate of the broker {name} is not trusted: {text}")
    if text == "Operation timed out":
        text = f"no answer in {ANSWER_TIMEOUT_S:g} s"
    return Unreachable(f"the broker {name} cannot be reached: {text}")


def _quiet() -> logging.Logger:
    """A logger for aiomqtt that says nothing: what matters reaches us as an error."""
    logger = logging.getLogger("huxi.telemetry.aiomqtt")
    logger.setLevel(logging.CRITICAL)
    return logger
