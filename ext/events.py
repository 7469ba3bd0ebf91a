"""Events: what the counter table made of a batch of readings, in columns."""

from array import array


class Events:
    """Parallel columns (all `array('q')`), one row an event, in the order of the readings.

    A reading that is held or pending makes no event; one that settles a held reading makes two. A row covers
    [t0_ms, t1_ms); `FIRST`, `TURNED_BACK` and `INVALID` cover nothing (t0 = t1) and the last two are readings
    that were not accepted. `raw_begin` and `raw_end` are the accepted counts before and after.

    `RECOVERED` covers all the time since the false reset: `lo_mWh` = `hi_mWh` is the true energy of [t0_ms, t1_ms),
    and `energy_mWh` what is left of it after taking back all that the rows since the reset booked (it may be
    negative). A reader either adds `energy_mWh` up, or takes those rows back and books the true energy instead.
    """

    __slots__ = (
        "energy_mWh",
        "epoch",
        "hi_mWh",
        "kind",
        "lo_mWh",
        "raw_begin",
        "raw_end",
        "register",
        "t0_ms",
        "t1_ms",
    )

    def __init__(self) -> None:
        self.register = array("q")
        self.kind = array("q")  # an EventKind
        self.t0_ms = array("q")
        self.t1_ms = array("q")
        self.energy_mWh = array("q")  # >= 0 except for RECOVERED
        self.raw_begin = array("q")
        self.raw_end = array("q")
        self.lo_mWh = array("q")  # bounds of suspect and disputed kinds, rounded outwards; else the true energy
        self.hi_mWh = array("q")
        self.epoch = array("q")  # grows with each new base of the counter, never goes back

    def __len__(self) -> int:
        return len(self.register)
