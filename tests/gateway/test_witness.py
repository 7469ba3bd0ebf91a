"""Who vouches for the wall clock: each with what makes it be silent."""

import ctypes
from pathlib import Path
from uuid import UUID

import pytest

from gateway import witness
from gateway.clock import EARLIEST_MS, LATEST_MS, SystemClock, offset_ms
from tests.hand_clock import HandClock

NOW_MS = EARLIEST_MS + 1_000


def kernel_says(monkeypatch: pytest.MonkeyPatch, state: int, status: int = 0, offset: int = 0) -> None:
    class Libc:
        def adjtimex(self, reference: object) -> int:
            timex = reference._obj  # type: ignore[attr-defined]
            timex.status, timex.offset = status, offset
            return state

    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **keys: Libc())


@pytest.mark.parametrize(
    ("state", "status", "offset", "said"),
    [
        (0, 0x2001, 49_000_000, True),  # nanoseconds
        (0, 0x0001, -49_000, True),  # microseconds
        (0, 0x2001, 300_000_000, False),  # still being slewed
        (0, 0x2041, 0, False),  # STA_UNSYNC
        (5, 0x2041, 0, False),  # TIME_ERROR
        (-1, 0, 0, None),  # a sandbox without the call
    ],
)
def test_the_kernel_vouches_when_a_time_service_tells_it_so(
    monkeypatch: pytest.MonkeyPatch, state: int, status: int, offset: int, said: bool | None
) -> None:
    kernel_says(monkeypatch, state, status, offset)
    assert witness.kernel_synchronised() is said
    clock = HandClock(NOW_MS)
    anchor = witness.service(clock)()
    assert (anchor is not None) is (said is True)
    assert anchor is None or (anchor.offset_ms, anchor.source) == (NOW_MS - 5_000, "kernel")


def test_the_real_kernel_can_be_asked() -> None:
    assert witness.kernel_synchronised() in (True, False, None)


def test_timesyncd_vouches_where_the_kernel_does_not_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flag = tmp_path / "synchronized"
    kernel_says(monkeypatch, -1)
    ask = witness.service(HandClock(NOW_MS), flag)
    assert ask() is None
    flag.touch()
    anchor = ask()
    assert anchor is not None
    assert anchor.source == "timesyncd"
    kernel_says(monkeypatch, 5, 0x2041)  # it says no: the clock was set since, or the last answer is hours old
    assert ask() is None


def test_a_clock_with_a_battery_is_believed_unless_it_is_behind_what_is_stored() -> None:
    clock = HandClock(NOW_MS)
    ask = witness.configuration(clock, newest_ms=NOW_MS + 500)
    assert ask() is None
    clock.pass_ms(1_000)
    assert ask() is not None


@pytest.mark.parametrize("wall_ms", [0, EARLIEST_MS - 1, LATEST_MS])
def test_a_time_that_cannot_be_is_believed_of_nobody(monkeypatch: pytest.MonkeyPatch, wall_ms: int) -> None:
    kernel_says(monkeypatch, 0)
    clock = HandClock(wall_ms)
    witnesses = (
        witness.service(clock),
        witness.configuration(clock, 0),
        lambda: witness.hand(clock),
    )
    assert [ask() for ask in witnesses] == [None] * 3
    clock.wall = NOW_MS
    assert None not in [ask() for ask in witnesses]


def test_the_boot_has_a_name() -> None:
    assert UUID(witness.boot_id())


def test_the_two_clocks_are_read_together() -> None:
    clock = SystemClock()
    assert abs(offset_ms(clock) + clock.mono_ns() // 1_000_000 - clock.wall_ms()) < 1_000
