"""Which faults meet which request: by script, by standing habit of the device, or by seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Sequence

from tests.drivers.modbus.fault_answer import Ask
from tests.drivers.modbus.fault_server import Rule
from tests.drivers.modbus.faults import Fault, Late, Lost

Menu = Callable[[random.Random, Ask], Sequence[Fault]]  # one choice of faults for this request


def script(*turns: Sequence[Fault]) -> Rule:
    """The first request meets the first turn's faults, and so on; then all is well."""
    left = iter(turns)
    return lambda ask: next(left, ())


def always(*faults: Fault) -> Rule:
    """The same for every request."""
    return lambda ask: faults


def all_of(*rules: Rule) -> Rule:
    """What any of them says."""
    return lambda ask: [fault for rule in rules for fault in rule(ask)]


def swallows_first(requests: int, *, after_idle_s: float | None = None) -> Rule:
    """The first requests after connecting are lost, and each that comes after such a silence."""
    return lambda ask: (
        [Lost()] if ask.order < requests or (after_idle_s is not None and ask.idle_s >= after_idle_s) else ()
    )


def sleeps(from_s: float, until_s: float) -> Rule:
    """No answer at night."""
    return lambda ask: [Lost()] if from_s <= ask.at_s < until_s else ()


def slow(addresses: Container[int], by_s: float) -> Rule:
    """Registers that the device has to fetch from afar."""
    return lambda ask: [Late(by_s)] if ask.address in addresses else ()


def by_seed(seed: int, menu: Menu, *, chance: float, units: Container[int]) -> Rule:
    """Each answer of these units meets a choice from the menu with this chance."""
    dice = random.Random(seed)
    return lambda ask: menu(dice, ask) if ask.unit in units and dice.random() < chance else ()
