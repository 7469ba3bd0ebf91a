"""A PostgreSQL server of our own for tests and benchmarks: in a temporary folder, on a Unix socket only."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

USER = "postgres"
MISSING = "PostgreSQL is not installed (scripts/system-packages.sh PYTHON test)"


def programs() -> Path | None:
    """The folder of initdb and pg_ctl of the newest PostgreSQL here."""
    beside = shutil.which("initdb")
    found = [Path(beside).parent] if beside else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(re.sub(r"\D", "", str(path))))
    return found[-1] if found else None


class Cluster:
    """The running server."""

    def __init__(self, folder: Path, bin_: Path) -> None:
        self._folder = folder
        self._bin = bin_
        self._number = count()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"postgresql:///postgres?host={self._folder}&user={USER}"

    def new(self) -> str:
        """The address of an empty schema, which is quicker made than a database."""
        name = f"huxi_{next(self._number)}"
        query(self.url, f"CREATE SCHEMA {name}")
        return f"{self.url}&options=-csearch_path%3D{name}"

    def control(self, *arguments: str) -> None:
        """Runs pg_ctl."""
        command = [str(self._bin / "pg_ctl"), "-D", str(self._folder / "data"), "-w", *arguments]
        _run(command, self._folder)

    def start(self) -> None:
        """Starts the server."""
        self.control("-l", str(self._folder / "log"), "-o", f"-k {self._folder} -c listen_addresses=''", "start")

    def kill(self) -> None:
        """Ends the server as a crash would: nothing is flushed, nobody is told."""
        self.control("-m", "immediate", "stop")


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    """Runs a statement at an address."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(text)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A server that lives as long as the block; `programs()` must have found one."""
    bin_ = programs()
    assert bin_ is not None, MISSING
    with tempfile.TemporaryDirectory(prefix="huxi-pg-") as name:
        folder = Path(name)
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, USER)
        folder.chmod(0o755)
        initdb = [
            str(bin_ / "initdb"),
            "-D",
            str(folder / "data"),
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        _run([*initdb, "--locale=C"], folder)
        server = Cluster(folder, bin_)
        server.start()
        try:
            yield server
        finally:
            server.kill()


def _run(command: list[str], folder: Path) -> None:
    user = USER if os.geteuid() == 0 else None
    done = subprocess.run(
        command, cwd=folder, user=user, group=user, extra_groups=[] if user else None, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
