"""Sweep: what the meter has ready to be written, and which registers are behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from gateway.carbon.intervals import UNIT, Intervals, RegisterName
from gateway.carbon.metering.correction import Correction
from sync.wire import Block

COVERAGE = "coverage"


class Lateness(IntEnum):
    """Why a register has not closed its rows. The numbers are stored: never renumber."""

    NONE = 0  # it is back in time
    SILENT = 1  # no answer, or none that can be used: what was read last is stale
    HELD = 2  # its readings contradict each other: they are implausible
    ASLEEP = 3  # no accepted reading, and none is expected: the device sleeps, as its kind does at night
    FROZEN = 4  # the device answers, and always the same
    OUT_OF_RANGE = 5  # what it reads lies outside the range of its profile
    DISCONNECTED = 6  # the link is down: the device cannot be asked
    NO_VALUE = 7  # the device itself says that it has none, or what it says is no number
    REFUSED = 8  # the device answers with an exception

    @property
    def word(self) -> str:
        """For people and programs."""
        return "in time" if self is Lateness.NONE else self.name.lower().replace("_", " ")


class Late(NamedTuple):
    """A register that fell behind, or came back."""

    name: RegisterName
    closed_until_ms: int | None
    """None when it was never read."""
    state: Lateness


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """The caller's to keep and to write, all of it in one transaction, once."""

    intervals: Intervals
    corrections: Sequence[Correction] = ()
    """Of rows in these intervals or earlier ones, in the order in which they were found."""
    late: Sequence[Late] = ()
    """What has changed since the sweep before."""

    def __bool__(self) -> bool:
        return bool(len(self.intervals) or self.corrections or self.late)


def coverage(late: Sequence[Late], at_ms: int) -> Block:
    """The block of a record of kind "coverage"."""
    return Block(
        kind=COVERAGE,
        meta={"registers": [[*each.name, UNIT] for each in late], "at_ms": at_ms},
        columns={
            "r": [*range(len(late))],
            "since_ms": [each.closed_until_ms for each in late],
            "state": [int(each.state) for each in late],
        },
    )
