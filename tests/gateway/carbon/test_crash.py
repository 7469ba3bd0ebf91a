"""A real writer process, killed without warning: what it called stored is there, whole and in order."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals
from gateway.carbon.proof.auditor import Auditor
from gateway.store.audit.verification import verify
from gateway.store.database import Store, open_offline
from sync.wire import decode_block

# A counter that gains one count (1 Wh) a second, read each second of a made-up time as fast as it goes. It
# goes on from the stored state; each line it prints is the last second that was stored.
WRITER = """
import asyncio, sys
from array import array
from pathlib import Path
from drivers.device import Reading
from ext import CounterSpec
from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.register_spec import RegisterSpec
from gateway.carbon.booking.rules import Declaration
from gateway.store import registers
from gateway.store.database import Store

BEGIN = 1_790_000_100_000
FACTORS = FactorSet.load(shipped())
BOOKS = Books(scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"), factors=FACTORS,
              devices={"m": Declaration(role="grid")})
COUNTER = CounterSpec(2**32, 1000, 1, 50_000, 60, 1, 0)
SPEC = RegisterSpec(device="m", register="r", flow="import", point=0, max_gap_ms=3000, counter=COUNTER)

def write(conn, sweep, states, now_ms):
    close(conn, sweep=sweep, books=BOOKS, now_ms=now_ms)
    registers.save(conn, states)

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        meter = Meter([SPEC], 300_000, lambda t0, t1: FACTORS.boundaries("CN-SC", t0, t1))
        meter.load(await store.read(registers.load_all))
        second = max(0, (meter.newest_ms - BEGIN) // 1000) + 7
        while True:
            meter.feed(Reading(device="m", mono_ns=0, values=array("d", [0]), raws=array("q", [second]),
                exponents=array("b", [0]), ulps=array("q", [0]), quality=array("B", [0]), texts={}),
                BEGIN + 1000 * second)
            if second % 50 == 0 or meter.needs_checkpoint:
                sweep, states = meter.sweep(BEGIN + 1000 * second), meter.states()
                await store.run(write, sweep, states, BEGIN + 1000 * second)
                meter.saved()
                print(second, flush=True)
            second += 1

asyncio.run(main())
"""


def last_second_before_the_kill(folder: Path, lines: int) -> int:
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stored = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        stored += process.stdout.readlines()
    return int([line for line in stored if line.endswith("\n")][-1])


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    stored = [last_second_before_the_kill(tmp_path, lines) for lines in (30, 1, 45)]
    assert stored == sorted(stored)

    async def open_once() -> None:  # folds the write-ahead log of the killed process in
        async with Store.open(tmp_path):
            pass

    asyncio.run(open_once())
    conn = open_offline(tmp_path)
    assert verify(conn, Auditor(FactorSet.load(shipped()))) == []
    parts = [
        Intervals.from_block(decode_block(body))
        for (body,) in conn.execute("SELECT body FROM record WHERE kind = 'intervals' ORDER BY seq")
    ]
    conn.close()
    t0s = [t0 for part in parts for t0 in part.t0_ms]
    t1s = [t1 for part in parts for t1 in part.t1_ms]
    energy = sum(energy or 0 for part in parts for energy in part.energy_mWh)
    assert t0s[1:] == t1s[:-1]
    # A count a second, 1000 mWh a count: the energy is the time, over both kills.
    assert energy == t1s[-1] - t0s[0]
    assert t1s[-1] > 1_790_000_100_000 + 1000 * stored[-1] - 300_000
