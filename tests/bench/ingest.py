"""`python -m tests.bench.ingest`: batches into the receiver's databases, beside the bare bulk insert of the same rows.

Bare means: the same rows into the same tables, ready as tuples in memory, one transaction a batch; `executemany` for
SQLite, binary COPY for PostgreSQL. Ours unpacks, checks the chain, reads and judges the JSON, and commits.
"""

import gc
import multiprocessing
import statistics
import tempfile
import time
from contextlib import closing
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from random import Random
from typing import Any

from sync.central import ingest
from sync.central.database import Database
from sync.central.store import is_postgres, open_databases
from sync.messages import GENESIS, Batch, Record, chain
from sync.wire import decode_block, encode_batch, encode_block
from tests.bench.report import at_least, row, title
from tests.bench.restate import BOOKS, FIVE_MIN, MIDNIGHT, NAMES, _sweep
from tests.postgres import MISSING, cluster, programs

ROUNDS = 5
GOALS = {"SQLite": 0.5, "PostgreSQL": 0.4}


def sweeps(count: int, seed: int) -> list[tuple[bytes, bytes]]:
    """Bodies of intervals and of entries, 20 registers a sweep, as the gateway writes them, with energy that varies."""
    import sqlite3

    from gateway.carbon.booking.close import close
    from gateway.carbon.metering.sweep import Sweep
    from gateway.store.database import SCHEMA_VERSION
    from gateway.store.migrations import migrate

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        migrate(conn, SCHEMA_VERSION)
        close(conn, sweep=Sweep(intervals=_sweep()), books=BOOKS, now_ms=MIDNIGHT + FIVE_MIN)
        energy, carbon = (decode_block(body) for (body,) in conn.execute("SELECT body FROM record ORDER BY seq"))
    random = Random(seed)
    found = []
    for number in range(count):
        shift = number * FIVE_MIN
        amounts = [random.randrange(1_000_000) for _ in NAMES]
        columns = energy.columns | {
            "t0": [t + shift for t in energy.columns["t0"]],
            "t1": [t + shift for t in energy.columns["t1"]],
            "energy_mWh": amounts,
            "raw_begin": [10_000_000 * number + amount for amount in amounts],
            "raw_end": [10_000_000 * number + 2 * amount for amount in amounts],
        }
        pairs = zip(carbon.columns["emitted_ng"], carbon.columns["i"], strict=True)
        emitted = [0 if ng == 0 else 140_400 * amounts[i] for ng, i in pairs]
        entries = encode_block(
            "entries", carbon.meta | {"intervals_seq": 2 * number + 1}, carbon.columns | {"emitted_ng": emitted}
        )
        found.append((encode_block("intervals", energy.meta, columns), entries))
    return found


def batches(bodies: list[tuple[bytes, bytes]], sweeps_a_batch: int, gateway: str, epoch: str) -> list[bytes]:
    """The ledger as packed batches."""
    packed, seq, before = [], 1, GENESIS
    for first in range(0, len(bodies), sweeps_a_batch):
        records, after, begin = [], before, seq
        for pair in bodies[first : first + sweeps_a_batch]:
            for kind, body in zip(("intervals", "entries"), pair, strict=True):
                records.append(Record(stream="ledger", seq=seq, kind=kind, body=body))
                after = chain(after, seq, body)
                seq += 1
        batch = Batch(
            gateway=gateway,
            epoch=epoch,
            stream="ledger",
            first_seq=begin,
            hash_before=before,
            hash_after=after,
            records=tuple(records),
        )
        packed.append(encode_batch(batch))
        before = after
    return packed


