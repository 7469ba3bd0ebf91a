"""Stored day totals that somebody tampered with."""

import sqlite3
from collections import defaultdict
from dataclasses import replace
from typing import Any

from gateway.store import totals
from gateway.store.totals import DayTotal


def tamper(
    conn: sqlite3.Connection, *, of_device: str | None = None, of_day: str | None = None, **changes: Any
) -> None:
    """Changes fields of the totals of a device and a day; None: of all."""
    days: defaultdict[str, list[DayTotal]] = defaultdict(list)
    for total in totals.query(conn, "0", "9"):
        is_meant = of_device in (None, total.device) and of_day in (None, total.day)
        changed = replace(total, **changes) if is_meant else total
        days[changed.day].append(changed)
    conn.execute("DELETE FROM day_total")
    for day, found in days.items():
        totals.save(conn, day, found)
