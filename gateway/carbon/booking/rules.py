"""Rules: to which accounts a register's energy goes under each lens, and how its amounts follow (docs/method.md).

One device at a time. The same kilowatt-hour appears in several accounts, and under several lenses; a total sums
one account under one lens only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.carbon.errors import RuleError


class Lens(StrEnum):
    """By which convention grid electricity is counted."""

    LOCATION = "location"  # the average of the grid at the place
    MARKET = "market"  # contracts first, the rest at the residual mix


class Account(StrEnum):
    """What a statement is about."""

    INVENTORY = "inventory"  # what the site answers for
    ALLOCATION = "allocation"  # who used it; never added to the inventory
    PROJECT = "project"  # against a declared baseline; never taken off an inventory
    MEMO = "memo"  # worth knowing, in no total of carbon


class Method(StrEnum):
    """How amounts follow from energy E and a lens's factor F. The ids are stored: a change gets a new version."""

    GRID_AVERAGE = "electricity.grid-average/1"  # emitted E * F, no baseline
    NONE = "electricity.none/1"  # emitted 0, no baseline, no factor
    DISPLACED = "electricity.grid-displaced/1"  # emitted 0, baseline E * F
    RESIDUAL = "electricity.residual-mix/1"  # emitted E * F of the residual mix, no baseline
    CONTRACT_RESIDUAL = "electricity.contract-residual/1"  # the same of what exceeds the year's contract


class Line(NamedTuple):
    """One entry that each interval of a register gives."""

    lens: str
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
    attributes_retained: bool | None = None
    """Whether the certificates of what it generates are kept (True) or sold (False); None when nobody has said."""
    contract_mWh: int | None = None
    """Energy a year from the grid that a contract covers; None without one."""


# What a flow of a device with this role is: "imported" by the site, "used", "made" on site in place of grid
# electricity, "generated" without such a claim, or a "memo".
# A meter in front of a consumer calls its flow "import", a charger may call it "charge". What a battery
# charges is neither made nor used up: until it has a pool, both ways are memos.
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
    "hydro": {"import": "used", "consumption": "used", "generation": "generated", "export": "memo"},
    "pv": {"generation": "made", "export": "memo", "import": "used", "consumption": "used"},
    "generator": {"generation": "generated", "export": "memo", "import": "used", "consumption": "used"},
    "battery": _CONSUMER | {"charge": "memo"},
    "load": _CONSUMER,
    "charger": _CONSUMER,
    "wastewater": _CONSUMER,
    "water": _CONSUMER,
    "light": _CONSUMER,
}
_WITH_ATTRIBUTES: Final = ("pv", "hydro", "generator")
"""Roles whose energy may have certificates."""


def lines_of(declared: Declaration, flow: str, lenses: Iterable[str]) -> tuple[Line, ...]:
    """The entries that each interval of a register gives, lens by lens.

    Raises RuleError for an unknown lens, and for a declaration without a rule.
    """
    meanings = _MEANINGS.get(declared.role)
    if meanings is None:
        raise RuleError(f"role {declared.role!r} has no rules; the roles are {', '.join(_MEANINGS)}")
    if flow not in meanings:
        raise RuleError(
            f"a device of role {declared.role!r} cannot have a register of flow {flow!r}; "
            f"give the device another role, or choose a profile with {', '.join(meanings)}"
        )
    if declared.attributes_retained is not None and declared.role not in _WITH_ATTRIBUTES:
        raise RuleError(
            f"a device of role {declared.role!r} has no certificates; remove attributes_retained", "attributes_retained"
        )
    return tuple(line for lens in lenses for line in _lines(declared, meanings[flow], lens))


def memo(lenses: Iterable[str]) -> tuple[Line, ...]:
    """The entries of a register that is worth knowing and in no total."""
    return tuple(_memo(lens) for lens in lenses)


def takes_from_grid(declared: Declaration, flow: str) -> bool:
    """True for a flow whose energy comes from the public grid: a contract may cover it."""
    meaning = _MEANINGS.get(declared.role, {}).get(flow)
    return meaning in ("imported", "used") and declared.supply == "grid"


def _lines(declared: Declaration, meaning: str, lens: str) -> tuple[Line, ...]:
    if lens not in tuple(Lens):
        raise RuleError(f"lens {lens!r} has no rules; the lenses are {', '.join(Lens)}")
    match meaning:
        case "imported":
            if declared.supply != "grid" or declared.baseline is not None:
                raise RuleError("a grid meter has neither supply nor baseline; remove them from the device")
            return (Line(lens, Account.INVENTORY, _grid_method(declared, lens)),)
        case "used" if declared.supply == "grid":
            if declared.baseline is not None and declared.role != "pv":  # a pv device has it for its generation
                raise RuleError(
                    f"baseline = {declared.baseline!r} is for a device that takes nothing from the grid; "
                    "declare its supply, or remove the baseline"
                )
            return (Line(lens, Account.ALLOCATION, _grid_method(declared, lens)),)
        case "used":
            line = Line(lens, Account.ALLOCATION, Method.NONE)
            return _own(declared, line, avoids=True, has_attributes=declared.role == "hydro")
        case "made" | "generated":
            return _own(declared, _memo(lens), avoids=meaning == "made", has_attributes=True)
        case _:
            return (_memo(lens),)


def _grid_method(declared: Declaration, lens: str) -> Method:
    if lens == Lens.LOCATION:
        return Method.GRID_AVERAGE
    return Method.RESIDUAL if declared.contract_mWh is None else Method.CONTRACT_RESIDUAL


def _own(declared: Declaration, line: Line, *, avoids: bool, has_attributes: bool) -> tuple[Line, ...]:
    """Energy that does not come from the grid: `line` says where it goes while its certificates are not sold."""
    is_sold = has_attributes and declared.attributes_retained is False
    if line.lens == Lens.MARKET:
        if has_attributes and declared.attributes_retained is None:
            raise RuleError(
                f"the market lens cannot report a device of role {declared.role!r} without attributes_retained: "
                "set it to true while the site keeps the certificates of this energy, to false when they are sold",
                "attributes_retained",
            )
        return (Line(line.lens, Account.INVENTORY, Method.RESIDUAL),) if is_sold else (line,)
    if avoids and declared.baseline == "grid" and not is_sold:  # who sold the certificates sold the claim
        return (line, Line(line.lens, Account.PROJECT, Method.DISPLACED))
    return (line,)


def _memo(lens: str) -> Line:
    return Line(lens, Account.MEMO, Method.NONE)
