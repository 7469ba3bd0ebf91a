"""What the process that started us says: the only place where the environment is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the process that started us says: the only place where the environment is read."""

    notify_socket: str | None
    """Where systemd wants to hear of us, None when it does not."""
    watchdog_s: float | None
    """Longest silence that systemd's watchdog allows, None when it is off or meant for another process."""
    journal: bool
    """True when standard error goes to the journal."""


def read_environment(variables: Mapping[str, str] = os.environ, *, pid: int | None = None) -> Environment:
    """The environment, as systemd documents it (sd_notify(3), sd_watchdog_enabled(3), systemd.exec(5))."""
    usec = variables.get("WATCHDOG_USEC", "")
    ours = variables.get("WATCHDOG_PID", "") in ("", str(pid or os.getpid()))
    return Environment(
        notify_socket=variables.get("NOTIFY_SOCKET") or None,
        watchdog_s=int(usec) / 1e6 if usec.isdigit() and int(usec) > 0 and ours else None,
        journal="JOURNAL_STREAM" in variables,
    )
