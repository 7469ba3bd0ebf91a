"""Chart: the rollups of one channel over a span, as columns with a place for each step."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any, Final

from gateway.store.database import Store
from gateway.store.series import channels, rollups
from gateway.store.series.channels import ChannelName
from gateway.store.series.rollups import DAY_MS, MINUTE_MS, QUARTER_MS, Packed

MOST_MINUTES_MS: Final = 2 * DAY_MS
"""Longest span that is shown by the minute."""
LONGEST_MS: Final = 93 * DAY_MS


async def chart(
    store: Store, device: str, point: str, *, t0_ms: int, t1_ms: int, minutes_from_ms: int
) -> dict[str, Any] | None:
    """`web.models.Chart` of [t0_ms, t1_ms), at most LONGEST_MS; None when nothing of the point was ever kept.

    By the minute for a span of up to MOST_MINUTES_MS from `minutes_from_ms` on, else by the quarter of an hour. Rows
    are fetched on the store's thread, which takes a millisecond or two, and read on another: no commit waits for that.
    """
    step_ms = MINUTE_MS if t1_ms - t0_ms <= MOST_MINUTES_MS and t0_ms >= minutes_from_ms else QUARTER_MS
    found = await store.read(_fetch, device, point, t0_ms, t1_ms, step_ms)
    if found is None:
        return None
    return await asyncio.to_thread(_columns, *found, t0_ms, t1_ms, step_ms)


def _fetch(
    conn: sqlite3.Connection, device: str, point: str, t0_ms: int, t1_ms: int, step_ms: int
) -> tuple[Packed, ChannelName] | None:
    channel = channels.find(conn, device, point)
    if channel is None:
        return None
    number, name = channel
    return rollups.read(conn, number, t0_ms, t1_ms, step_ms), name


def _columns(packed: Packed, name: ChannelName, t0_ms: int, t1_ms: int, step_ms: int) -> dict[str, Any]:
    samples = packed.samples(step_ms)
    steps = range(t0_ms // step_ms, -(-t1_ms // step_ms))
    cells = [samples.get(step) for step in steps]
    # Of a counter nothing but the last count says anything.
    spread = [None if name.is_counter else cell for cell in cells]
    return {
        "unit": name.unit,
        "step_ms": step_ms,
        "t_ms": [step * step_ms for step in steps],
        "readings": [cell.readings if cell else 0 for cell in cells],
        "min": [cell and cell.least for cell in spread],
        "mean": [cell and cell.mean for cell in spread],
        "max": [cell and cell.most for cell in spread],
        "last": [cell and cell.last for cell in cells],
    }
