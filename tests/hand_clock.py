"""Two clocks moved by hand, and somebody who vouches for the wall clock when a test says so."""

from gateway.clock import Anchor, offset_ms


class HandClock:
    """The clocks of a machine that was booted `mono_ms` ago; `vouched` is whether anybody knows the time."""

    def __init__(self, wall_ms: int, mono_ms: int = 5_000, *, vouched: bool = True) -> None:
        self.mono, self.wall, self.vouched = mono_ms, wall_ms, vouched

    def pass_ms(self, ms: int) -> None:
        """Time passes."""
        self.mono += ms
        self.wall += ms

    def mono_ns(self) -> int:
        """As `gateway.clock.Clock`."""
        return self.mono * 1_000_000

    def wall_ms(self) -> int:
        """As `gateway.clock.Clock`."""
        return self.wall

    def witness(self) -> Anchor | None:
        """As `gateway.clock.Witness`."""
        return Anchor(offset_ms=offset_ms(self), source="test") if self.vouched else None
