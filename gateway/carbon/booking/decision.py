"""Decision: a person says what the energy of a suspect span was; it is stated anew, and nothing is overwritten."""

import sqlite3
from dataclasses import dataclass

from gateway.carbon.booking.close import Books, correct
from gateway.carbon.errors import CarbonError
from gateway.carbon.intervals import RegisterName
from gateway.carbon.metering.correction import ACCEPTED, Correction, Piece
from gateway.carbon.metering.span import Span
from gateway.store import outbox
from gateway.store.ledger.day_index import DayIndex
from gateway.store.ledger.live import in_records
from gateway.store.ledger.suspects import Suspect, Undecided
from gateway.store.row_class import RowClass
from sync.wire import encode_block


class DecisionError(CarbonError):
    """There is nothing to decide, or the amount cannot be; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person says about a row of intervals, or an entry, of a suspect span."""

    seq: int
    row: int
    energy_mWh: int | None
    """None: all that the counter claims."""
    reason: str

    @property
    def place(self) -> str:
        """How people name the row."""
        return f"{self.seq}:{self.row}"


def accept(
    conn: sqlite3.Connection,
    decision: Decision,
    *,
    undecided: Undecided,
    index: DayIndex,
    books: Books,
    now_ms: int,
) -> Suspect:
    """Books the energy of a suspect span, in the caller's transaction.

    Writes the correction and an event that keeps the reason. `undecided` and `index` are brought up to date. Raises
    DecisionError, and CarbonError as a close does.
    """
    while undecided.advance(conn) or index.read_on(conn):
        pass
    suspect = undecided.of_row(conn, decision.seq, decision.row)
    if suspect is None:
        raise DecisionError(f"row {decision.place} is not suspect, or was decided already")
    booked_mWh = _amount(suspect, decision)
    correction = _correction(suspect, booked_mWh, decision.reason)
    ranges = index.ranges(suspect.t0_ms, suspect.t1_ms)
    before = in_records(conn, ranges, suspect.device, suspect.register, suspect.t0_ms)
    if correct(conn, correction, before, books=books, now_ms=now_ms).aside:
        raise DecisionError(f"{booked_mWh} mWh are too much to be booked for row {decision.place}; give less")
    text = f"{suspect.register}: {booked_mWh} mWh booked for row {decision.place}; {decision.reason}"
    meta = {"t_ms": now_ms, "what": ACCEPTED, "device": suspect.device, "text": text}
    outbox.append(conn, "events", "alarm", now_ms, now_ms, encode_block("alarm", meta, {}))
    return suspect


def _amount(suspect: Suspect, decision: Decision) -> int:
    if decision.energy_mWh is None:
        if not suspect.is_claimed:
            raise DecisionError(f"the counter claims no amount for row {decision.place}; say what it was, with --kWh")
        return suspect.hi_mWh
    if not suspect.lo_mWh <= decision.energy_mWh <= suspect.hi_mWh:
        raise DecisionError(
            f"row {decision.place} lies between {suspect.lo_mWh} and {suspect.hi_mWh} mWh,"
            f" not at {decision.energy_mWh} mWh"
        )
    return decision.energy_mWh


def _correction(suspect: Suspect, energy_mWh: int, reason: str) -> Correction:
    span = Span(
        suspect.t0_ms,
        suspect.t1_ms,
        energy_mWh,
        raw_begin=suspect.raw_begin,
        raw_end=suspect.raw_end,
        row_class=RowClass.MEASURED if suspect.is_claimed and energy_mWh == suspect.hi_mWh else RowClass.ESTIMATED,
        flags=suspect.flags,
    )
    name = RegisterName(suspect.device, suspect.register, suspect.flow)
    # One piece is enough: it is cut at the borders of the rows that it concerns.
    return Correction(name, ACCEPTED, span, [Piece(suspect.t0_ms, suspect.t1_ms, energy_mWh)], reason)
