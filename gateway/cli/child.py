"""One process of the community: `huxi` itself, with other arguments and its log in a file."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

READY_S = 30.0
PR_SET_PDEATHSIG = 1  # prctl(2)


class CommunityError(Exception):
    """A part of the community could not be started or fell over; the message says which and where its log is."""


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


def _die_with_parent() -> None:
    """Runs in the child: a demo that is killed leaves no process behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def discard(stream: asyncio.StreamReader | None) -> None:
    """Reads and drops a stream to its end, so that its writer never waits."""
    while stream is not None and await stream.read(65536):
        pass
