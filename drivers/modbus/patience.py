"""How long to wait for a unit, learnt from how long it took."""

_FLOOR_S = 0.15
_ALLOWANCE = 3  # times the longest round trip
_FORGETTING = 0.99  # per answer


class Patience:
    """The time-out of one unit: three times its longest recent round trip, never more than the caller allows.

    The longest is forgotten by 1 % with each answer, so it stands near the 99th percentile of the last
    hundred. After a silence the wait is as long as the caller allows: a unit slower than it was is not lost.
    """

    __slots__ = ("_wait_s",)

    def __init__(self) -> None:
        self._wait_s = float("inf")

    def wait_s(self, most_s: float) -> float:
        """How long to wait for an answer, at most `most_s`."""
        return min(most_s, self._wait_s)

    def heard(self, round_trip_s: float, most_s: float) -> None:
        """The unit answered."""
        self._wait_s = max(_FLOOR_S, _ALLOWANCE * round_trip_s, _FORGETTING * min(most_s, self._wait_s))

    def not_heard(self) -> None:
        """It did not."""
        self._wait_s = float("inf")
