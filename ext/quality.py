"""Quality: why a point has, or has not, a value."""

from enum import IntEnum


class Quality(IntEnum):
    """Quality of one point. Only `OK` carries a value; readings have those up to FROZEN, views of them the rest."""

    OK = 0
    NO_VALUE = 1  # the device says "none": a sentinel, or NaN
    OUT_OF_RANGE = 2  # outside the valid range of the profile
    BAD = 3  # infinite, undecodable, or too large for 64 bits
    TIMEOUT = 4
    REFUSED = 5  # Modbus exception reply
    LINK_DOWN = 6
    CORRUPT = 7  # a reply came and failed judgement
    UNREAD = 8  # not asked: the device is new, or its line had no time for it
    FROZEN = 9  # the device answers and stands still: no news
    ASLEEP = 10  # silent, as its kind is at night
    STALE = 11  # the last value is too old to stand for now
    IMPLAUSIBLE = 12  # it contradicts the readings before; the ledger waits for the next ones


ANSWERS = frozenset({Quality.OK, Quality.NO_VALUE, Quality.OUT_OF_RANGE, Quality.BAD, Quality.FROZEN})
"""Qualities of points about which the device said something, whatever it was worth."""
