"""PowerEvents: what the power table made of a batch of samples, in columns."""

from array import array


class PowerEvents:
    """Parallel columns (all `array('q')`), one row an accepted sample; it covers [t0_ms, t1_ms).

    The first sample of a register covers nothing (t0 = t1).
    """

    __slots__ = ("export_mWh", "import_mWh", "missing", "register", "t0_ms", "t1_ms")

    def __init__(self) -> None:
        self.register = array("q")
        self.t0_ms = array("q")
        self.t1_ms = array("q")
        self.import_mWh = array("q")  # energy of positive power, >= 0
        self.export_mWh = array("q")  # energy of negative power, >= 0
        self.missing = array("q")  # 1: the gap was too long, nothing is booked

    def __len__(self) -> int:
        return len(self.register)
