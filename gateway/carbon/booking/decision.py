"""Decision: a person says what the energy of a suspect span was; it is stated anew, and nothing is overwritten."""

import sqlite3

from gateway.carbon.booking.close import Books, correct
from gateway.carbon.errors import CarbonError
from gateway.carbon.intervals import RegisterName
from gateway.carbon.metering.correction import ACCEPTED, Correction, Piece
from gateway.carbon.metering.span import Span
from gateway.store import outbox
from gateway.store.ledger import suspects
from gateway.store.ledger.suspects import Suspect
from gateway.store.row_class import RowClass
from sync.wire import encode_block


class DecisionError(CarbonError):
    """There is nothing to decide, or the amount cannot be; the text says which."""


def accept(
    conn: sqlite3.Connection,
    seq: int,
    row: int,
    energy_mWh: int | None,
    reason: str,
    *,
    books: Books,
    now_ms: int,
) -> Suspect:
    """Books `energy_mWh` (None: all that the counter claims) for a suspect span, in the caller's transaction.

    Writes the correction and an event that keeps the reason. Raises DecisionError, and CarbonError as a close does.
    """
    suspect = suspects.find(conn, seq, row)
    if suspect is None:
        raise DecisionError(f"row {seq}:{row} is not suspect, or was decided already")
    booked_mWh = suspect.hi_mWh if energy_mWh is None else energy_mWh
    if not suspect.lo_mWh <= booked_mWh <= suspect.hi_mWh:
        raise DecisionError(
            f"row {seq}:{row} lies between {suspect.lo_mWh} and {suspect.hi_mWh} mWh, not at {booked_mWh} mWh"
        )
    correct(conn, _correction(suspect, booked_mWh, reason), books=books, now_ms=now_ms)
    text = f"{suspect.register}: {booked_mWh} mWh booked for row {seq}:{row}; {reason}"
    meta = {"t_ms": now_ms, "what": ACCEPTED, "device": suspect.device, "text": text}
    outbox.append(conn, "events", "alarm", now_ms, now_ms, encode_block("alarm", meta, {}))
    return suspect


def _correction(suspect: Suspect, energy_mWh: int, reason: str) -> Correction:
    span = Span(
        suspect.t0_ms,
        suspect.t1_ms,
        energy_mWh,
        raw_begin=suspect.raw_begin,
        raw_end=suspect.raw_end,
        row_class=RowClass.MEASURED if energy_mWh == suspect.hi_mWh else RowClass.ESTIMATED,
        flags=suspect.flags,
    )
    name = RegisterName(suspect.device, suspect.register, suspect.flow)
    # One piece is enough: it is cut at the borders of the rows that it concerns.
    return Correction(name, ACCEPTED, span, [Piece(suspect.t0_ms, suspect.t1_ms, energy_mWh)], reason)
