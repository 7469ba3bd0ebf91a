"""When a line may be spoken on: pauses between exchanges, and silence before anybody speaks."""

from drivers.modbus.manners import LinkManners


class Pacing:
    """The pauses of one connection, in loop time.

    Every exchange is followed by the gap of the line and that of its unit. Where replies have no number, bytes
    between exchanges are somebody else's talk or a late answer: the gap begins anew with each. After a failed
    exchange the line is drained: nothing goes before it has been quiet for `quiet_s`. Neither takes longer than
    `drain_max_s`, or a line that is never silent would never be used.
    """

    def __init__(self, manners: LinkManners, now: float) -> None:
        """The endpoint was opened `now`."""
        self._manners = manners
        self._line = now + max(manners.connect_delay_s, manners.gap_s)
        self._units: dict[int, float] = {}
        self._last_byte = 0.0
        self._talk_began = 0.0
        self._drain_end = 0.0  # 0: not draining

    def ready_at(self, unit: int) -> float:
        """From when on a request for `unit` may go."""
        return max(self._line, self._units[unit]) if unit in self._units else self._line

    def quiet_at(self) -> float:
        """When a drained line counts as quiet; 0 when it is not being drained."""
        return min(self._last_byte + self._manners.quiet_s, self._drain_end) if self._drain_end else 0.0

    def exchanged(self, unit: int, now: float) -> None:
        """An exchange with `unit` is over."""
        manners = self._manners
        self._line = now + manners.gap_s
        if unit in manners.unit_gap_s:
            self._units[unit] = now + manners.unit_gap_s[unit]

    def heard(self, now: float) -> None:
        """Bytes came between exchanges."""
        manners = self._manners
        if now - self._last_byte > manners.quiet_s:
            self._talk_began = now
        self._last_byte = now
        self._line = max(self._line, min(now + manners.gap_s, self._talk_began + manners.drain_max_s))

    def yield_to(self, now: float) -> None:
        """Another master has asked somebody: its answer is not talked into."""
        self._line = max(self._line, now + self._manners.quiet_s)

    def drain(self, now: float) -> None:
        """An exchange failed and its answer may still come."""
        self._last_byte, self._drain_end = now, now + self._manners.drain_max_s

    def drained(self) -> None:
        """The line is quiet."""
        self._drain_end = 0.0

    def hold(self, until: float) -> None:
        """Nothing goes before."""
        self._line = max(self._line, until)
