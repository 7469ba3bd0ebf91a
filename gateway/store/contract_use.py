"""How much of a year's contract each register has used: kept beside the blocks, and followed through them.

The table `contract_use` holds one row a device, register and calendar year.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from sync.wire import Block


class ContractYear(NamedTuple):
    """What is used up by and by."""

    device: str
    register: str
    year: int


def used_mWh(conn: sqlite3.Connection, of: ContractYear) -> int:
    """How much of it the records so far have used."""
    row = conn.execute(
        "SELECT used_mWh FROM contract_use WHERE device = ? AND register = ? AND year = ?", of
    ).fetchone()
    return 0 if row is None else row[0]


def save(conn: sqlite3.Connection, used: Iterable[tuple[ContractYear, int]]) -> None:
    """Replaces these amounts (mWh), in the caller's transaction."""
    conn.executemany("INSERT OR REPLACE INTO contract_use VALUES (?, ?, ?, ?)", ((*of, mWh) for of, mWh in used))


class ContractWalk:
    """Follows the contracts of a ledger, from its first record of entries to its last."""

    def __init__(self) -> None:
        self._used_mWh: dict[ContractYear, int] = {}
        self._begins_late = False

    def skip(self) -> None:
        """A record was pruned: contracts not met yet may have been used before."""
        self._begins_late = True

    def take(self, entries: Block) -> str | None:
        """Says which contract of a block does not go on where the block before it stopped; None when all do.

        Raises LookupError, TypeError or ValueError for a block that is none of entries.
        """
        fault = None
        for r, year, _, before_mWh, after_mWh in entries.meta["contracts"]:
            device, register, _, _ = entries.meta["registers"][r]
            of = ContractYear(device, register, year)
            expected_mWh = self._used_mWh.get(of, before_mWh if self._begins_late else 0)
            if before_mWh != expected_mWh and fault is None:
                fault = (
                    f"its contract of {device}/{register} for {year} begins with {before_mWh} mWh used, "
                    f"the records before it used {expected_mWh} mWh"
                )
            self._used_mWh[of] = after_mWh
        return fault

    def finish(self, conn: sqlite3.Connection) -> list[str]:
        """What is wrong with the kept amounts, after the last record."""
        kept = {ContractYear(*of): mWh for *of, mWh in conn.execute("SELECT * FROM contract_use")}
        known = self._used_mWh.keys() if self._begins_late else self._used_mWh.keys() | kept.keys()
        return [
            f"contract use of {of.device}/{of.register} in {of.year}: stored is {kept.get(of, 0)} mWh, "
            f"the records used {self._used_mWh.get(of, 0)} mWh"
            for of in sorted(known)
            if kept.get(of, 0) != self._used_mWh.get(of, 0)
        ]
