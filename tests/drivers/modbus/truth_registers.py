"""Registers that say who they are and when they were read, so that no mix-up goes unseen.

A word is, from the top: 3 bits unit, 1 bit function, 5 bits address, 7 bits version. The version grows by one
each 20 ms and comes round after 2.56 s.
"""

REGISTERS = 32  # addresses 0 to 31
UNITS = 8
_VERSION_S = 0.02
_VERSIONS = 128


def version(at_s: float) -> int:
    """The version at this time, before it is cut to what a word has room for."""
    return int(at_s / _VERSION_S)


def words_at(at_s: float, unit: int, function: int, address: int, count: int) -> list[int]:
    """What the registers hold at this time."""
    place = (unit % UNITS) << 13 | (function & 1) << 12 | version(at_s) % _VERSIONS
    return [place | (n % REGISTERS) << 7 for n in range(address, address + count)]


def is_true(data: bytes, *, unit: int, function: int, address: int, since_s: float, until_s: float) -> bool:
    """Whether `data` is what these registers held, all at one time, between the two times."""
    first = int.from_bytes(data[:2], "big") % _VERSIONS
    age = (first - version(since_s)) % _VERSIONS
    if age > version(until_s) - version(since_s):
        return False
    held = words_at((version(since_s) + age + 0.5) * _VERSION_S, unit, function, address, len(data) // 2)
    return data == b"".join(word.to_bytes(2, "big") for word in held)
