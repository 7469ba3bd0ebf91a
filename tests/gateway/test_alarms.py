"""Alarms: no flood, no step of the clock left out, and a stamp while there is no date."""

from gateway.alarms import Alarms, Stamp
from gateway.clock import EARLIEST_MS, Dating
from tests.hand_clock import HandClock


def alarms_of(clock: HandClock, newest_ms: int = 0) -> tuple[Alarms, Dating]:
    dating = Dating(clock, [clock.witness])
    return Alarms(dating=dating, clock=clock, boot="b", newest_ms=lambda: newest_ms), dating


def test_the_same_is_told_once_an_hour_and_each_step_of_the_clock() -> None:
    clock = HandClock(EARLIEST_MS)
    alarms, dating = alarms_of(clock)
    dating.observe()
    for minute in range(0, 90, 10):
        for what in ("overflow", "clock_step"):
            alarms.add(what, "", f"at {minute}")
        alarms.add("clock_step", "", "again at once")
        clock.pass_ms(600_000)
    told = [alarm.what for alarm in alarms.waiting]
    assert (told.count("overflow"), told.count("clock_step")) == (2, 9)
    assert alarms.waiting[0].t_ms == EARLIEST_MS
    assert alarms.left_undated is False


def test_without_a_date_an_alarm_has_its_stamp_and_is_not_older_than_what_is_stored() -> None:
    clock = HandClock(77, vouched=False)
    for newest_ms, t_ms in ((0, EARLIEST_MS), (EARLIEST_MS + 9, EARLIEST_MS + 9)):
        alarms, _ = alarms_of(clock, newest_ms)
        alarms.add("reset", "grid", "began anew")
        (alarm,) = alarms.waiting
        assert (alarm.t_ms, alarm.undated) == (t_ms, Stamp("b", 5_000, 77))
        assert alarm.to_meta()["undated"] == {"boot": "b", "mono_ms": 5_000, "wall_ms": 77}
        assert alarms.left_undated
