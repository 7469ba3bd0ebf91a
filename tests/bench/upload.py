"""Delivery: bytes a row on the wire, rows a second out of a full store, and a month's backlog over a slow line."""

import asyncio
import contextlib
import json
import socket
import sqlite3
import statistics
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import IO

from drivers.simulation.shape import DayShape
from gateway.carbon.booking.close import Books, close
from gateway.carbon.booking.entries import Scope
from gateway.carbon.booking.rules import Declaration
from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.intervals import Intervals, RegisterName
from gateway.carbon.metering.sweep import Sweep
from gateway.store import outbox
from gateway.store.database import Store
from gateway.store.delivery import StoreOutbox
from gateway.store.migrations import migrate
from gateway.store.schema import SCHEMA_VERSION
from sync.forwarder import Forwarder
from sync.messages import Batch, Record
from sync.transports.client import Way
from sync.transports.https import HttpsTransport
from sync.wire import encode_batch, gzipped, tightly_gzipped, xzed
from tests.bench.report import row, title

T0_MS, FIVE_MIN_MS, DAY = 1_790_000_100_000, 300_000, 288
COUNT_MWH = 10_000
BYTES_GOAL, ROWS_GOAL, LINE_BITS = 12, 300_000, 256_000
COPIES = 12
"""How often the site is taken for one of 144 registers, as 50 devices have."""
SITE = (
    ("grid", "import", "evening", 60_000),
    ("pv", "generation", "sun", 30_000),
    ("pv", "generation", "sun", 12_000),
    ("pv", "generation", "sun", 8_000),
    ("charger", "consumption", "charging", 7_000),
    ("charger", "consumption", "charging", 22_000),
    ("load", "consumption", "evening", 9_000),
    ("load", "consumption", "evening", 5_000),
    ("load", "consumption", "evening", 3_000),
    ("load", "consumption", "steady", 1_200),
    ("wastewater", "consumption", "pulse", 2_200),
    ("light", "consumption", "evening", 400),
)

"""Twelve devices: role, flow, how their power goes over a day, and their top power in W."""


def run() -> None:
    title("upload: 12 devices, 24 h, intervals of 5 minutes with their entries; bytes a row")
    bodies = list(day_of_bodies(1))
    sizes: list[float] = []
    for coding, pack in (("gzip", gzipped), ("tight gzip", tightly_gzipped), ("xz", xzed)):
        for name, closes in (("5 minutes", 1), ("hour", 12), ("6 hours", 72)):
            packed = [len(encode_batch(batch, pack)) for batch in batches(bodies, 2 * closes)]
            size = sum(packed) / (DAY * len(SITE))
            sizes.append(size)
            met = "met" if size <= BYTES_GOAL else "MISSED"
            row(f"{coding}, a batch each {name}", f"{size:.1f} B", f"goal <= {BYTES_GOAL}: {met}")
    title("a backlog of 30 days and 50 devices with 3 registers each, over 256 kbit/s, by the bytes of gzip")
    minutes = 150 * 30 * DAY * sizes[2] * 8 / LINE_BITS / 60
    row("minutes", f"{minutes:.0f}", f"goal <= 60: {'met' if minutes <= 60 else 'MISSED'}")
    title("drain: 1,000,000 stored rows to a server that discards them")
    bodies = list(day_of_bodies(COPIES))
    speed = statistics.median(asyncio.run(drain(bodies)) for _ in range(3))
    met = "met" if speed >= ROWS_GOAL else "MISSED"
    row("rows a second of CPU, all threads", f"{speed:,.0f}", f"goal >= {ROWS_GOAL:,}: {met}")


