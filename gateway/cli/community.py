"""A small community as separate processes on real Modbus: simulated devices, the gateway, a central receiver."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.cli.client import daemon
from gateway.cli.errors import CommandError
from gateway.config import duration_ms

GATEWAY_ID = "huxi-demo"
READY_S = 30.0
RESTART_S = 0.5
PR_SET_PDEATHSIG = 1  # prctl(2)


class CommunityError(Exception):
    """A part of the community could not be started or fell over; the message says which and where its log is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One device of the community."""

    name: str
    role: str
    profile: str
    listen: str
    """What the simulator listens on; {dir} is the community's folder."""
    period: str = "1s"
    arguments: tuple[str, ...] = ()
    """More arguments for `huxi simulate`."""
    extra: str = ""
    """More lines for its table in the configuration."""


def members(day_s: float) -> tuple[Member, ...]:
    """The five devices; a day's shape is compressed into `day_s` seconds, power times seconds stays the energy."""
    day = ("--day", f"{day_s:g}")
    return (
        Member(
            name="pv-pergola",
            role="pv",
            profile="inverter/huawei-sun2000",
            listen="tcp://127.0.0.1:0",
            arguments=("--shape", "sun", *day),
            extra='baseline = "grid"\nmax_power_W = 30000',
        ),
        Member(
            name="hydro-supply",
            role="hydro",
            profile="meter/eastron-sdm630",
            listen="line://{dir}/ttyHYDRO?baud=9600&parity=N",
            arguments=("--shape", "steady", *day),
        ),
        Member(
            name="ev-charger",
            role="charger",
            profile="charger/keba-p30",
            listen="tcp://127.0.0.1:0",
            period="5s",
            # A few seconds of charging away from the end of its 32-bit counter: it wraps during the demo.
            arguments=("--shape", "charging", *day, "--start", "energy_total=4294967146"),
        ),
        Member(
            name="grid-meter",
            role="grid",
            profile="meter/chint-dtsu666",
            listen="tcp://127.0.0.1:0",
            arguments=("--shape", "evening", *day),
        ),
        Member(
            name="courtyard-wwtp",
            role="wastewater",
            profile="wastewater/wwtp-generic-v1",
            listen="tcp://127.0.0.1:0",
            arguments=("--shape", "pulse", "--power", "3000", *day),
            extra='supply = "own"',
        ),
    )


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


def _die_with_parent() -> None:
    """Runs in the child: a demo that is killed leaves no process behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One process of the community, with its log in a file; `huxi` itself is what it runs."""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, env: dict[str, str] | None = None) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = arguments
        self._env = env
        self.process: asyncio.subprocess.Process | None = None
        self.starts = 0

    async def start(self) -> None:
        """Starts it (again)."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "from gateway.cli.main import main; main()",
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._env,
                preexec_fn=_die_with_parent,
                start_new_session=True,
            )
        self.starts += 1

    @property
    def running(self) -> bool:
        """True while the process lives."""
        return self.process is not None and self.process.returncode is None

    async def end(self, how: signal.Signals = signal.SIGTERM, patience_s: float = 10.0) -> None:
        """Ends it and waits; SIGKILL when it does not listen."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            await asyncio.wait_for(self.process.wait(), patience_s)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def line(self, patience_s: float = READY_S) -> dict[str, Any]:
        """The next line of its output, as JSON."""
        assert self.process is not None
        assert self.process.stdout is not None
        try:
            raw = await asyncio.wait_for(self.process.stdout.readline(), patience_s)
            answer = json.loads(raw)
        except (TimeoutError, ValueError) as error:
            raise self.failed("gave no answer") from error
        if not isinstance(answer, dict):
            raise self.failed("answered nonsense")
        return answer

    def failed(self, what: str) -> CommunityError:
        """An error that shows the end of this child's log."""
        tail = self.log.read_text(errors="replace").strip().splitlines()[-3:] if self.log.exists() else []
        return CommunityError(f"{self.name} {what}" + (": " + " / ".join(tail) if tail else ""))


@dataclass(slots=True, kw_only=True)
class Community:
    """Everything that runs, and what a test may do to it."""

    folder: Path
    page_port: int
    seed: int
    day_s: float = 60.0
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
        token = secrets.token_urlsafe(24)
        _secret_file(self.folder / "token", token)
        _secret_file(self.folder / "tokens", f"{GATEWAY_ID}:{token}")
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
        self.supervised["central"] = Child(
            "central", [*central, "--token-file", str(self.folder / "tokens")], self.folder
        )
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
            drain = asyncio.create_task(_discard(child.process.stdout))
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


async def _discard(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(65536):
        pass


def _secret_file(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="utf-8")
