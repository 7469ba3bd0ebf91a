"""Pruning: what is left says the same sums, what is not delivered stays, and nothing is ever sent twice or false."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.proof.auditor import Auditor
from gateway.store import outbox, totals
from gateway.store.audit.verification import verify
from gateway.store.database import FILE_NAME, Store
from gateway.store.delivery import StoreOutbox
from gateway.store.errors import StoreError
from gateway.store.ledger import pages as ledger
from gateway.store.ledger.as_reported import AsReported
from gateway.store.ledger.day_trace import DayTrace, Subject
from gateway.store.pruning import LEAST, prune
from sync.errors import OutboxFailed
from sync.wire import decode_block
from tests.day_totals import tamper

AUDITOR = Auditor(FactorSet.load(shipped()))
FOREVER = 2**53
FIRST_MS, DAY_MS = 1_733_760_000_000, 86_400_000
Sums = dict[tuple[str, str, str, str], tuple[int, int]]


def ack(conn: sqlite3.Connection, through: int | None = None) -> None:
    seq = outbox.head(conn, "ledger").seq if through is None else through
    conn.execute("UPDATE mark SET acked_through = ? WHERE stream = 'ledger'", (seq,))


def kinds(conn: sqlite3.Connection) -> list[str]:
    return [kind for (kind,) in conn.execute("SELECT kind FROM record WHERE stream = 'ledger' ORDER BY seq")]


def exported(conn: sqlite3.Connection) -> Sums:
    found: Sums = {}
    for entry in ledger.iter_entries(conn):
        key = (entry.device, entry.register, entry.lens, entry.account)
        energy_mWh, emitted_ng = found.get(key, (0, 0))
        found[key] = energy_mWh + (entry.energy_mWh or 0), emitted_ng + entry.emitted_ng
    return found


def days(conn: sqlite3.Connection) -> list[totals.DayTotal]:
    return totals.query(conn, "0001-01-01", "9999-12-31")


def reported(conn: sqlite3.Connection, before_ms: int) -> list[totals.DayTotal]:
    found = days(conn)
    first, last = (min(total.day for total in found), max(total.day for total in found))
    walk = AsReported(date.fromisoformat(first), date.fromisoformat(last), before_ms)
    while walk.advance(conn):
        pass
    return walk.sums


@pytest.mark.parametrize("limit", [LEAST, 3, 1000])
def test_sums_and_hashes_stay_in_steps_of_any_size(everything: sqlite3.Connection, limit: int) -> None:
    before = exported(everything), days(everything), reported(everything, FOREVER)
    hashes = everything.execute("SELECT seq, hash FROM record WHERE stream = 'ledger'").fetchall()
    ack(everything)
    count = 0
    while step := prune(everything, FOREVER, limit):
        assert step <= limit
        count += step
    assert count == len(hashes)
    assert set(kinds(everything)) == {"header"}
    assert everything.execute("SELECT seq, hash FROM record WHERE stream = 'ledger'").fetchall() == hashes
    assert (exported(everything), days(everything), reported(everything, FOREVER)) == before


def test_the_ledger_verifies_after_every_step(everything: sqlite3.Connection) -> None:
    ack(everything)
    assert verify(everything, AUDITOR) == []
    while prune(everything, FOREVER, 3):
        assert verify(everything, AUDITOR) == []
    tamper(everything, of_device="grid", emitted_ng=1)
    assert any("grid/import" in problem for problem in verify(everything, AUDITOR))


def test_a_header_says_what_it_stands_for(everything: sqlite3.Connection) -> None:
    bodies = dict(everything.execute("SELECT seq, body FROM record WHERE stream = 'ledger'"))
    ack(everything)
    prune(everything, FOREVER, 1000)
    for seq, body in everything.execute("SELECT seq, body FROM record WHERE stream = 'ledger'"):
        header, block = decode_block(body).meta, decode_block(bodies[seq])
        assert (header["kind"], header["rows"], header["bytes"]) == (block.kind, block.rows, len(bodies[seq]))
        if block.kind == "entries":
            assert header["booked_ms"] >= block.meta["booked_ms"]


def test_one_header_holds_the_sums_of_a_day_of_bookings(everything: sqlite3.Connection) -> None:
    ack(everything)
    prune(everything, FOREVER, 1000)
    bodies = everything.execute("SELECT seq, body FROM record WHERE stream = 'ledger' ORDER BY seq").fetchall()
    holders = [seq for seq, body in bodies if decode_block(body).meta["totals"]]
    assert len(holders) == 3  # the day, its morrow, and the restatement
    assert ledger.pruned(everything) == (bodies[-1][0], holders[-1])


def test_what_was_reported_on_a_day_outlives_its_entries(everything: sqlite3.Connection) -> None:
    restated_ms = everything.execute("SELECT max(seq), body FROM record WHERE kind = 'restatement'").fetchone()[1]
    moments = [decode_block(restated_ms).meta["booked_ms"], FOREVER]
    before = [reported(everything, moment) for moment in moments]
    assert before[0] != before[1]
    ack(everything)
    prune(everything, FOREVER, 1000)
    assert [reported(everything, moment) for moment in moments] == before


@pytest.mark.parametrize("limit", [LEAST, 1000])
@pytest.mark.parametrize("is_late_first", [True, False], ids=["the older day first", "the newer day first"])
def test_what_was_booked_later_is_found_in_the_header_that_holds_it(
    conn: sqlite3.Connection, gateway: type, is_late_first: bool, limit: int
) -> None:
    """Bookings of one day lie in its first header, also when they are about days far from each other."""
    first_day, last_day = date(2024, 12, 10), date(2025, 2, 8)
    later = gateway(conn, FIRST_MS + 60 * DAY_MS)
    gateway(conn).sweep(0, [1, 2])
    if not is_late_first:
        later.sweep(0, [7])
    assert later.restate(first_day, FIRST_MS + 60 * DAY_MS + DAY_MS // 100)
    if is_late_first:
        later.sweep(60, [7])
    found = [(traced(conn, day), as_reported(conn, day)) for day in (first_day, last_day)]
    assert [sums for totals_of_day, _ in found for sums in totals_of_day] == [(300_000, True), (700_000, True)]
    ack(conn)
    while prune(conn, FOREVER, limit):
        pass
    assert set(kinds(conn)) == {"header"}
    assert [(traced(conn, day), as_reported(conn, day)) for day in (first_day, last_day)] == found


def traced(conn: sqlite3.Connection, day: date) -> list[tuple[int, bool]]:
    """The energy of each total of the grid meter's day, and whether what the ledger has adds up to it."""
    walk = DayTrace(Subject(day, "grid", None, None, "location"))
    while walk.advance(conn):
        pass
    return [(total["energy_mWh"], total["agrees"]) for total in walk.answer()["totals"]]


