import logging

import pytest

from drivers.modbus.link_log import LinkLog


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="huxi.drivers")
    return lambda: [record.message.removeprefix("link ").split()[0] for record in caplog.records]


def test_a_link_that_comes_works_and_goes_is_told_each_time(said):
    log = LinkLog("roof")
    for start in (0.0, 1_000.0):
        log.opened()
        log.answered(start)
        log.trouble("reset by peer", start + 900)
    assert said() == ["connected", "works", "lost"] * 2


def test_a_night_of_attempts_is_told_once_for_each_reason(said):
    log = LinkLog("roof")
    log.answered(0.0)
    for minute in range(600):
        log.opened()
        log.trouble("nobody answers" if minute % 2 else "refused", 3_600.0 + 60 * minute)
    log.answered(40_000.0)
    assert said() == ["works", "lost", "connected", "lost", "works"]


def test_a_link_that_is_lost_all_the_time_is_no_flood(said):
    log = LinkLog("roof")
    for second in range(3_600):
        log.opened()
        log.answered(second)
        log.trouble(f"junk {second}", second + 0.5)
    assert len(said()) < 8
    log.answered(3_600.0)
    log.trouble("reset by peer", 3_700.0)
    assert said()[-1] == "lost"


def test_what_came_and_went_and_stays_away_is_told_in_the_end(said):
    log = LinkLog("roof")
    for second in range(10):
        log.answered(second)
        log.trouble("reset by peer", second + 0.5)
    assert said() == ["works", "lost"]
    log.answered(20)
    for second in range(21, 200):
        log.trouble("reset by peer", second)
    assert said() == ["works", "lost"], "what was said last is true"


def test_when_it_was_good_that_was_said_last_the_truth_follows_within_a_minute(said):
    log = LinkLog("roof")
    log.trouble("refused", 0)
    log.answered(1)
    assert said() == ["lost", "works"]
    for second in range(2, 200):
        log.trouble("refused", second)
    assert said() == ["lost", "works", "lost"]
