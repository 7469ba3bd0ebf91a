"""SumsCheck: the day totals added up again from the records, in little memory however many days there are."""

import sqlite3
from collections.abc import Iterable

from gateway.store import totals
from gateway.store.totals import DayTotal, TotalKey

_AT_ONCE = 2000


class SumsCheck:
    """Takes sums in any order, then compares them with the stored ones, some days a step.

    What does not fit its memory lies in a temporary database that SQLite removes by itself.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        """Where a stored sum is not the one that was taken, one sentence each."""
        self._sums: dict[TotalKey, DayTotal] = {}
        self._kept: sqlite3.Connection | None = None
        self._compared_day = ""

    def take(self, conn: sqlite3.Connection, sums: Iterable[DayTotal]) -> None:
        """Adds sums to those so far; `conn` is the store that they belong to."""
        totals.merge(sums, self._sums)
        if len(self._sums) >= _AT_ONCE:
            self._keep(conn)

    def compare_on(self, conn: sqlite3.Connection, days: int = 30) -> bool:
        """Compares the next days; False after the last. Every record of the store must have been taken."""
        kept = self._keep(conn)
        found = {day for at in (conn, kept) for day in _days_after(at, self._compared_day, days)}
        for day in sorted(found)[:days]:
            self._compare(day, totals.query(conn, day, day), totals.query(kept, day, day))
            self._compared_day = day
        return len(found) >= days

    def close(self) -> None:
        """Gives the temporary database up."""
        if self._kept is not None:
            self._kept.close()

    def _keep(self, conn: sqlite3.Connection) -> sqlite3.Connection:
        if self._kept is None:
            self._kept = sqlite3.connect("", isolation_level=None)
            (table,) = conn.execute("SELECT sql FROM sqlite_schema WHERE name = 'day_total'").fetchone()
            self._kept.execute(table)
        self._kept.execute("BEGIN")
        totals.add(self._kept, self._sums.values())
        self._kept.execute("COMMIT")
        self._sums.clear()
        return self._kept

    def _compare(self, day: str, stored: Iterable[DayTotal], computed: Iterable[DayTotal]) -> None:
        of_stored, of_computed = ({total.key: total for total in found} for found in (stored, computed))
        for key in sorted(of_stored.keys() | of_computed.keys()):
            kept, found = of_stored.get(key), of_computed.get(key)
            if kept != found:
                _, device, register, lens, account = key
                self.problems.append(
                    f"day total of {day}, {device}/{register}, {lens}, {account}: "
                    f"stored is {_amounts(kept)}, the entries add up to {_amounts(found)}"
                )


def _days_after(conn: sqlite3.Connection, day: str, limit: int) -> list[str]:
    rows = conn.execute("SELECT day FROM day_total WHERE day > ? ORDER BY day LIMIT ?", (day, limit))
    return [found for (found,) in rows]


def _amounts(total: DayTotal | None) -> str:
    if total is None:
        return "nothing"
    baseline = "" if total.baseline_ng is None else f", baseline {total.baseline_ng} ng"
    amounts = f"{total.energy_mWh} mWh, {total.emitted_ng} ng{baseline}"
    return f"{amounts}, {total.missing_ms} ms missing, {total.rows} rows"
