"""EventKind: what a counter reading turned out to be (carbon-method.md, section 3)."""

from enum import IntEnum


class EventKind(IntEnum):
    """Class of an event of the counter table. The numbers are stored: never renumber."""

    FIRST = 0  # first reading of a register: books nothing
    OK = 1  # plausible since the last reading
    STEP = 2  # plausible only since the last change, confirmed by the reading after it
    JITTER = 3  # a hair below the high-water mark, which stays
    WRAP = 4  # the counter turned over its modulus
    RESET = 5  # counts from zero again: lower bound, what came before the reset is lost
    GLITCH = 6  # a reading in between was wrong and is withdrawn; books on from the last good one
    AMBIGUOUS = 7  # glitch or reset: the smaller is booked, hi - lo is disputed
    SWAP = 8  # another device, scale or map: books nothing for the step
    JUMP_REBASED = 9  # suspect: impossible rise that stayed; amount 0, bounds [0, rise]
    AMBIGUOUS_WRAP = 10  # suspect: a whole turn was possible; amount 0, bounds given
    RECOVERED = 11  # a reset was false: books the true difference (lo = hi) less what was booked since it
    CYCLE_END = 12  # daily counter began a new day: lower bound, the tail of the old day is unknown
    STALE_DAY = 13  # daily counter still shows yesterday: books nothing
    TURNED_BACK = 14  # not accepted: not later than the reading before it
    INVALID = 15  # not accepted: negative, beyond the modulus, or an underflow of a daily counter
