"""Decisions about suspect energy, from the readings to the totals."""

import sqlite3
from collections.abc import Iterator

import pytest

from gateway.carbon.booking.close import close
from gateway.carbon.booking.decision import DecisionError, accept
from gateway.carbon.metering.meter import Meter
from gateway.store import outbox, totals
from gateway.store.flag import Flag
from gateway.store.ledger import live, pages, suspects
from gateway.store.row_class import RowClass
from sync.wire import decode_block
from tests.gateway.carbon.small_site import AS_OF, BOOKS, MIN, NEW_YEAR, new_meter, new_store, reading

T0 = NEW_YEAR - 20 * MIN


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    """A register that rose by 100 000 counts (of a third of a Wh) in a minute, and stayed there."""
    connection, meter = new_store(), new_meter()
    for minute, raw in [(0, 1000), (4, 1100), (6, 101_100), *((minute, 101_100 + minute) for minute in range(7, 12))]:
        meter.feed(reading((raw, 5, 0)), T0 + minute * MIN)
    write(connection, meter, 11)
    yield connection
    connection.close()


def write(conn: sqlite3.Connection, meter: Meter, minute: int) -> None:
    close(conn, sweep=meter.sweep(T0 + minute * MIN), books=BOOKS, now_ms=AS_OF)


def waiting(conn: sqlite3.Connection) -> list[suspects.Suspect]:
    found, after = suspects.step(conn, 0)
    assert after is not None
    assert suspects.step(conn, after) == ([], None)
    return found


def energy_mWh(conn: sqlite3.Connection) -> int:
    sums = totals.by_register(totals.query(conn, "2000-01-01", "2999-12-31"))
    return sum(total.energy_mWh for total in sums if total.register == "a")


def decide(conn: sqlite3.Connection, seq: int, row: int, energy: int | None) -> None:
    accept(conn, seq, row, energy, "seen on site", books=BOOKS, now_ms=AS_OF)


def test_a_suspect_waits_with_its_bounds(conn: sqlite3.Connection) -> None:
    (suspect,) = waiting(conn)
    assert (suspect.device, suspect.register) == ("m", "a")
    assert (suspect.t0_ms, suspect.t1_ms) == (T0 + 4 * MIN, T0 + 6 * MIN)
    assert (suspect.lo_mWh, suspect.hi_mWh) == (0, 33_333_334)
    assert (suspect.raw_begin, suspect.raw_end) == (1100, 101_100)


def test_what_is_accepted_is_stated_anew_and_counts(conn: sqlite3.Connection) -> None:
    (suspect,) = waiting(conn)
    before = energy_mWh(conn)
    decide(conn, suspect.seq, suspect.row, None)
    assert energy_mWh(conn) - before == 33_333_334
    rows = [row for row in live.of_register(conn, "m", "a", 0) if Flag.JUMP & row.flags]
    assert [row.row_class for row in rows] == [RowClass.MEASURED] * 2  # the grid line at minute 5 cuts it
    assert sum(row.energy_mWh or 0 for row in rows) == 33_333_334
    assert waiting(conn) == []
    (event,) = [decode_block(body).meta for (body,) in conn.execute("SELECT body FROM record WHERE stream = 'events'")]
    assert (event["what"], event["device"]) == ("accepted", "m")
    assert "seen on site" in event["text"]


def test_a_person_may_know_better_than_the_counter(conn: sqlite3.Connection) -> None:
    (suspect,) = waiting(conn)
    before = energy_mWh(conn)
    decide(conn, suspect.seq, suspect.row, 0)
    assert energy_mWh(conn) == before
    rows = [row for row in live.of_register(conn, "m", "a", 0) if Flag.JUMP & row.flags]
    assert {row.row_class for row in rows} == {RowClass.ESTIMATED}
    assert waiting(conn) == []


def test_what_cannot_be_decided_changes_nothing(conn: sqlite3.Connection) -> None:
    (suspect,) = waiting(conn)
    head = outbox.head(conn, "ledger")
    for seq, row, energy in (
        (suspect.seq, suspect.row, 33_333_335),
        (suspect.seq, suspect.row + 2, None),
        (suspect.seq, 10**6, None),
        (suspect.seq + 1, 10**6, None),
        (999, 0, 1),
    ):
        with pytest.raises(DecisionError):
            decide(conn, seq, row, energy)
    assert outbox.head(conn, "ledger") == head
    decide(conn, suspect.seq, suspect.row, 5)
    with pytest.raises(DecisionError, match="decided already"):
        decide(conn, suspect.seq, suspect.row, 5)


def test_what_waits_is_known_until_it_is_decided(conn: sqlite3.Connection) -> None:
    undecided = suspects.Undecided()
    undecided.advance(conn)
    (suspect,) = undecided.found
    undecided.advance(conn)
    assert undecided.found == [suspect]
    decide(conn, suspect.seq, suspect.row, 0)
    undecided.advance(conn)
    assert undecided.found == []


def test_the_entry_of_a_suspect_row_names_it_too_and_the_reason_stays_beside_the_rows(conn: sqlite3.Connection) -> None:
    (suspect,) = waiting(conn)
    entry = next(each for each in pages.iter_entries(conn) if each.row_class == RowClass.SUSPECT)
    decide(conn, entry.seq, entry.row, None)
    assert waiting(conn) == []
    reasons = {each.reason for each in pages.iter_entries(conn) if each.run}
    assert reasons == {"accepted: seen on site"}
    assert suspect.seq < entry.seq
