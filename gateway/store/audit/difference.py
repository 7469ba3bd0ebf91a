"""Difference: where a stored block departs from the one that was computed again, row by row."""

from collections.abc import Callable
from datetime import UTC, datetime

from sync.wire import Block, encode_block


def difference(stored: Block, computed: Block, place: Callable[[Block, int], str]) -> str | None:
    """Says what differs first, None when both have the same bytes; `place` names a row of a block.

    Raises what `place` raises.
    """
    if _bytes(stored) == _bytes(computed):
        return None
    if stored.columns.keys() != computed.columns.keys():
        return f"its columns are {', '.join(sorted(stored.columns))}, computed {', '.join(sorted(computed.columns))}"
    for row in range(max(stored.rows, computed.rows)):
        if row >= stored.rows:
            return f"row {row} ({place(computed, row)}) is missing"
        if row >= computed.rows:
            return f"row {row} ({place(stored, row)}) should not be there"
        for name, values in computed.columns.items():
            if stored.columns[name][row] != values[row]:
                what = f"{name} is {stored.columns[name][row]}, computed {values[row]}"
                return f"row {row} ({place(computed, row)}): {what}"
    for key in sorted(stored.meta.keys() | computed.meta.keys()):
        if stored.meta.get(key) != computed.meta.get(key):
            return f"its {key} are {stored.meta.get(key)!r}, computed {computed.meta.get(key)!r}"
    return "its bytes are not those of its content"


def interval_place(intervals: Block, row: int) -> str:
    """Device, register and begin of an interval."""
    device, register, _, _ = intervals.meta["registers"][intervals.ints("r")[row]]
    return f"{device}/{register}, {utc(intervals.ints('t0')[row])}"


def utc(t_ms: int) -> str:
    """A time as problems name it."""
    return f"{datetime.fromtimestamp(t_ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"


def _bytes(block: Block) -> bytes:
    return encode_block(block.kind, block.meta, block.columns)