class Recorder:
    """A Database that only notes what would be added: the rows for the bare insert."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.rows: list[tuple[str, list[tuple[Any, ...]]]] = []

    def append(self, table: str, rows: Any) -> None:
        self.rows.append((table, list(rows)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def rows_of(db: Database, packed: list[bytes], gateway: str) -> list[list[tuple[str, list[tuple[Any, ...]]]]]:
    """The rows of each batch, by table."""
    found = []
    for batch in packed:
        recorder = Recorder(db)
        ingest.take(recorder, gateway, "ledger", batch)
        found.append(recorder.rows)
    return found


def bare(db: Database, work: list[list[tuple[str, list[tuple[Any, ...]]]]]) -> None:
    for tables in work:
        with db.transaction():
            for table, rows in tables:
                db.append(table, rows)


def ours(db: Database, gateway: str, work: list[bytes]) -> None:
    for packed in work:
        ingest.take(db, gateway, "ledger", packed)


def worker(where: str, number: int, sweeps_a_batch: int, count: int, barrier: Barrier, answers: Any) -> None:
    """One process: rounds of bare and ours in turns, both beginning when all processes are ready."""
    if not is_postgres(where):
        where = f"{where}-{number}"
    databases, access = open_databases(where)
    db = databases[0]
    gateway = f"gateway-{number}"
    bodies = sweeps(sweeps_a_batch * count, number)
    for turn in range(ROUNDS + 1):
        shadow = batches(bodies, sweeps_a_batch, f"{gateway}-bare-{turn}", f"{turn:016x}")
        rows = rows_of(db, shadow, f"{gateway}-bare-{turn}")
        packed = batches(bodies, sweeps_a_batch, gateway, f"{turn:016x}")
        gc.collect()
        gc.freeze()  # what is ready in memory here is not the receiver's to walk through
        for name, work in (("bare", partial(bare, db, rows)), ("ours", partial(ours, db, gateway, packed))):
            barrier.wait()
            begin, cpu = time.perf_counter(), time.process_time()
            work()
            spent = (time.perf_counter() - begin, time.process_time() - cpu)
            barrier.wait()
            answers.put((turn, name, *spent))
        gc.unfreeze()
    for database in (*databases, access):
        database.close()


def measure(name: str, where: str, processes: int, sweeps_a_batch: int, count: int, goal: float | None) -> None:
    """Runs the processes and reports; the first round is not counted."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(processes), context.Queue()
    running = [
        context.Process(target=worker, args=(where, number, sweeps_a_batch, count, barrier, answers))
        for number in range(processes)
    ]
    for process in running:
        process.start()
    times: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for _ in range(2 * processes * (ROUNDS + 1)):
        turn, kind, wall_s, cpu_s = answers.get(timeout=600)
        times.setdefault((turn, kind), []).append((wall_s, cpu_s))
    for process in running:
        process.join()
    slowest = {key: max(wall_s for wall_s, _ in found) for key, found in times.items()}
    turns = range(1, ROUNDS + 1)
    rows = processes * count * sweeps_a_batch * (20 + 24)
    label = f"{name}, {processes} process{'es' if processes > 1 else ''}, {sweeps_a_batch} sweep(s) a batch"
    for kind in ("bare", "ours"):
        median_s = statistics.median(slowest[turn, kind] for turn in turns)
        cpu_s = statistics.median(sum(cpu_s for _, cpu_s in times[turn, kind]) for turn in turns)
        note = f"{median_s / count * 1000:.1f} ms a batch, {cpu_s / rows * 1e6:.1f} us CPU a row in our processes"
        row(f"{label}: {kind}", f"{rows / median_s:,.0f} rows/s", note)
    ratio = statistics.median(slowest[turn, "bare"] / slowest[turn, "ours"] for turn in turns)
    if goal is None:
        row(f"{label}: ours / bare", f"{ratio:.3f} x")
    else:
        at_least(f"{label}: ours / bare", ratio, goal)


def run() -> None:
    """Both databases, 1 and 2 processes; batches of a gateway that catches up, and of one that is online."""
    title("receiver: ingest beside the bare bulk insert of the same rows (20 registers, 24 entries a sweep)")
    with tempfile.TemporaryDirectory() as folder:
        for processes in (1, 2):
            where = str(Path(folder) / f"central-{processes}")
            measure("SQLite", where, processes, 60, 8, GOALS["SQLite"])
            measure("SQLite", f"{where}-live", processes, 1, 60, None)
    if programs() is None:
        row("PostgreSQL", "not measured", MISSING)
        return
    with cluster() as server:
        for processes in (1, 2):
            measure("PostgreSQL", server.new(), processes, 60, 8, GOALS["PostgreSQL"])
            measure("PostgreSQL", server.new(), processes, 1, 60, None)


if __name__ == "__main__":
    run()
