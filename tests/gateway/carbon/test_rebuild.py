"""Rebuild: the ledger from its intervals and the factor table alone, byte for byte."""

import sqlite3
from collections.abc import Callable
from datetime import date

import pytest

from gateway.carbon.factors.factor_set import FactorSet, shipped
from gateway.carbon.proof.rebuild import Rebuilder
from gateway.store import outbox
from gateway.store.errors import StoreError
from gateway.store.ledger import pages as ledger
from gateway.store.ledger.entry_text import csv_lines
from gateway.store.ledger.pages import Rebuild
from gateway.store.pruning import prune

FACTORS = FactorSet.load(shipped())
TAMPERED = "CAST(replace(body, '12550000000', '12550000001') AS BLOB)"


def exported(conn: sqlite3.Connection, rebuild: Rebuild | None = None) -> bytes:
    text = b""
    step = ledger.after(conn, 0, rebuild)
    while step is not None:
        text += csv_lines(step[1])
        step = ledger.after(conn, step[0], rebuild)
    return text


def test_a_rebuilt_ledger_is_the_same_to_the_byte(everything: sqlite3.Connection) -> None:
    assert exported(everything, Rebuilder(FACTORS)) == exported(everything)


def test_a_changed_amount_is_not_rebuilt(conn: sqlite3.Connection, gateway: Callable[..., object]) -> None:
    """The control: what is compared is computed, not copied."""
    gateway(conn).sweep(0, [1])
    conn.execute(f"UPDATE record SET body = {TAMPERED} WHERE kind = 'entries'")
    stored, rebuilt = exported(conn), exported(conn, Rebuilder(FACTORS))
    assert b"12550000001" in stored
    assert stored.replace(b"12550000001", b"12550000000") == rebuilt


def test_a_restatement_of_changed_amounts_is_refused(everything: sqlite3.Connection) -> None:
    everything.execute(f"UPDATE record SET body = {TAMPERED} WHERE kind = 'entries'")
    with pytest.raises(StoreError, match=r"record 17 of the ledger cannot be rebuilt: the entries of grid/import"):
        exported(everything, Rebuilder(FACTORS))


def test_corrections_of_restated_days_are_rebuilt(conn: sqlite3.Connection, gateway: Callable[..., object]) -> None:
    site = gateway(conn)
    site.sweep(0, [1, 2, 3, None])
    site.restate(date(2024, 12, 10), site.midnight_ms + 60 * 86_400_000)
    site.step(5, 4, rows=2)
    site.step(10, 6, rows=2)
    assert exported(conn, Rebuilder(FACTORS)) == exported(conn)


def test_a_factor_that_is_gone_is_named(everything: sqlite3.Connection) -> None:
    with pytest.raises(StoreError, match="record 2 of the ledger cannot be rebuilt"):
        exported(everything, Rebuilder(FactorSet([])))


def test_what_rests_on_pruned_records_is_taken_as_it_is(everything: sqlite3.Connection) -> None:
    everything.execute("UPDATE mark SET acked_through = ?", (outbox.head(everything, "ledger").seq,))
    prune(everything, 2**53, 11)
    assert exported(everything, Rebuilder(FACTORS)) == exported(everything)
