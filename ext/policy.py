"""Policy: what a counter does at the end of a day or a session."""

from enum import IntEnum


class Policy(IntEnum):
    """Life of a counter (carbon-method.md, sections 3, 3.1 and 3.2)."""

    LIFETIME = 0  # only ever grows, turns over at its modulus
    DAILY = 1  # begins again each day
    SESSION = 2  # begins again with each charging session
