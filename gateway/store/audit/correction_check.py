"""Whether a correction takes back what is in force, and leaves rows that do not overlap."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from gateway.store.audit.difference import interval_place
from gateway.store.ledger.live import LiveRow
from gateway.store.row_class import RowKind
from sync.errors import Malformed
from sync.wire import Block


def taken_back(correction: Block, live: Sequence[LiveRow]) -> dict[int, LiveRow]:
    """For each reversal row of a block the row that it takes back; `live` are those in force before it.

    Raises Malformed, naming the row, when one is not in force or differs from it in more than its sign, and
    LookupError, TypeError or ValueError for a block that is no correction.
    """
    in_force = {(row.epoch, row.t0_ms, row.t1_ms): row for row in live}
    said = {row: (kind, run) for row, kind, run in correction.meta["reversed"]}
    keys = list(zip(*(correction.ints(name) for name in ("epoch", "t0", "t1")), strict=True))
    amounts = list(
        zip(
            *(correction.optional_ints(name) for name in ("energy_mWh", "raw_begin", "raw_end")),
            *(correction.ints(name) for name in ("class", "flags")),
            strict=True,
        )
    )
    found: dict[int, LiveRow] = {}
    for row, kind in enumerate(correction.ints("kind")):
        if kind == RowKind.RESTATEMENT:
            continue
        place = f"row {row} ({interval_place(correction, row)})"
        if kind != RowKind.REVERSAL:
            raise Malformed(f"{place} is neither a reversal nor a restatement")
        taken = in_force.pop(keys[row], None)
        if taken is None:
            raise Malformed(f"{place} takes back a row that is not in force")
        if amounts[row] != _negated(taken) or said.get(row) != (taken.kind, taken.run):
            raise Malformed(f"{place} is not the reversal of record {taken.seq}, row {taken.row}")
        found[row] = taken
    return found


def overlap(live: Sequence[LiveRow], returns: Sequence[int]) -> tuple[LiveRow, LiveRow] | None:
    """The first two of a register's live rows, ascending, that hold the same time; None when none do.

    Rows of before and of after an epoch of `returns` (ascending), in which dates went back, may do so.
    """
    by_era = sorted(live, key=lambda row: bisect_right(returns, row.epoch))
    return next(
        (
            (one, other)
            for one, other in pairwise(by_era)
            if other.t0_ms < one.t1_ms and bisect_right(returns, one.epoch) == bisect_right(returns, other.epoch)
        ),
        None,
    )


def _negated(row: LiveRow) -> tuple[int | None, int | None, int | None, int, int]:
    energy_mWh = None if row.energy_mWh is None else -row.energy_mWh
    return (energy_mWh, row.raw_begin, row.raw_end, int(row.row_class), row.flags)
