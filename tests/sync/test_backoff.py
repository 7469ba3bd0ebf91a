from random import Random

import pytest

from sync.backoff import LONGEST_RETRY_AFTER_S, Backoff, Pace

PACE = Pace(base_s=1, cap_s=10)


class Highest(Random):
    """Always the far end of a window."""

    def uniform(self, a, b):
        return b


def test_windows_double_up_to_the_cap():
    backoff = Backoff(Highest())
    assert [backoff.next_s(PACE) for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_a_success_starts_anew():
    backoff = Backoff(Highest())
    for _ in range(5):
        backoff.next_s(PACE)
    backoff.reset()
    assert backoff.next_s(PACE) == 1


def test_ten_thousand_failures_stay_at_the_cap():
    backoff = Backoff(Highest())
    assert max(backoff.next_s(PACE) for _ in range(10_000)) == 10


@pytest.mark.parametrize(
    ("asked_s", "wait_s"), [(None, 1), (0, 1), (-5, 1), (30, 31), (1e9, LONGEST_RETRY_AFTER_S + 1)]
)
def test_a_wait_that_was_asked_for_comes_on_top(asked_s, wait_s):
    assert Backoff(Highest()).next_s(PACE, asked_s) == wait_s


def test_a_thousand_gateways_do_not_come_back_together():
    """Promise 11: told the same Retry-After at once, they spread over at least 80 % of the window."""
    waits = []
    for seed in range(1000):
        backoff = Backoff(Random(seed))
        for _ in range(10):
            wait_s = backoff.next_s(PACE, 60)
        waits.append(wait_s)
    assert min(waits) >= 60
    assert max(waits) - min(waits) >= 0.8 * PACE.cap_s
    busiest_second = max(sum(t <= wait < t + 1 for wait in waits) for t in range(60, 70))
    assert busiest_second < 150
