"""A real mosquitto of our own: on loopback, on a free port, in a temporary folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

PATH = os.environ.get("PATH", "") + ":/usr/sbin"
MOSQUITTO = shutil.which("mosquitto", path=PATH)
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is missing: sudo apt-get install mosquitto")
PATIENCE_S = 20.0


class Mosquitto:
    """A broker process that a test starts, freezes, kills and starts again on the same port."""

    def __init__(self, folder: Path, *lines: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        user = "root" if os.getuid() == 0 else ""  # as root it would give its rights up, and not read the folder
        self._config = folder / f"mosquitto-{self.port}.conf"
        access = () if any(line.startswith("allow_anonymous") for line in lines) else ("allow_anonymous true",)
        text = [f"listener {self.port} 127.0.0.1", *([f"user {user}"] if user else []), *access, *lines]
        self._config.write_text("\n".join(text) + "\n", encoding="utf-8")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert MOSQUITTO is not None
        quiet = subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", str(self._config), stdout=quiet, stderr=quiet
        )
        async with asyncio.timeout(PATIENCE_S):
            while True:
                assert self._process.returncode is None, "mosquitto ended at once: is its configuration good?"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.01)
                    continue
                writer.close()
                await writer.wait_closed()
                return

    def freeze(self) -> None:
        """It keeps its connections and does nothing any more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self._process is not None
        await self._process.wait()

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class Witness:
    """Somebody else at the broker: notes all that is said there, and says something too."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.heard: list[tuple[str, bytes, bool]] = []
        """Topic, payload, and whether it was kept from before we came."""
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            async with self._news:
                self.heard.append((message.topic.value, message.payload, message.retain))
                self._news.notify_all()

    def of(self, topic: str) -> list[bytes]:
        """All that was said there, the oldest first."""
        return [payload for where, payload, _ in self.heard if where == topic]

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(happened)

    async def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        await self._client.publish(topic, payload, qos=1, retain=retain)


@asynccontextmanager
async def witness(port: int, username: str | None = None, password: str | None = None) -> AsyncIterator[Witness]:
    """Somebody who subscribes to everything."""
    async with aiomqtt.Client("127.0.0.1", port, username=username, password=password) as client:
        found = Witness(client)
        await client.subscribe("#", qos=1)
        listening = asyncio.create_task(found.listen())
        try:
            yield found
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def kept(port: int) -> dict[str, bytes]:
    """What the broker keeps, as somebody sees who comes now."""
    async with witness(port) as late:
        await late.say("the/end", b"")
        await late.until(lambda: late.of("the/end") != [])
        return {topic: payload for topic, payload, is_kept in late.heard if is_kept}


async def run(*command: str) -> None:
    """Runs a program that must succeed."""
    quiet = subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet, env={"PATH": PATH})
    assert await process.wait() == 0, command


async def eventually(happened: Callable[[], bool]) -> None:
    """Waits for real processes until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not happened():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.01)
