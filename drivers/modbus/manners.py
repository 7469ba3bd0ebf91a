"""How a link has to treat what hangs on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkManners:
    """Pacing and patience of one link; the strictest of its devices decides."""

    connect_delay_s: float = 0.0  # between opening the endpoint and the first request
    gap_s: float = 0.0  # between the end of an exchange and the next request
    unit_gap_s: Mapping[int, float] = field(default_factory=dict)  # the same for one unit, where it needs more
    late_s: float = 1.0  # no answer comes later than this after its time-out (framings without numbers)
    listen_s: float = 0.0  # before the first request: what was asked before we came is answered meanwhile
    quiet_s: float = 0.05  # silence after which a line counts as drained (framings without numbers)
    drain_max_s: float = 1.0  # the longest wait for that silence
