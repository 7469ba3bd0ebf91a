"""A state that is older than the ledger is brought up to it: no energy is booked twice, and none is lost."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from ext import CounterSpec, CounterTable, EventKind
from ext.counter_state import CounterState, advanced

T0_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


def read(table: CounterTable, raw: int, t_ms: int) -> tuple[list[int], list[int]]:
    events = table.step(array("i", [0]), array("q", [raw]), array("q", [0]), array("q", [t_ms]))
    return list(events.kind), list(events.energy_mWh)


@given(
    scale_num=st.integers(1, 5_000),
    scale_den=st.integers(1, 1_000),
    first=st.integers(0, 60_000),
    counts=st.integers(0, 5_000),
    share=st.floats(0, 1),
)
def test_what_the_ledger_has_is_not_booked_again(
    scale_num: int, scale_den: int, first: int, counts: int, share: float
) -> None:
    table = CounterTable([CounterSpec(0, scale_num, scale_den, 2_000_000, 60, 0, 0)])
    read(table, first, T0_MS)
    last = first + counts
    energy_mWh = counts * scale_num // scale_den
    booked_mWh = int(energy_mWh * share)
    after, rest_mWh = advanced(table.state(0), booked_mWh, T0_MS + HOUR_MS, 0)
    table.load(0, after)
    found_mWh = 0
    for minute in range(5):  # a step must hold for a while before it is believed
        found_mWh += sum(read(table, last, T0_MS + 2 * HOUR_MS + minute * 60_000)[1])
    assert booked_mWh + rest_mWh + found_mWh == energy_mWh
    assert rest_mWh * scale_den <= scale_num


def test_a_counter_that_has_turned_over_meanwhile() -> None:
    table = CounterTable([CounterSpec(1 << 32, 1_000, 1, 50_000, 60, 0, 0)])
    read(table, (1 << 32) - 5, T0_MS)
    after, rest_mWh = advanced(table.state(0), 12_300, T0_MS + HOUR_MS, 0)
    assert (rest_mWh, CounterState(*after[1:]).last) == (700, 8)
    table.load(0, after)
    assert sum(read(table, 20, T0_MS + 2 * HOUR_MS)[1]) == 25_000 - 13_000


def test_after_another_base_the_next_reading_is_a_swap() -> None:
    spec = CounterSpec(0, 1_000, 1, 50_000, 60, 0, 0)
    table = CounterTable([spec])
    read(table, 100, T0_MS)
    after, rest_mWh = advanced(table.state(0), 5_000, T0_MS + HOUR_MS, 2)
    assert (rest_mWh, CounterState(*after[1:]).epoch) == (0, 2)
    table.load(0, after)
    kinds, energies = read(table, 7, T0_MS + 2 * HOUR_MS)
    assert kinds == [EventKind.SWAP] and energies == [0]
