"""What can go wrong in carbon accounting."""

from collections.abc import Sequence

from drivers.faults import Fault


class CarbonError(Exception):
    """Root of the room; the text names the thing and the remedy."""


class FactorError(CarbonError):
    """A factor table that cannot be used, or a factor that it does not have."""

    def __init__(self, text: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(text)
        self.faults = list(faults)
        """Everything that is wrong with a table, each with file and line; empty for a missing factor."""


class RuleError(CarbonError):
    """A device is declared in a way for which there is no accounting rule."""

    def __init__(self, text: str, key: str = "role") -> None:
        super().__init__(text)
        self.key = key
        """What to change in the device's declaration."""


class StateError(CarbonError):
    """The stored state of a register cannot be read."""
