"""RowClass and RowKind: what a row of the ledger is, as the numbers that its blocks hold."""

from enum import IntEnum


class RowClass(IntEnum):
    """How the amount of a row was found (carbon-method, section 10). Stored numbers: never renumber."""

    MEASURED = 0
    ESTIMATED = 1
    MODELLED = 2
    MANUAL = 3
    MISSING = 4  # no amount is known
    SUSPECT = 5  # amount 0 until a human decides; bounds stand in the block's meta


class RowKind(IntEnum):
    """What a row does to the rows before it. The numbers are stored: never renumber."""

    NORMAL = 0
    REVERSAL = 1  # takes back what was booked before
    RESTATEMENT = 2
