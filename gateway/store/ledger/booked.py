"""Booked: what the ledger says of registers whose stored state is older than itself."""

import sqlite3
from typing import NamedTuple

from gateway.store import registers
from gateway.store.record import INTERVALS, STREAM, decoded, readable
from gateway.store.row_class import RowKind

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


def since_states(conn: sqlite3.Connection) -> dict[tuple[str, str], Booked]:
    """By device and register; empty when all states are as new as the ledger.

    Raises StoreError for a record that cannot be read.
    """
    older = registers.older(conn)
    found = dict.fromkeys(older, Booked(0, 0, 0))
    rows = conn.execute(
        "SELECT seq, body FROM record WHERE stream = ? AND kind = ? AND seq > ? ORDER BY seq",
        (STREAM, INTERVALS, min(older.values(), default=0)),
    )
    for seq, body in rows if older else ():
        with readable(seq):
            block = decoded(body)
            names = [(str(device), str(register)) for device, register, *_ in block.meta["registers"]]
            if block.meta.get("reason") == ACCEPTED:
                continue
            columns = (block.ints(name) for name in ("r", "kind", "t1", "epoch"))
            for r, kind, t1_ms, epoch, energy_mWh in zip(*columns, block.optional_ints("energy_mWh"), strict=True):
                name = names[r]
                if name not in older or seq <= older[name]:
                    continue
                booked = found[name]
                ends_later = kind == RowKind.NORMAL and t1_ms > booked.until_ms
                found[name] = Booked(
                    booked.energy_mWh + (energy_mWh or 0),
                    t1_ms if ends_later else booked.until_ms,
                    epoch if ends_later else booked.epoch,
                )
    return found
