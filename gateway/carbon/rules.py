"""Rules: to which accounts a register's energy goes, and with which amounts (carbon-method, sections 1, 7).

One device, location lens. The same kilowatt-hour appears in several accounts; a total sums one account only.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.carbon.errors import RuleError


class Account(StrEnum):
    """What a statement is about."""

    INVENTORY = "inventory"  # what the site answers for
    ALLOCATION = "allocation"  # who used it; never added to the inventory
    PROJECT = "project"  # against a declared baseline; never taken off an inventory
    MEMO = "memo"  # worth knowing, in no total of carbon


class Method(StrEnum):
    """How amounts follow from energy E and grid factor F. The ids are stored: a change gets a new version."""

    GRID_AVERAGE = "electricity.grid-average/1"  # emitted E * F, no baseline
    NONE = "electricity.none/1"  # emitted 0, no baseline, no factor
    DISPLACED = "electricity.grid-displaced/1"  # emitted 0, baseline E * F


class Line(NamedTuple):
    """One entry that each interval of a register gives."""

    account: Account
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the site's configuration says of a device."""

    role: str
    supply: str = "grid"
    """Where its energy comes from: "grid", "own" (off-grid generation) or "direct" (a line of its own)."""
    baseline: str | None = None
    """The counterfactual: "grid", or None when none is declared."""


MEMO: Final = Line(Account.MEMO, Method.NONE)
"""Worth knowing, and in no total."""
_DISPLACED: Final = Line(Account.PROJECT, Method.DISPLACED)

# What a flow of a device with this role is: "imported" by the site, "used", "made" on site, or a "memo".
# A meter in front of a consumer calls its flow "import", a charger may call it "charge". What a battery
# charges is neither made nor used up: until it has a pool (section 7), both ways are memos.
_CONSUMER: Final = {
    "import": "used",
    "consumption": "used",
    "charge": "used",
    "discharge": "memo",
    "generation": "memo",
    "export": "memo",
}
_MEANINGS: Final = {
    "grid": {"import": "imported", "export": "memo"},
    "hydro": {"import": "used", "consumption": "used", "generation": "memo", "export": "memo"},
    "pv": {"generation": "made", "export": "memo", "import": "used", "consumption": "used"},
    "generator": {"generation": "memo", "export": "memo", "import": "used", "consumption": "used"},
    "battery": _CONSUMER | {"charge": "memo"},
    "load": _CONSUMER,
    "charger": _CONSUMER,
    "wastewater": _CONSUMER,
    "water": _CONSUMER,
    "light": _CONSUMER,
}


def lines_of(declared: Declaration, flow: str, lens: str = "location") -> tuple[Line, ...]:
    """The entries that each interval of a register gives.

    Raises RuleError for a lens that is not there yet, and for a declaration without a rule.
    """
    if lens != "location":
        raise RuleError(f"lens {lens!r} comes later; use lenses = ['location']")
    meanings = _MEANINGS.get(declared.role)
    if meanings is None:
        raise RuleError(f"role {declared.role!r} has no rules; the roles are {', '.join(_MEANINGS)}")
    match meanings.get(flow):
        case "imported":
            return _imported(declared)
        case "used":
            return _used(declared, has_own_generation="made" in meanings.values())
        case "made":
            return (MEMO, _DISPLACED) if declared.baseline == "grid" else (MEMO,)
        case "memo":
            return (MEMO,)
        case _:
            raise RuleError(
                f"a device of role {declared.role!r} cannot have a register of flow {flow!r}; "
                f"give the device another role, or choose a profile with {', '.join(meanings)}"
            )


def _imported(declared: Declaration) -> tuple[Line, ...]:
    if declared.supply != "grid" or declared.baseline is not None:
        raise RuleError("a grid meter has neither supply nor baseline; remove them from the device")
    return (Line(Account.INVENTORY, Method.GRID_AVERAGE),)


def _used(declared: Declaration, *, has_own_generation: bool) -> tuple[Line, ...]:
    if declared.supply == "grid":
        if declared.baseline is not None and not has_own_generation:
            raise RuleError(
                f"baseline = {declared.baseline!r} is for a device that takes nothing from the grid; "
                "declare its supply, or remove the baseline"
            )
        return (Line(Account.ALLOCATION, Method.GRID_AVERAGE),)
    used = Line(Account.ALLOCATION, Method.NONE)
    return (used, _DISPLACED) if declared.baseline == "grid" else (used,)
