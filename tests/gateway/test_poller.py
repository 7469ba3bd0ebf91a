"""Turns on a grid of the wall second, silent devices asked ever more seldom."""

from array import array

import pytest

from drivers.catalogue import Catalogue, shipped
from drivers.device import Device, Reading
from ext import Quality
from gateway.poller import SILENT_CAP_MS, Poller, Turn


def turn(period_ms: int, due_ms: int) -> Turn:
    return Turn(device=None, period_ms=period_ms, due_ms=due_ms)  # type: ignore[arg-type]  # no device is asked here


def test_turns_lie_on_a_grid_that_does_not_drift() -> None:
    polled = turn(1_000, 400)
    for late_ms in (0, 3, 250, 999, 1, 40):
        due_ms = polled.due_ms
        polled.after(due_ms + late_ms, answered=True)
        assert polled.due_ms == due_ms + 1_000


def test_what_was_missed_is_not_made_up_for() -> None:
    polled = turn(1_000, 400)
    polled.after(5_900, answered=True)
    assert polled.due_ms == 6_400


def test_a_silent_device_costs_less_and_less_and_never_more_than_the_cap() -> None:
    polled = turn(1_000, 0)
    waits = []
    for _ in range(8):
        due_ms = polled.due_ms
        polled.after(due_ms + 10, answered=False)
        waits.append(polled.due_ms - due_ms)
    assert waits == [1_000, 2_000, 4_000, 8_000] + [SILENT_CAP_MS] * 4
    polled.after(polled.due_ms + 10, answered=True)
    assert polled.silent == 0


def test_a_slow_device_is_never_asked_more_often_than_its_period() -> None:
    polled = turn(60_000, 0)
    for _ in range(5):
        due_ms = polled.due_ms
        polled.after(due_ms + 10, answered=False)
        assert polled.due_ms == due_ms + 60_000


PROFILE = Catalogue([shipped()]).load("meter/chint-dtsu666")


class EndOfScript(Exception):
    """All turns were taken."""


class ScriptedDevice:
    """Answers at once with one quality; ends the test by raising after its turns."""

    def __init__(self, name: str, quality: Quality, log: list[str], turns: int) -> None:
        self.name = name
        self.plan: tuple[object, ...] = ()
        self.profile = PROFILE
        self._quality, self._log, self._turns = quality, log, turns

    async def read(self) -> Reading:
        self._log.append(self.name)
        if len(self._log) > self._turns:
            raise EndOfScript
        return Reading(
            device=self.name,
            mono_ns=0,
            values=array("d", [0.0]),
            raws=array("q", [0]),
            exponents=array("b", [0]),
            ulps=array("q", [0]),
            quality=array("B", [self._quality]),
            texts={},
        )


class FastClock:
    """Time that passes only by being looked at: each look takes a tenth of a second."""

    def __init__(self) -> None:
        self._ms = 0

    def mono_ns(self) -> int:
        self._ms += 100
        return self._ms * 1_000_000

    def wall_ms(self) -> int:
        return 1_800_000_000_250


async def test_a_silent_device_does_not_keep_the_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    clock = FastClock()

    async def sleep(seconds: float) -> None:
        clock._ms += int(seconds * 1000)

    monkeypatch.setattr("gateway.poller.asyncio.sleep", sleep)
    alive: Device = ScriptedDevice("alive", Quality.OK, log, 60)  # type: ignore[assignment]
    dead: Device = ScriptedDevice("dead", Quality.TIMEOUT, log, 60)  # type: ignore[assignment]
    readings: list[str] = []
    poller = Poller(
        [(dead, 1_000), (alive, 1_000)], clock=clock, on_reading=lambda reading: readings.append(reading.device)
    )
    with pytest.raises(EndOfScript):
        await poller.run()
    assert poller.first_round.is_set()
    assert log.count("alive") > 4 * log.count("dead")
    assert set(log[:2]) == {"alive", "dead"}
