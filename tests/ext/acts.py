"""Adversarial lives of two counter registers, for hypothesis: what their readings do, and what happens in between."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from ext.counter_spec import CounterSpec
from ext.limits import INT64_MAX, INT64_MIN, TIME_LIMIT_MS

SPECS = st.builds(
    CounterSpec,
    modulus=st.sampled_from([0, 1, 100, 65_536, 10**6, 2**31, 2**32, 10**8, 2**63, 2**64 - 1, 2**64]),
    scale_num=st.sampled_from([1, 7, 1000, 100_000, 10**12]),
    scale_den=st.sampled_from([1, 3, 1000, 10**12]),
    p_max_W=st.sampled_from([0, 1, 100, 50_000, 10**9]),
    refresh_s=st.sampled_from([0, 1, 60, 10**6]),
    jitter=st.sampled_from([0, 1, 5, 2**63 - 1]),
    policy=st.integers(0, 2),
    cycle_start_s=st.sampled_from([-1, -1, -1, 0, 57_600, 86_399]),
)
STEPS = st.one_of(
    st.sampled_from([0, 1, 1000, 10_000, 300_000, 3_600_000, 43_200_000, 86_400_000, 10**10, 2**52]),
    st.integers(-2, 2).map(lambda n: ("turn", n)),
)
MOVES = st.one_of(
    st.integers(-3, 40).map(lambda d: ("by", d)),
    st.integers(-(10**6), 10**7).map(lambda d: ("by", d)),
    st.sampled_from([-1, 0, 1, 65_535, 65_536, 2**31, 2**32 - 1, 2**63 - 1, -(2**63)]).map(lambda r: ("to", r)),
    st.integers(1, 4).map(lambda n: ("back", n)),
    st.integers(-1, 2).map(lambda n: ("emax", n)),
    st.integers(-1, 2).map(lambda n: ("fits", n)),
)
READS = st.tuples(st.just("read"), st.integers(0, 1), MOVES, STEPS, st.sampled_from([0, 0, 0, 1, 15_625, -1]))
ACTS = st.one_of(READS, st.tuples(st.sampled_from(["swap", "reset_hint", "reload"]), st.integers(0, 1)))
LIVES = st.one_of(
    st.lists(ACTS, max_size=40),
    # A counter that runs backwards for ever, and two that take turns at every reading.
    st.lists(st.tuples(st.just("read"), st.integers(0, 1), st.just(("by", -7)), STEPS, st.just(0)), max_size=20),
    st.lists(st.tuples(st.just("read"), st.just(0), st.sampled_from([("by", 9), ("back", 2)]), STEPS, st.just(0))),
)


class Reading(NamedTuple):
    register: int
    raw: int
    ulp: int
    t_ms: int


class Life:
    """Turns acts into readings: keeps the raw counts of each register and the time they share."""

    def __init__(self, specs: Sequence[CounterSpec], t_ms: int = 10**6) -> None:
        self._specs = specs
        self._seen = [[1000 * register] for register in range(len(specs))]
        self._t_ms = t_ms

    def read(self, register: int, move: tuple[str, int], step: int | tuple[str, int], ulp: int) -> Reading:
        spec, seen = self._specs[register], self._seen[register]
        how, number = move
        if how == "by":
            number += seen[-1]
        elif how == "back":
            number = seen[-min(number, len(seen))]
        elif how == "emax":  # the largest rise that Emax(0) allows, and its neighbours
            number += seen[-1] + 2 + spec.p_max_W * spec.refresh_s * spec.scale_den // (3 * spec.scale_num)
        elif how == "fits":  # the largest rise whose energy fits 64 bits, and its neighbours
            number += seen[-1] + INT64_MAX * spec.scale_den // spec.scale_num
        seen.append(max(INT64_MIN, min(number, INT64_MAX)))
        self._t_ms = min(self._t_ms + (step if isinstance(step, int) else turn_ms(spec) + step[1]), TIME_LIMIT_MS - 1)
        return Reading(register, seen[-1], ulp, self._t_ms)


def turn_ms(spec: CounterSpec) -> int:
    """About the time in which the counter may turn over once, within a year."""
    if spec.p_max_W == 0:
        return 1000
    turn = 3000 * (spec.modulus - 2) * spec.scale_num // (spec.p_max_W * spec.scale_den) - 1000 * spec.refresh_s
    return max(2, min(turn, 31_536_000_000))


def batches(readings: Sequence[Reading], sizes: Sequence[int]) -> Iterator[Sequence[Reading]]:
    """The readings in pieces of the given sizes, the rest in one."""
    at = 0
    for size in sizes:
        yield readings[at : at + size]
        at += size
    yield readings[at:]
