"""Decisions about suspect energy, from the readings to the totals."""

import sqlite3
from collections.abc import Iterator

import pytest

from gateway.carbon.booking.close import close
from gateway.carbon.booking.decision import Decision, DecisionError, accept
from gateway.carbon.metering.meter import Meter
from gateway.store import outbox, totals
from gateway.store.flag import Flag
from gateway.store.ledger import live, pages, suspects
from gateway.store.ledger.day_index import DayIndex
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
    undecided = suspects.Undecided()
    assert not undecided.advance(conn)
    return [*undecided.found]


def energy_mWh(conn: sqlite3.Connection) -> int:
    sums = totals.by_register(totals.query(conn, "2000-01-01", "2999-12-31"))
    return sum(total.energy_mWh for total in sums if total.register == "a")


def decide(conn: sqlite3.Connection, seq: int, row: int, energy: int | None) -> None:
    decision = Decision(seq=seq, row=row, energy_mWh=energy, reason="seen on site")
    accept(conn, decision, undecided=suspects.Undecided(), index=DayIndex(), books=BOOKS, now_ms=AS_OF)


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
    assert undecided.found == (suspect,)
    decide(conn, suspect.seq, suspect.row, 0)
    undecided.advance(conn)
    assert undecided.found == ()


def test_the_entry_of_a_suspect_row_names_it_too_and_the_reason_stays_beside_the_rows(conn: sqlite3.Connection) -> None:
    (suspect,) = waiting(conn)
    entry = next(each for each in pages.iter_entries(conn) if each.row_class == RowClass.SUSPECT)
    decide(conn, entry.seq, entry.row, None)
    assert waiting(conn) == []
    reasons = {each.reason for each in pages.iter_entries(conn) if each.run}
    assert reasons == {"accepted: seen on site"}
    assert suspect.seq < entry.seq


def test_a_turn_unseen_claims_no_amount() -> None:
    """Between two readings the counter could have turned over: what it was is for a person to say."""
    connection, meter = new_store(), new_meter()
    for minute, raw in ((0, 1000), (1, 1010), (12_000, 1500), (12_001, 1510), (12_005, 1520)):
        meter.feed(reading((raw, 5, 0)), T0 + minute * MIN)
    write(connection, meter, 12_005)
    suspect, _ = waiting(connection)  # nobody can tell of the other register either
    with pytest.raises(DecisionError, match="claims no amount"):
        decide(connection, suspect.seq, suspect.row, None)
    decide(connection, suspect.seq, suspect.row, suspect.hi_mWh)
    rows = [row for row in live.of_register(connection, "m", "a", 0) if row.run]
    assert {row.row_class for row in rows} == {RowClass.ESTIMATED}
    connection.close()


def test_two_in_a_row_are_decided_each_by_itself() -> None:
    connection, meter = new_store(), new_meter()
    raws = [(0, 1000), (2, 101_000), (3, 101_001), (3.5, 101_002), (4, 101_003)]
    raws += [(4.2, 201_003), (4.4, 201_004), (4.6, 201_005), (4.8, 201_006), (11, 201_010)]
    for minute, raw in raws:
        meter.feed(reading((raw, 5, 0)), T0 + int(minute * MIN))
    write(connection, meter, 11)
    first, second = waiting(connection)
    assert (first.seq, first.row) != (second.seq, second.row)
    before = energy_mWh(connection)
    decide(connection, second.seq, second.row, None)
    assert waiting(connection) == [first]
    decide(connection, first.seq, first.row, None)
    assert energy_mWh(connection) - before == first.hi_mWh + second.hi_mWh
    assert waiting(connection) == []
    connection.close()
