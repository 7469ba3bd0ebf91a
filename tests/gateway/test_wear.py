"""Promise 13: what wears a card out is the bytes at its block device; counted there, file system included."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gateway.store.database import SETTINGS
from gateway.store.registers import RegisterState
from tests.bench.wear import DEVICES, GOAL_BYTES, bytes_a_reading, day_MB
from tests.loop_disk import ROOT_NEEDED, LoopDisk, is_possible, loop_disk
from tests.scale import scaled
from tests.wear_site import WIDE

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_possible(), reason=ROOT_NEEDED)]

BLOCK = 1024
"""What mkfs.ext4 takes for a file system of this size; docs/promises.md says what larger blocks cost."""
PROMISED_MB = 30.0
"""The goal is 25, which is missed."""
WARM_S, MEASURED_S = scaled(4, 12) * 3600, scaled(4, 24) * 3600
RAW_S = scaled(600, 3600)


def on_disk(tmp_path: Path, measure: Callable[[LoopDisk], float]) -> float:
    with loop_disk(tmp_path, block_bytes=BLOCK) as disk:
        return measure(disk)


def test_promise_13_a_day_at_the_default_cadence(tmp_path: Path, figure: Callable[[str], None]) -> None:
    found_MB = on_disk(
        tmp_path, lambda disk: asyncio.run(day_MB(disk, disk.settle, warm_s=WARM_S, measured_s=MEASURED_S))
    )
    figure(f"{found_MB:.1f} MB a day")
    assert found_MB <= PROMISED_MB


def test_promise_13_a_row_a_register_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: states in rows of their own, as they once were."""

    def row_by_row(conn: sqlite3.Connection, rows: Iterable[RegisterState]) -> None:
        conn.execute("CREATE TABLE IF NOT EXISTS old (d TEXT, r TEXT, state TEXT, PRIMARY KEY (d, r)) WITHOUT ROWID")
        conn.executemany("INSERT OR REPLACE INTO old VALUES (?, ?, ?)", rows)

    monkeypatch.setattr("gateway.commit.registers.save", row_by_row)
    found_MB = on_disk(tmp_path, lambda disk: asyncio.run(day_MB(disk, disk.settle, warm_s=3600, measured_s=3600)))
    assert found_MB > PROMISED_MB


def test_promise_13_raw_series(tmp_path: Path, figure: Callable[[str], None]) -> None:
    found = on_disk(
        tmp_path, lambda disk: asyncio.run(bytes_a_reading(disk, disk.settle, warm_s=900, measured_s=RAW_S))
    )
    figure(f"{found:.1f} B a reading")
    assert found <= GOAL_BYTES


def test_promise_13_a_row_a_reading_is_noticed(tmp_path: Path) -> None:
    """The control: each value a row, committed each second."""
    assert on_disk(tmp_path, _narrow) > GOAL_BYTES


def _narrow(disk: LoopDisk) -> float:
    conn = sqlite3.connect(disk.folder / "narrow.db", isolation_level=None)
    for setting in SETTINGS:
        conn.execute(setting)
    conn.execute("CREATE TABLE reading (device INTEGER, t_ms INTEGER, point INTEGER, value REAL)")
    seconds, before = 60, disk.written()
    for second in range(seconds):
        conn.execute("BEGIN IMMEDIATE")
        rows = ((device, second, point, 1.5 * second) for device in range(DEVICES) for point in range(WIDE))
        conn.executemany("INSERT INTO reading VALUES (?, ?, ?, ?)", rows)
        conn.execute("COMMIT")
    conn.close()
    disk.settle()
    return (disk.written() - before) / (seconds * DEVICES * WIDE)
