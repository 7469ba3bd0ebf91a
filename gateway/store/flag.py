"""Flag: what else is to be said of a row of the ledger, as bits."""

from enum import IntFlag


class Flag(IntFlag):
    """Quality flags (carbon-method, section 10). The bits are stored: never renumber."""

    INTERP_PROFILE = 1 << 0  # measured in total over a gap, spread evenly over its time
    LOWER_BOUND = 1 << 1
    WRAP = 1 << 2
    RESET = 1 << 3
    GLITCH = 1 << 4
    JITTER = 1 << 5
    SWAP = 1 << 6
    JUMP = 1 << 7
    AMBIGUOUS = 1 << 8
    RECOVERED = 1 << 9
    CLOCK_STEP = 1 << 10
    IMBALANCE = 1 << 11
    DISAGREE = 1 << 12
    PROVISIONAL = 1 << 13  # computed with an older vintage of the factor
    S_DEFAULT = 1 << 14
    STALE_DAY = 1 << 15
    OVERFLOW = 1 << 16  # its carbon leaves 64 bits: set aside, the energy stands in the bounds
    SPAN_UNKNOWN = 1 << 17  # of a boot that never got a date: begin and end are estimated, inside known bounds


def flag_names(flags: int) -> list[str]:
    """The names of the bits that are set, in lower case."""
    return [flag.name.lower() for flag in Flag if flag & flags and flag.name]
