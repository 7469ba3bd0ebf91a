"""RegisterSpec: one energy register of the site, as the meter has to know it."""

from dataclasses import dataclass

from ext import CounterSpec, ratio

FLOWS_BACK = {
    "import": "export",
    "export": "import",
    "charge": "discharge",
    "discharge": "charge",
    "generation": "consumption",
    "consumption": "generation",
}
"""What negative power means where positive power is the flow given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSpec:
    """A cumulative counter, or a power point that is integrated because the device has no counter."""

    device: str
    """Name of the device in the configuration."""
    register: str
    """Name of the point in its profile."""
    flow: str
    """Where the energy flows: one of `FLOWS_BACK`."""
    point: int
    """Column of the point in the device's readings."""
    max_gap_ms: int
    """A longer span between readings is a gap: spread evenly and flagged (counter) or missing (power)."""
    counter: CounterSpec | None = None
    """The counter, its scale without the exponent of a scale register; None for power."""
    uptime: int | None = None
    """Counter only: column of the point that falls when the device was restarted."""
    session: int | None = None
    """Counter only: column of the point that changes with each session."""
    cross: int | None = None
    """Counter only: column of the power whose integral it is."""
    cross_is_back: bool = False
    """True when the counter counts what that power gives as negative."""
    power_num: int = 1
    """Milliwatts of one raw count of the power, as a fraction, without exponent."""
    power_den: int = 1

    def power_mW(self, raw: int, exponent: int) -> int:
        """A raw power in milliwatts, rounded half even. Raises OverflowError beyond 64 bits."""
        return ratio(raw, self.power_num * 10 ** max(exponent, 0), self.power_den * 10 ** max(-exponent, 0))
