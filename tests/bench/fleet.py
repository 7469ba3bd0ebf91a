"""`python -m tests.bench.fleet`: what docs/scaling.md rests on. A month of one gateway, then many that are online."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sync.central import access, ingest, queries
from sync.central.database import Database
from sync.central.queries import Span
from sync.central.store import open_databases
from tests.bench.ingest import batches, sweeps
from tests.bench.report import row, title
from tests.postgres import cluster, query

DAYS = 30
SWEEPS_A_DAY = 288
GATEWAYS = 2000
ROWS_A_SWEEP = 44


def a_month(db: Database, where: str) -> None:
    """One gateway of 20 registers catches up with a month."""
    packed = batches(sweeps(DAYS * SWEEPS_A_DAY, 1), 60, "big", "0" * 16)
    begin = time.perf_counter()
    for batch in packed:
        ingest.take(db, "big", "ledger", batch)
    spent_s = time.perf_counter() - begin
    rows = DAYS * SWEEPS_A_DAY * ROWS_A_SWEEP
    row("catching up", f"{rows / spent_s:,.0f} rows/s", f"{rows:,} rows, one process")
    for table, count in (("record", 2), ("interval", 20), ("entry", 24)):
        ((size,),) = query(
            where,
            f"SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = '{table}'::regclass",
        )
        row(f"  {table}", f"{int(size) / (DAYS * SWEEPS_A_DAY * count):.0f} B a row", "with its index")
    row("  on the wire", f"{sum(map(len, packed)) / rows:.1f} B a row", "gzip")


def questions(db: Database, where: str) -> None:
    """How long answers about that month take."""
    query(where, "VACUUM ANALYZE")
    asked: dict[str, Callable[[], object]] = {
        "totals of the month": lambda: queries.totals(db, "big"),
        "1,000 intervals from its middle": lambda: queries.intervals(db, "big", Span(0, 2**53, "1.8000.0", 1000)),
        "1,000 entries from its middle": lambda: queries.ledger(db, "big", Span(0, 2**53, "1.8000.0", 1000)),
        "health of 1,000 gateways": lambda: queries.health(
            db, access.parties(db, access.GATEWAY, limit=1000), time.time_ns() // 1_000_000
        ),
    }
    for name, ask in asked.items():
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            ask()
            times.append(time.perf_counter() - begin)
        row(name, f"{statistics.median(times) * 1000:.0f} ms")


def many_online(databases: list[Database]) -> None:
    """Each gateway brings one sweep, as every five minutes; one process, a few connections."""
    ((energy, entries),) = sweeps(1, 2)
    work = [(f"g-{n:06}", batches([(energy, entries)], 1, f"g-{n:06}", "0" * 16)[0]) for n in range(GATEWAYS)]
    with ThreadPoolExecutor(len(databases)) as pool:
        for turn in ("first sweep (names are new)", "second sweep"):
            begin = time.perf_counter()
            shares = [work[number :: len(databases)] for number in range(len(databases))]
            list(pool.map(_deliver, databases, shares))
            row(f"online, {turn}", f"{GATEWAYS / (time.perf_counter() - begin):,.0f} batches/s")
            work = [(name, batches([(energy, entries)], 1, name, "1" * 16)[0]) for name, _ in work]


def _deliver(db: Database, share: list[tuple[str, bytes]]) -> None:
    for gateway, packed in share:
        ingest.take(db, gateway, "ledger", packed)


if __name__ == "__main__":
    with cluster() as server:
        where = server.new()
        databases, access_database = open_databases(where)
        title(
            f"PostgreSQL: {DAYS} days of one gateway, {GATEWAYS:,} gateways online (20 registers, 24 entries a sweep)"
        )
        for number in range(GATEWAYS):
            access.add(access_database, f"g-{number:06}", access.GATEWAY, "bench", "bench")
        a_month(databases[0], where)
        many_online(databases)
        questions(databases[0], where)
        for database in (*databases, access_database):
            database.close()
