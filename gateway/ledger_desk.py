"""What a person may do to the running gateway's ledger: fulfils `gateway.web.desk_site.DeskSite`.

Nothing is overwritten: every act appends records, and the day totals follow.
"""

import difflib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from gateway.carbon.booking.close import Books
from gateway.carbon.booking.decision import Decision, DecisionError, accept
from gateway.carbon.booking.restate import Order, restated, write
from gateway.carbon.errors import CarbonError, FactorError
from gateway.carbon.factors.factor_set import load_all
from gateway.clock import Dating
from gateway.store.database import Store
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.live_day import LiveDay
from gateway.store.ledger.suspects import Suspect, Undecided
from gateway.store.site_day import day_of
from gateway.web.errors import BadQuery, Busy
from sync.wire import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerDesk:
    """Each act is one short transaction of the store; polling goes on meanwhile."""

    store: Store
    books: Books
    dating: Dating
    on_write: Callable[[], None]
    """Called after each act that gives work to send."""
    index: DayIndex = field(default_factory=DayIndex)
    undecided: Undecided = field(default_factory=Undecided)
    """Suspect energy that waits for a decision."""

    async def suspects(self) -> dict[str, Any]:
        """`web.desk_models.Suspects`."""
        while await self.store.read(self.undecided.advance):
            pass
        return {"suspects": [suspect.as_json() for suspect in self.undecided.found]}

    async def accept(self, seq: int, row: int, energy_mWh: int | None, reason: str) -> dict[str, Any]:
        """`web.desk_models.Suspect` that was decided; BadQuery when there is nothing to decide."""
        await self.suspects()  # most of the way in short steps
        while await self.store.read(self.index.read_on):
            pass
        decision = Decision(seq=seq, row=row, energy_mWh=energy_mWh, reason=reason)
        try:
            suspect = await self.store.run(self._accept, decision)
        except DecisionError as error:
            raise BadQuery(str(error), "see `huxi ledger suspects`") from error
        except CarbonError as error:
            raise Busy(str(error), "nothing was changed") from error
        self.on_write()
        return suspect.as_json()

    def _accept(self, conn: sqlite3.Connection, decision: Decision) -> Suspect:
        now_ms = self._now_ms()
        return accept(conn, decision, undecided=self.undecided, index=self.index, books=self.books, now_ms=now_ms)

    async def restatement_plan(self, factor_set: str, first: date, last: date) -> dict[str, Any]:
        """`web.desk_models.RestatementPlan`; BadQuery for a set that is not known."""
        sets = sorted({record.set_id for record in self.books.factors.records})
        if factor_set not in sets:
            near = difflib.get_close_matches(factor_set, sets, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sets)}"
            raise BadQuery(f"there is no factor set {factor_set!r}", hint)
        self._require_read(factor_set)
        zone = ZoneInfo(self.books.scope.zone)
        while await self.store.read(self.index.read_on):
            pass
        days = [day for day in self.index.days(zone) if first <= day <= last]
        run = f"{factor_set}@{day_of(self._now_ms(), zone)}"
        return {"run": run, "days": [day.isoformat() for day in days]}

    async def restate(self, day: date, factor_set: str, run: str, reason: str, dry_run: bool) -> dict[str, Any]:
        """`web.desk_models.Restatement` of one day; read in short steps, written in one transaction."""
        order = Order(factor_set=factor_set, run=run, reason=reason, as_of_ms=self._now_ms())
        live = LiveDay(day, self.books.scope.zone)
        while await self.store.read(self._read_on, live):
            pass
        try:
            block = await (self.store.read if dry_run else self.store.run)(self._restate, live, order, not dry_run)
        except (CarbonError, ValueError, OverflowError) as error:
            raise Busy(str(error), "nothing of this day was changed") from error
        if block is not None and not dry_run:
            self.on_write()
        state = "pruned" if live.is_pruned else "unchanged" if block is None else "changed"
        return {"day": day.isoformat(), "state": state, "changes": [] if block is None else _changes(block)}

    def _require_read(self, factor_set: str) -> None:
        """Factors are read at the start: what was imported since then would be silently left out."""
        try:
            there = {record.ref for record in load_all(self.store.data_dir).records if record.set_id == factor_set}
        except FactorError as error:
            raise Busy(str(error), "mend the factor file first") from error
        if there - {record.ref for record in self.books.factors.records}:
            raise Busy(f"factors of {factor_set} were imported after the gateway was started", "restart it first")

    def _read_on(self, conn: sqlite3.Connection, live: LiveDay) -> bool:
        return self.index.read_on(conn) or live.read_on(conn, self.index)

    def _restate(self, conn: sqlite3.Connection, live: LiveDay, order: Order, may_write: bool) -> Block | None:
        """Takes in what came meanwhile, then decides."""
        while self._read_on(conn, live):
            pass
        if live.is_pruned:
            return None
        # Closes that were written meanwhile were booked after the order was given.
        block = restated(live, replace(order, as_of_ms=self._now_ms()), self.books.factors)
        if block is not None and may_write:
            write(conn, block)
        return block

    def _now_ms(self) -> int:
        if not self.dating.trusted:
            raise Busy("the clock is not trusted yet, so nothing can be booked", "set it, or wait for the network")
        return self.dating.now_ms()


def _changes(restatement: Block) -> list[dict[str, Any]]:
    """What a restatement changes under each lens in each account, as `web.desk_models.Changed`."""
    meta = restatement.meta
    lenses, accounts, rows, emitted = (restatement.ints(name) for name in ("lens", "account", "rows", "emitted_ng"))
    baselines = restatement.optional_ints("baseline_ng")
    found: dict[tuple[str, str, str], tuple[int, int, int]] = {}
    for taken in range(0, restatement.rows, 2):  # each is followed by what replaces it
        amounts, what = (emitted, "emitted") if baselines[taken] is None else (baselines, "baseline")
        key = (meta["lenses"][lenses[taken]], meta["accounts"][accounts[taken]], what)
        entries, before_ng, after_ng = found.get(key, (0, 0, 0))
        found[key] = (
            entries + rows[taken],
            before_ng - (amounts[taken] or 0),
            after_ng + (amounts[taken + 1] or 0),
        )
    return [
        {
            "lens": lens,
            "account": account,
            "amount": what,
            "entries": entries,
            "before_ng": str(before_ng),
            "after_ng": str(after_ng),
        }
        for (lens, account, what), (entries, before_ng, after_ng) in sorted(found.items())
    ]
