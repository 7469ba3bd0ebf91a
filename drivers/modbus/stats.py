"""What a link knows about itself."""

from dataclasses import dataclass, field

from drivers.modbus.outcome import Outcome, OutcomeKind

_WEIGHT = 0.1  # of the newest round trip in the moving average


@dataclass(slots=True)
class LinkStats:
    """Counts since the link was made; read by others, written by the link."""

    connected: bool = False
    connections: int = 0  # times that the endpoint was opened
    counts: dict[OutcomeKind, int] = field(default_factory=lambda: dict.fromkeys(OutcomeKind, 0))
    last_error: str = ""
    round_trip_ms: float | None = None  # moving average over answered exchanges
    latest_ms: float = 0.0  # after its time-out that an answer came, of those that are told apart by their shape only

    @property
    def ok(self) -> int:
        """Exchanges that brought data."""
        return self.counts[OutcomeKind.OK]

    @property
    def failed(self) -> int:
        """Exchanges that did not."""
        return sum(self.counts.values()) - self.ok

    def note(self, outcome: Outcome, unit: int, round_trip_s: float) -> None:
        """Count one exchange."""
        self.counts[outcome.kind] += 1
        if outcome.kind is not OutcomeKind.OK:
            self.last_error = f"unit {unit}: {outcome.detail}"
        if outcome.answered:
            ms = round_trip_s * 1000
            before = self.round_trip_ms
            self.round_trip_ms = ms if before is None else before + _WEIGHT * (ms - before)
