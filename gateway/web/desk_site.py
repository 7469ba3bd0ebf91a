"""What the web room needs for acts on the ledger; `gateway.ledger_desk` fulfils it, tests use a fake."""

from datetime import date
from typing import Any, Protocol


class DeskSite(Protocol):
    """Acts of a person; the rules are those of `gateway.web.site.Site`."""

    async def suspects(self) -> dict[str, Any]:
        """`desk_models.Suspects`: what waits for a decision."""

    async def accept(self, seq: int, row: int, energy_mWh: int | None, reason: str) -> dict[str, Any]:
        """`desk_models.Suspect`: books an energy (None: the highest) for a suspect row. Raises `BadQuery`."""

    async def restatement_plan(self, factor_set: str, first: date, last: date) -> dict[str, Any]:
        """`desk_models.RestatementPlan` of the days first to last, both inclusive. Raises `BadQuery`."""

    async def restate(self, day: date, factor_set: str, run: str, reason: str, dry_run: bool) -> dict[str, Any]:
        """`desk_models.Restatement`: brings a day's entries to the set's newest factors. Raises `Busy`."""