def day_of_bodies(copies: int) -> Iterator[tuple[str, bytes]]:
    """Kind and body of each record of the day of a site of so many times twelve devices."""
    site = SITE * copies
    registers = [
        RegisterName(f"device-{k:03}", "accumulated_yield" if role == "pv" else "import_energy", flow)
        for k, (role, flow, _, _) in enumerate(site)
    ]
    books = Books(
        scope=Scope(lenses={"location": "CN-SC"}, zone="Asia/Shanghai"),
        factors=FactorSet.load(shipped()),
        devices={
            register.device: Declaration(role=role, baseline="grid" if role == "pv" else None)
            for register, (role, _, _, _) in zip(registers, site, strict=True)
        },
    )
    shapes = [DayShape(shape, seed=k) for k, (_, _, shape, _) in enumerate(site)]
    chance = Random(1)
    total = [chance.randrange(10**10) for _ in site]
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        migrate(conn, SCHEMA_VERSION)
        for step in range(DAY):
            energy = [
                int(max(shape.level((step + 0.5) / DAY), 0) * top_W * 1000 / 12 * chance.uniform(0.97, 1.03))
                for shape, (_, _, _, top_W) in zip(shapes, site, strict=True)
            ]
            t0_ms = T0_MS + step * FIVE_MIN_MS
            count = len(site)
            intervals = Intervals(
                registers=registers,
                r=list(range(count)),
                epoch=[1] * count,
                t0_ms=[t0_ms] * count,
                t1_ms=[t0_ms + FIVE_MIN_MS] * count,
                energy_mWh=list(energy),
                raw_begin=[value // COUNT_MWH for value in total],
                raw_end=[(value + more) // COUNT_MWH for value, more in zip(total, energy, strict=True)],
                row_class=[0] * count,
                flags=[1] * count,
                kind=[0] * count,
            )
            close(conn, sweep=Sweep(intervals=intervals), books=books, now_ms=t0_ms + FIVE_MIN_MS + 2000)
            total = [value + more for value, more in zip(total, energy, strict=True)]
        yield from conn.execute("SELECT kind, body FROM record WHERE stream = 'ledger' ORDER BY seq").fetchall()


def batches(bodies: list[tuple[str, bytes]], records: int) -> Iterator[Batch]:
    """The records in batches of so many."""
    for first in range(0, len(bodies), records):
        part = bodies[first : first + records]
        yield Batch(
            gateway="qiyang-01",
            epoch="00c0ffee00c0ffee",
            stream="ledger",
            first_seq=first + 1,
            hash_before=bytes(32),
            hash_after=bytes(32),
            records=tuple(
                Record(stream="ledger", seq=seq, kind=kind, body=body)
                for seq, (kind, body) in enumerate(part, first + 1)
            ),
        )


async def drain(bodies: list[tuple[str, bytes]]) -> float:
    """Rows a second of CPU of all threads, from the store's file to a socket."""
    rows = 1_000_000
    with tempfile.TemporaryDirectory() as folder, discarding() as port:
        async with Store.open(Path(folder)) as store:
            await store.run(fill, bodies, rows)
            transport = HttpsTransport(Way(url=f"http://127.0.0.1:{port}"), "secret-token")
            sender = Forwarder(StoreOutbox(store, "qiyang-01"), transport, random=Random(1))
            begin = time.process_time()
            assert await sender.flush()
            took_s = time.process_time() - begin
            await transport.aclose()
    return rows / took_s


def fill(conn: sqlite3.Connection, bodies: list[tuple[str, bytes]], rows: int) -> None:
    """Rows of the day, again and again."""
    for record in range(2 * rows // (len(SITE) * COPIES)):
        kind, body = bodies[record % len(bodies)]
        outbox.append(conn, "ledger", kind, 0, 1, body)


@contextlib.contextmanager
def discarding() -> Iterator[int]:
    """Port of a server, in a thread, that acknowledges whatever comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_discard, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]


def _discard(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as reader:
            while head := _head(reader):
                body = reader.read(int(head.get(b"content-length", b"0")))
                answer = _answer(body)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


def _head(reader: IO[bytes]) -> dict[bytes, bytes]:
    """The fields of the next request's head; empty at the end of the connection."""
    fields: dict[bytes, bytes] = {}
    while (line := reader.readline()) not in (b"", b"\r\n"):
        name, _, value = line.strip().partition(b": ")
        fields[name.lower()] = value
    return fields


def _answer(packed: bytes) -> bytes:
    """It reads the header alone."""
    if not packed:
        return b'{"epoch":null}'
    head = json.loads(zlib.decompressobj(31).decompress(packed, 4096).partition(b"\n")[0])
    return b'{"acked_through":%d}' % (head["first_seq"] + head["count"] - 1)
