"""CounterState: all that the counter table remembers of one register."""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from enum import IntEnum
from itertools import pairwise

from ext.counter_spec import CounterSpec
from ext.limits import INT64_MAX, INT64_MIN, TIME_LIMIT_MS

VERSION = 1


class Hold(IntEnum):
    """What is held back until a later reading settles it."""

    NOTHING = 0
    STEP = 1  # plausible since the last change only
    JUMP = 2  # not plausible at all
    PENDING = 3  # lower than before, for no known reason


@dataclass(slots=True)
class CounterState:
    """State of one register. Between readings: t_change <= t_last <= held_t <= seen_t, and the held and seen
    readings are the last one when nothing is held."""

    scale_num: int  # of the spec that the carries belong to
    scale_den: int
    modulus: int
    swapped: int  # 1: the next reading comes from another device, scale or map
    boot: int  # 1: the device was restarted before the next reading
    epoch: int
    last: int  # accepted counts (high-water mark)
    t_last: int  # time of the last accepted reading
    t_change: int  # time of the last accepted change
    carry: int  # energy not booked yet, in mWh / scale_den
    hold: int  # a Hold
    held_raw: int
    held_t: int
    seen_raw: int  # the newest reading, which confirms the held jump
    seen_t: int
    confirmations: int
    old_until: int  # until when the epoch before a reset is remembered; -1 when it is not
    old_last: int
    old_t: int
    old_carry: int
    old_booked: int  # mWh booked since that reset
    cycle_day: int  # local day (of cycle_start_s) that `last` belongs to

    def to_tuple(self) -> tuple[int, ...]:
        """The state as integers, version first."""
        return (VERSION, *map(int, astuple(self)))


def state_from_tuple(register: int, spec: CounterSpec, numbers: Sequence[int]) -> CounterState:
    """Rebuild a state; ValueError, naming the register, for anything that `to_tuple` cannot have made.

    When it was kept under another scale or modulus than `spec` has now, the next reading is a swap.
    """
    if len(numbers) != len(fields(CounterState)) + 1 or numbers[0] != VERSION:
        raise ValueError(f"counter register {register}: not a state of version {VERSION}: {tuple(numbers)}")
    state = CounterState(*numbers[1:])
    if not (all(type(number) is int for number in numbers) and _sound(state)):
        raise ValueError(f"counter register {register}: damaged state: {tuple(numbers)}")
    if (state.scale_num, state.scale_den, state.modulus) != (spec.scale_num, spec.scale_den, spec.modulus):
        state.scale_num, state.scale_den, state.modulus = spec.scale_num, spec.scale_den, spec.modulus
        state.swapped = 1
        state.carry = 0
        state.old_until = -1
    if state.old_until < 0:
        state.old_last = state.old_t = state.old_carry = state.old_booked = 0
    return state


def moved(numbers: Sequence[int], to: Callable[[int], int]) -> tuple[int, ...]:
    """What `to_tuple` gave, with all its times where `to` puts them; it keeps their order."""
    state = CounterState(*numbers[1:])
    state.t_change = to(state.t_change)
    state.t_last = to(state.t_last)
    state.held_t = to(state.held_t)
    state.seen_t = to(state.seen_t)
    if state.old_until >= 0:
        state.old_t = to(state.old_t)
        state.old_until = to(state.old_until)
    return state.to_tuple()


def turned_back(numbers: Sequence[int], by_ms: int) -> tuple[int, ...]:
    """What `to_tuple` gave, with its times `by_ms` earlier, in an epoch of its own: dates went back, time did not."""
    state = CounterState(*moved(numbers, lambda t_ms: max(0, t_ms - by_ms))[1:])
    state.epoch += 1
    state.old_until = -1
    state.old_last = state.old_t = state.old_carry = state.old_booked = 0
    return state.to_tuple()


def advanced(numbers: Sequence[int], booked_mWh: int, until_ms: int, epoch: int) -> tuple[tuple[int, ...], int]:
    """What `to_tuple` gave, after `booked_mWh` more were booked until `until_ms`; and what it counts beyond that.

    Counts are whole, energy is cut where an interval ends: the state stands at the first count that holds all of it,
    and the rest of that count, in mWh, is the caller's to book. After another base (`epoch`; 0: none that is known)
    nothing is known of the counts: the next reading is then a swap.
    """
    state = CounterState(*numbers[1:])
    state.hold = Hold.NOTHING
    state.old_until = -1
    state.old_last = state.old_t = state.old_carry = state.old_booked = 0
    rest = 0
    if epoch not in (0, state.epoch):
        state.epoch = max(epoch, state.epoch)
        state.swapped = 1
        state.carry = 0
    else:
        needed = booked_mWh * state.scale_den - state.carry
        counts = max(0, -(-needed // state.scale_num))
        state.last = (state.last + counts) % state.modulus if state.modulus else state.last + counts
        rest, state.carry = divmod(counts * state.scale_num - needed, state.scale_den)
    state.held_raw = state.seen_raw = state.last
    at_ms = max(state.t_last, until_ms + (rest > 0))
    state.t_last = state.t_change = state.held_t = state.seen_t = at_ms
    return state.to_tuple(), rest


def _sound(state: CounterState) -> bool:
    times = (0, state.t_change, state.t_last, state.held_t, state.seen_t, TIME_LIMIT_MS - 1)
    return (
        all(early <= late for early, late in pairwise(times))
        and all(0 <= raw <= INT64_MAX for raw in (state.last, state.held_raw, state.seen_raw, state.old_last))
        and all(0 <= carry < state.scale_den for carry in (state.carry, state.old_carry))
        and state.scale_num > 0
        and state.modulus >= 0
        and all(flag in (0, 1) for flag in (state.swapped, state.boot))
        and state.hold in Hold.__members__.values()
        and 0 <= state.confirmations <= INT64_MAX
        and 1 <= state.epoch <= INT64_MAX
        and 0 <= state.old_t <= state.t_last
        and -1 <= state.old_until <= INT64_MAX
        and INT64_MIN <= state.old_booked <= INT64_MAX
        and 0 <= state.cycle_day <= TIME_LIMIT_MS
    )
