"""CounterSpec: what is known of a cumulative energy counter."""

from collections.abc import Sequence
from typing import NamedTuple

from ext.limits import COUNTER_POWER_LIMIT_W, INT64_MAX, MODULUS_LIMIT, REFRESH_LIMIT_S, SCALE_LIMIT
from ext.policy import Policy


class CounterSpec(NamedTuple):
    """One counter register of the table (carbon-method.md, section 3)."""

    modulus: int  # counts of a full turn; 0 = never turns (float counters)
    scale_num: int  # raw counts -> mWh, as a fraction
    scale_den: int
    p_max_W: int  # nameplate power in the direction of the counter
    refresh_s: int  # how old the counter may be inside the device
    jitter: int  # counts that it may fall without meaning it
    policy: int  # a Policy
    # Daily counters only: second of the UTC day at which the device starts anew, when its register map
    # promises that it does so at its local midnight (Asia/Shanghai: 57600); -1 when it makes no promise.
    cycle_start_s: int = -1


def check_counters(specs: Sequence[CounterSpec]) -> None:
    """Raise ValueError, naming the register, for a spec outside the limits of the core."""
    for register, spec in enumerate(specs):
        for name, value, low, high in (
            ("modulus", spec.modulus, 0, MODULUS_LIMIT),
            ("scale_num", spec.scale_num, 1, SCALE_LIMIT),
            ("scale_den", spec.scale_den, 1, SCALE_LIMIT),
            ("p_max_W", spec.p_max_W, 0, COUNTER_POWER_LIMIT_W),
            ("refresh_s", spec.refresh_s, 0, REFRESH_LIMIT_S),
            ("jitter", spec.jitter, 0, INT64_MAX),
            ("policy", spec.policy, min(Policy), max(Policy)),
            ("cycle_start_s", spec.cycle_start_s, -1, 86_399),
        ):
            if not low <= value <= high:
                raise ValueError(f"counter register {register}: {name} {value} is outside {low}..{high}")
