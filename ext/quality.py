"""Quality: why a point has, or has not, a value."""

from enum import IntEnum


class Quality(IntEnum):
    """Quality of one point in one reading. Only `OK` carries a value."""

    OK = 0
    NO_VALUE = 1  # the device says "none": a sentinel, or NaN
    OUT_OF_RANGE = 2  # outside the valid range of the profile
    BAD = 3  # infinite, undecodable, or too large for 64 bits
    TIMEOUT = 4
    REFUSED = 5  # Modbus exception reply
    LINK_DOWN = 6
    CORRUPT = 7  # a reply came and failed judgement
    UNREAD = 8  # never read so far
