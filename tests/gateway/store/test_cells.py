"""Packed rows of text, and the states of registers in one of them."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store import cells, registers
from gateway.store.errors import StoreError

CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
ROWS = st.lists(st.lists(CELL, min_size=1, max_size=6).map(tuple), min_size=1, max_size=30)


@given(ROWS)
def test_rows_come_back(rows: list[tuple[str, ...]]) -> None:
    assert sorted(cells.unpack(cells.pack(rows))) == sorted(rows)


@given(ROWS, ROWS)
def test_a_row_that_is_written_over_keeps_its_length(one: list[tuple[str, ...]], other: list[tuple[str, ...]]) -> None:
    before = cells.pack(one)
    after = cells.pack(other, before)
    assert sorted(cells.unpack(after)) == sorted(other)
    assert len(after) == len(before) or len(before) > 2 * len(after) or len(before) < len(after)


@pytest.mark.parametrize("cell", ["a\nb", "a\x1fb", "\x1e"])
def test_a_control_character_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        cells.pack([("a", cell)])


def test_states_are_replaced_one_by_one(conn: sqlite3.Connection) -> None:
    registers.save(conn, [("b", "r", '[1,"x, y",null]'), ("a", "r", "[2]"), ("a, c", "q", "")])
    registers.save(conn, [("a", "r", "[3,4]"), ("d", "r", "[5]")])
    assert registers.load_all(conn) == [
        ("a", "r", "[3,4]"),
        ("a, c", "q", ""),
        ("b", "r", '[1,"x, y",null]'),
        ("d", "r", "[5]"),
    ]
    registers.save(conn, [])
    assert len(registers.load_all(conn)) == 4


@pytest.mark.parametrize("body", [b"\x00", b"text", "text", 7])
def test_damaged_states_are_told(conn: sqlite3.Connection, body: object) -> None:
    registers.save(conn, [("a", "r", "[2]")])
    conn.execute("UPDATE register_states SET body = ?", (body,))
    with pytest.raises(StoreError, match="states of the registers cannot be read"):
        registers.load_all(conn)


def test_states_that_were_cut_off_are_told(conn: sqlite3.Connection) -> None:
    registers.save(conn, [(f"device {n}", "r", f"[{n * 7919}]") for n in range(200)])
    conn.execute("UPDATE register_states SET body = substr(body, 1, 500)")
    with pytest.raises(StoreError, match="cut off"):
        registers.load_all(conn)
