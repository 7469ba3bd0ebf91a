"""Restating beside a working gateway: writers come in between, and a kill leaves whole days only."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.carbon.booking.close import Books
from gateway.carbon.booking.entries import Scope
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.proof.auditor import Auditor
from gateway.ledger_desk import LedgerDesk
from gateway.store import totals
from gateway.store.audit.verification import verify
from gateway.store.database import FILE_NAME, Store
from gateway.store.totals import DayTotal

DAY = 86_400_000
MIDNIGHT = 1_733_760_000_000
LATER = MIDNIGHT + 60 * DAY
FACTORS = FactorSet.load(shipped())
BOOKS = Books(scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"), factors=FACTORS, devices={})


def desk_of(store: Store, now_ms: int = LATER) -> LedgerDesk:
    dating: Any = SimpleNamespace(trusted=True, now_ms=lambda: now_ms)
    return LedgerDesk(store=store, books=BOOKS, dating=dating, on_write=lambda: None)


async def restate_all(desk: LedgerDesk, run: str, told: Callable[[str], None]) -> None:
    plan = await desk.restatement_plan("cn-grid", date.min, date.max)
    for day in plan["days"]:
        await desk.restate(date.fromisoformat(day), "cn-grid", run, "", False)
        told(day)


async def test_writers_come_in_between_and_what_they_write_is_taken_in(tmp_path: Path, gateway: type) -> None:
    async with Store.open(tmp_path) as store:

        def fill(conn: sqlite3.Connection) -> None:
            for number in range(280):
                gateway(conn).sweep(number * 5, [1])

        def one_more(conn: sqlite3.Connection, number: int) -> None:
            gateway(conn).sweep(number * 5, [1])

        await store.run(fill)
        desk = desk_of(store)
        work = asyncio.ensure_future(desk.restate(date(2024, 12, 10), "cn-grid", "run", "", False))
        written = 280
        while not work.done():
            await store.run(one_more, written)
            written += 1
        (change,) = (await work)["changes"]
        assert written - 280 >= 3  # 560 records are read in steps of 200
        assert 280 < change["entries"] <= written
        assert await store.read(verify, Auditor(FACTORS)) == []
        again = await desk.restate(date(2024, 12, 10), "cn-grid", "again", "", False)
        assert [each["entries"] for each in again["changes"]] in ([], [written - change["entries"]])


RESTATER = """
import asyncio, sys
from pathlib import Path
from test_restating import desk_of, restate_all
from gateway.store.database import Store

async def main(folder):
    async with Store.open(folder) as store:
        await restate_all(desk_of(store), "first", lambda day: print(day, flush=True))

asyncio.run(main(Path(sys.argv[1])))
"""


def fill_days(gateway: type) -> Callable[[sqlite3.Connection], None]:
    def fill(conn: sqlite3.Connection) -> None:
        for day in range(9):
            site = gateway(conn, MIDNIGHT + day * DAY)
            for number in range(0, 288, 24):
                site.sweep(number * 5, [1, 2, 3])
            site.step(0, 9, rows=3)

    return fill


def restated_blocks(folder: Path) -> list[dict[str, Any]]:
    """What the restatement records say, but for who wrote them and when."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as conn:
        found = conn.execute("SELECT body FROM record WHERE kind = 'restatement' ORDER BY seq").fetchall()
    blocks = [json.loads(body) for (body,) in found]
    for block in blocks:
        del block["meta"]["run"], block["meta"]["booked_ms"]
    return blocks


def sums(folder: Path) -> list[DayTotal]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as conn:
        assert verify(conn, Auditor(FACTORS)) == []
        return totals.query(conn, "0", "9")


@pytest.mark.slow
def test_kill_9_leaves_whole_days_and_the_next_run_goes_on(
    tmp_path: Path, gateway: type, write_in: Callable[..., None]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        write_in(folder, fill_days(gateway))

    async def run(folder: Path) -> None:
        async with Store.open(folder) as store:
            await restate_all(desk_of(store, LATER + 1), "second", lambda day: None)

    asyncio.run(run(whole))
    for days in (2, 5, 7):
        command = [sys.executable, "-c", RESTATER, str(killed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent, text=True) as process:
            assert process.stdout is not None
            for _ in range(days):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    done = len(restated_blocks(killed))
    assert done >= 7
    asyncio.run(run(killed))
    assert restated_blocks(killed) == restated_blocks(whole)
    assert len(restated_blocks(whole)) == 9
    assert sums(killed) == sums(whole)
