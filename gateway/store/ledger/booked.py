"""Booked: what the ledger says of registers whose stored state is older than itself."""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from gateway.store import registers, totals
from gateway.store.record import HEADER, INTERVALS, STREAM, decoded, first_seq, readable
from gateway.store.row_class import RowKind
from sync.wire import Block

ACCEPTED = "accepted"
"""Reason of a correction that rests on a person's word and not on counts."""


class Booked(NamedTuple):
    """What was booked of one register beyond its state."""

    energy_mWh: int
    """All of it."""
    until_ms: int
    """End of the last row; 0 when there is none."""
    epoch: int
    """Of that row."""


_Name = tuple[str, str]


def since_states(conn: sqlite3.Connection) -> dict[_Name, Booked]:
    """By device and register; empty when all states are as new as the ledger.

    Raises StoreError for a record that cannot be read.
    """
    older = registers.older(conn)
    found = dict.fromkeys(older, Booked(0, 0, 0))
    rows = conn.execute(
        "SELECT seq, kind, body FROM record WHERE stream = ? AND kind IN (?, ?) AND seq > ? ORDER BY seq",
        (STREAM, INTERVALS, HEADER, min(older.values(), default=0)),
    )
    for seq, kind, body in rows if older else ():
        with readable(seq):
            block = decoded(body)
            begin = first_seq(seq, body) if kind == HEADER else seq
            for name, booked in _of_header(block) if kind == HEADER else _of_intervals(block):
                if begin > older.get(name, seq):
                    before = found[name]
                    is_last = booked.until_ms > before.until_ms
                    found[name] = Booked(
                        before.energy_mWh + booked.energy_mWh,
                        max(before.until_ms, booked.until_ms),
                        booked.epoch if is_last else before.epoch,
                    )
    return found


def _of_intervals(block: Block) -> Iterator[tuple[_Name, Booked]]:
    """Each row; only those that are no correction move the end."""
    if block.meta.get("reason") == ACCEPTED:
        return
    columns = (block.ints(name) for name in ("r", "kind", "t1", "epoch"))
    for r, kind, t1_ms, epoch, energy_mWh in zip(*columns, block.optional_ints("energy_mWh"), strict=True):
        device, register, *_ = block.meta["registers"][r]
        yield (device, register), Booked(energy_mWh or 0, t1_ms if kind == RowKind.NORMAL else 0, epoch)


def _of_header(block: Block) -> Iterator[tuple[_Name, Booked]]:
    """What lost records had booked: each register's energy stands in every lens and account, so one of them says it."""
    accounts: dict[_Name, tuple[str, str]] = {}
    for kept in block.meta["totals"]:
        total = totals.from_meta(kept)
        name = (total.device, total.register)
        if accounts.setdefault(name, (total.lens, total.account)) == (total.lens, total.account):
            yield name, Booked(total.energy_mWh, 0, 0)
