"""PowerState: all that the power table remembers of one register."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ext.limits import GAP_LIMIT_MS, POWER_LIMIT_MW, TIME_LIMIT_MS

VERSION = 1
HALF_UJ_PER_MWH = 7_200_000


class PowerState(NamedTuple):
    """State of one register: the last sample and what is not booked yet."""

    t_last: int
    power_mW: int
    import_carry: int  # half-uJ, 0 <= carry < HALF_UJ_PER_MWH
    export_carry: int

    def to_tuple(self) -> tuple[int, ...]:
        """The state as integers, version first."""
        return (VERSION, *self)


def power_state_from_tuple(register: int, numbers: Sequence[int]) -> PowerState:
    """Rebuild a state; ValueError, naming the register, for anything that `to_tuple` cannot have made."""
    if len(numbers) != len(PowerState._fields) + 1 or numbers[0] != VERSION:
        raise ValueError(f"power register {register}: not a state of version {VERSION}: {tuple(numbers)}")
    state = PowerState(*numbers[1:])
    integers = all(type(number) is int for number in numbers)
    carries_sound = all(0 <= carry < HALF_UJ_PER_MWH for carry in state[2:])
    in_limits = 0 <= state.t_last < TIME_LIMIT_MS and abs(state.power_mW) <= POWER_LIMIT_MW
    if not (integers and in_limits and carries_sound):
        raise ValueError(f"power register {register}: damaged state: {tuple(numbers)}")
    return state


def moved(numbers: Sequence[int], to: Callable[[int], int]) -> tuple[int, ...]:
    """What `to_tuple` gave, with its time where `to` puts it."""
    state = PowerState(*numbers[1:])
    return state._replace(t_last=to(state.t_last)).to_tuple()


def check_gaps(max_gap_ms: Sequence[int]) -> None:
    """Raise ValueError, naming the register, for a longest gap outside the limits of the core."""
    for register, gap in enumerate(max_gap_ms):
        if not 0 <= gap <= GAP_LIMIT_MS:
            raise ValueError(f"power register {register}: max_gap_ms {gap} is outside 0..{GAP_LIMIT_MS}")