def as_reported(conn: sqlite3.Connection, day: date) -> list[totals.DayTotal]:
    """What is known of one day, from the records that the walk for it finds."""
    walk = AsReported(day, day, FOREVER)
    while walk.advance(conn):
        pass
    return walk.sums


def test_only_what_is_delivered_and_old_goes_and_pairs_go_together(everything: sqlite3.Connection) -> None:
    assert prune(everything, FOREVER, 1000) == 0  # nothing is acknowledged
    ack(everything, through=3)
    assert prune(everything, FOREVER, 1000) == 2  # the entries of record 3 are not
    assert prune(everything, FOREVER, 1000) == 0
    ack(everything)
    fourth = everything.execute("SELECT t1_ms FROM record WHERE stream = 'ledger' AND seq = 4").fetchone()[0]
    assert prune(everything, fourth, 1000) == 0  # it ends then, not before
    assert prune(everything, fourth + 1, 1000) == 2
    assert kinds(everything)[:5] == ["header"] * 4 + ["intervals"]


def test_damage_is_not_covered_up(everything: sqlite3.Connection) -> None:
    ack(everything)
    everything.execute(
        "UPDATE record SET body = CAST(replace(body, '0', '1') AS BLOB) WHERE stream = 'ledger' AND seq = 2"
    )
    with pytest.raises(StoreError, match="record 2 of the ledger does not match its hash"):
        prune(everything, FOREVER, 1000)


def test_pages_end_where_the_headers_begin(everything: sqlite3.Connection) -> None:
    ack(everything)
    prune(everything, FOREVER, 4)
    page = ledger.page(everything, 1000)
    assert (page.next_before_seq, page.pruned_through) == (None, 4)
    assert min(entry.seq for entry in page.entries) == 6
    pruned = [entry for entry in ledger.iter_entries(everything) if entry.kind == "pruned"]
    assert {(entry.device, entry.entry_id, entry.row_class) for entry in pruned} == {
        ("grid", None, None),
        ("pv", None, None),
    }


async def test_a_header_is_never_sent(tmp_path: Path, gateway: Callable[..., object]) -> None:
    async with Store.open(tmp_path) as store:
        await store.run(lambda conn: gateway(conn).sweep(0, [1, 2]))
        await store.run(lambda conn: gateway(conn).sweep(10, [3]))
        box = StoreOutbox(store, "gw")
        await box.settle("ledger", 4)
        await store.run(prune, FOREVER, 2)
        with pytest.raises(OutboxFailed, match=r"pruned through 2: restore the receiver's own copy"):
            await box.rewind("ledger", 1)
        assert await box.mark("ledger") == 4
        await box.rewind("ledger", 2)
        batch = await box.pending("ledger", 10**6)
        assert batch is not None
        assert [record.kind for record in batch.records] == ["intervals", "entries"]
        assert batch.hashes()[-1] == batch.hash_after


async def growth(folder: Path, gateway: Callable[..., object], *, kept_days: int) -> int:
    """Bytes that the file grows in five days of a small site once some days are full; restarted each day."""
    sizes = []
    for day in range(8):
        async with Store.open(folder) as store:

            def one_day(conn: sqlite3.Connection, begin_ms: int) -> None:
                site = gateway(conn, begin_ms)
                for n in range(24):
                    site.sweep(60 * n, [n] * 30)
                ack(conn)

            begin_ms = FIRST_MS + day * DAY_MS
            await store.run(one_day, begin_ms)
            while await store.run(prune, begin_ms - kept_days * DAY_MS, 20):
                pass
        sizes.append((folder / FILE_NAME).stat().st_size)
    return sizes[-1] - sizes[2]


async def test_the_file_takes_the_room_of_what_went(tmp_path: Path, gateway: Callable[..., object]) -> None:
    pruned = await growth(tmp_path / "pruned", gateway, kept_days=1)
    whole = await growth(tmp_path / "whole", gateway, kept_days=1000)
    assert pruned < whole / 4


def test_a_restart_in_the_middle_changes_nothing(
    tmp_path: Path, full_folder: Path, write_in: Callable[..., None]
) -> None:
    async def state() -> tuple[Sums, list[totals.DayTotal]]:
        async with Store.open(full_folder) as store:
            return await store.read(exported), await store.read(days)

    before = asyncio.run(state())
    write_in(full_folder, ack)
    for _ in range(4):
        write_in(full_folder, lambda conn: prune(conn, FOREVER, 3))
    assert asyncio.run(state()) == before
