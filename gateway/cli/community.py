"""A small community as separate processes on real Modbus: simulated devices, the gateway, a central receiver."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.cli.child import READY_S, Child, discard
from gateway.cli.client import daemon
from gateway.cli.errors import CommandError
from gateway.cli.members import members
from gateway.config_file import duration_ms
from sync.central import access
from sync.central.store import open_access

GATEWAY_ID = "huxi-demo"
RESTART_S = 0.5


def free_port() -> int:
    """A TCP port of the loopback interface that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """True when `port` can be bound on the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass(slots=True, kw_only=True)
class Community:
    """Everything that runs, and what a test may do to it."""

    folder: Path
    page_port: int
    seed: int
    day_s: int = 60
    interval: str = "5s"
    checkpoint: str = "2s"
    simulator_arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """More arguments for the simulator of a device, by its name."""
    devices: dict[str, Child] = field(default_factory=dict)
    supervised: dict[str, Child] = field(default_factory=dict)
    _receiver_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _central_port: int = 0

    @property
    def config(self) -> Path:
        """The gateway's configuration."""
        return self.folder / "huxi.toml"

    @property
    def data_dir(self) -> Path:
        """The gateway's data folder."""
        return self.folder / "gateway"

    @property
    def central_url(self) -> str:
        """Where the receiver listens."""
        return f"http://127.0.0.1:{self._central_port}"

    @property
    def token(self) -> str:
        """The gateway's token at the receiver."""
        return (self.folder / "token").read_text().strip()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Community]:
        """Starts all processes, supervises gateway and receiver, ends all on the way out.

        Raises CommunityError, also into the block, when a part falls over for good.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = await self._start(group)
                yield self
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            await self._end()

    async def gateway_answers(self) -> None:
        """Waits until the gateway serves its API, and with it the page."""
        for _ in range(int(READY_S / 0.1)):
            with contextlib.suppress(CommandError), daemon(self.data_dir, self.config) as client:
                await asyncio.to_thread(client.get, "/api/v1/status")
                return
            await asyncio.sleep(0.1)
        raise self.supervised["gateway"].failed("does not answer")

    async def tell(self, device: str, do: str) -> dict[str, Any]:
        """Tells a simulator something and gives its answer: truth, freeze, vanish, return."""
        child = self.devices[device]
        if not child.running:
            raise child.failed("has died")
        assert child.process is not None
        assert child.process.stdin is not None
        child.process.stdin.write(json.dumps({"do": do}).encode() + b"\n")
        await child.process.stdin.drain()
        return await child.line()

    def period_ms(self, device: str) -> int:
        """How often a device is read."""
        return next(duration_ms(member.period) for member in members(self.day_s) if member.name == device)

    @property
    def checkpoint_ms(self) -> int:
        """What a kill may cost a register that only has power."""
        return duration_ms(self.checkpoint)

    async def kill_gateway(self) -> None:
        """kill -9; the supervisor starts it again, as systemd would."""
        await self.supervised["gateway"].end(signal.SIGKILL)

    async def stop_receiver(self) -> None:
        """Stops the receiver until `start_receiver`."""
        self._receiver_wanted.clear()
        await self.supervised["central"].end(signal.SIGKILL)

    async def start_receiver(self) -> None:
        """Lets the supervisor start the receiver again."""
        self._receiver_wanted.set()

    async def _start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        with contextlib.closing(open_access(str(self.folder / "central"))) as database:
            _secret_file(self.folder / "token", access.add(database, GATEWAY_ID, access.GATEWAY, "demo", "demo"))
        self._central_port = free_port()
        self._receiver_wanted.set()
        urls = await self._start_devices()
        self.config.write_text(self._configuration(urls), encoding="utf-8")
        central = [
            "central",
            "serve",
            "--db",
            str(self.folder / "central"),
            "--listen",
            f"127.0.0.1:{self._central_port}",
        ]
        self.supervised["central"] = Child("central", central, self.folder)
        self.supervised["gateway"] = Child("gateway", ["run", "-c", str(self.config)], self.folder)
        for child in self.supervised.values():
            await child.start()
        return [group.create_task(self._supervise(child)) for child in self.supervised.values()]

    async def _start_devices(self) -> dict[str, str]:
        plan = members(self.day_s)
        for number, member in enumerate(plan):
            listen = member.listen.format(dir=self.folder)
            arguments = ["simulate", "--profile", member.profile, "--listen", listen, "--control"]
            arguments += ["--seed", str(self.seed + number), *member.arguments]
            arguments += self.simulator_arguments.get(member.name, ())
            child = Child(member.name, arguments, self.folder)
            self.devices[member.name] = child
            await child.start()
        urls = {}
        for member in plan:
            urls[member.name] = (await self.devices[member.name].line())["url"]
        return urls

    def _configuration(self, urls: dict[str, str]) -> str:
        parts = [
            "[gateway]",
            f'id = "{GATEWAY_ID}"',
            'region = "CN-SC"',
            'timezone = "Asia/Shanghai"',
            'data_dir = "gateway"',
            f'checkpoint = "{self.checkpoint}"',
            'clock = "system"',  # all of the community lives on this machine and by its clock
            "",
        ]
        for member in members(self.day_s):
            parts += ["[[link]]", f'name = "{member.name}"', f'url = "{urls[member.name]}"', ""]
            parts += [
                "[[device]]",
                f'name = "{member.name}"',
                f'link = "{member.name}"',
                f'profile = "{member.profile}"',
            ]
            parts += [
                f'role = "{member.role}"',
                f'period = "{member.period}"',
                *([member.extra] if member.extra else []),
                "",
            ]
        parts += ["[carbon]", f'interval = "{self.interval}"', "", "[sync]", f'url = "{self.central_url}"']
        parts += ['token_file = "token"', "", "[web]", f'listen = "127.0.0.1:{self.page_port}"', ""]
        return "\n".join(parts)

    async def _supervise(self, child: Child) -> None:
        """Starts a child again when it dies, a moment later, unless a test holds it down."""
        while True:
            assert child.process is not None
            drain = asyncio.create_task(discard(child.process.stdout))
            await child.process.wait()
            await drain
            await asyncio.sleep(RESTART_S)
            if child.process.returncode == 2:
                raise child.failed("cannot start")
            if child.name == "central":
                await self._receiver_wanted.wait()
            await child.start()

    async def _end(self) -> None:
        for child in (*self.supervised.values(), *self.devices.values()):
            await child.end()


def _secret_file(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="utf-8")
