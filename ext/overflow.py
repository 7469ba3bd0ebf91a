"""Amounts that do not fit 64 bits: of a counter, of a power point, of a product. Nothing ever wraps."""

from ext.events import Events
from ext.power_events import PowerEvents


class CounterOverflow(OverflowError):
    """Raised by `CounterTable.step` after the whole batch was done.

    `registers` had a reading whose energy or bounds leave int64: that reading was dropped and the state of
    the register is as if it had not come. `events` holds the events of all other readings.
    """

    def __init__(self, registers: tuple[int, ...], events: Events) -> None:
        super().__init__(f"energy leaves 64 bits in counter register {', '.join(map(str, registers))}")
        self.registers = registers
        self.events = events

    @property
    def register(self) -> int:
        """The first register concerned."""
        return self.registers[0]


class PowerOverflow(OverflowError):
    """Raised by `PowerTable.step` after the whole batch was done.

    `registers` had a sample beyond 1 GW: that sample was dropped and the state of the register is as if it
    had not come. `events` holds the events of all other samples.
    """

    def __init__(self, registers: tuple[int, ...], events: PowerEvents) -> None:
        super().__init__(f"power beyond 1 GW in power register {', '.join(map(str, registers))}")
        self.registers = registers
        self.events = events

    @property
    def register(self) -> int:
        """The first register concerned."""
        return self.registers[0]


class ProductOverflow(OverflowError):
    """Raised for the first row whose product leaves int64: `row` says which, and there are no results."""

    def __init__(self, row: int, amount: int, factor: int) -> None:
        super().__init__(f"row {row}: {amount} * {factor} does not fit 64 bits")
        self.row = row
