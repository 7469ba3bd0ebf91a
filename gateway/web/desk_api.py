"""The part of the local API by which a person acts on the ledger."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import Field

from gateway.web import desk_models as models
from gateway.web.desk_site import DeskSite
from gateway.web.errors import BadQuery
from gateway.web.operation import Operation, Query


class AcceptQuery(Query):
    """Which row, and what it was."""

    seq: int = Field(ge=1, le=2**53 - 1, description="its record: 1 or above")
    row: int = Field(ge=0, le=2**31, description="its position in the record: 0 or above")
    energy_mWh: int | None = Field(None, ge=0, le=2**53 - 1, description="within its bounds; the highest when left out")
    reason: str = Field(min_length=1, max_length=200, description="why, 1 to 200 characters")


class PlanQuery(Query):
    """Which factors, and which days; the whole ledger when no day is said."""

    factor_set: str = Field(min_length=1, max_length=64, description="id of a factor set, as in `huxi factors list`")
    from_: date = Field(date.min, alias="from", description="first day: YYYY-MM-DD")
    to: date = Field(date.max, description="last day: YYYY-MM-DD")


class RestateQuery(Query):
    """Which day, which factors, and why."""

    day: date = Field(description="YYYY-MM-DD, in the site's time zone")
    factor_set: str = Field(min_length=1, max_length=64, description="id of a factor set, as in `huxi factors list`")
    run: str = Field(min_length=1, max_length=80, description="as the plan gave it")
    reason: str = Field("", max_length=200, description="why, up to 200 characters")
    dry_run: bool = Field(False, description="true: only tell what would change")


class DeskApi:
    """The operations over one desk."""

    def __init__(self, desk: DeskSite) -> None:
        self._desk = desk

    def operations(self) -> tuple[Operation, ...]:
        """All of them, in the order of the documentation."""
        return (
            Operation(
                path="/api/v1/ledger/suspects",
                summary="Energy that waits for a person's decision",
                handler=self._suspects,
                answer=models.Suspects,
            ),
            Operation(
                path="/api/v1/ledger/accept",
                summary="Book the energy of a suspect row (Unix socket only)",
                handler=self._accept,
                answer=models.Suspect,
                query=AcceptQuery,
                method="POST",
            ),
            Operation(
                path="/api/v1/ledger/restatement",
                summary="Days to restate with the newest factors of a set",
                handler=self._plan,
                answer=models.RestatementPlan,
                query=PlanQuery,
            ),
            Operation(
                path="/api/v1/ledger/restate",
                summary="Bring one day to the newest factors of a set (Unix socket only)",
                handler=self._restate,
                answer=models.Restatement,
                query=RestateQuery,
                method="POST",
            ),
        )

    async def _suspects(self, query: Query) -> Mapping[str, Any]:
        return await self._desk.suspects()

    async def _accept(self, query: AcceptQuery) -> Mapping[str, Any]:
        return await self._desk.accept(query.seq, query.row, query.energy_mWh, query.reason)

    async def _plan(self, query: PlanQuery) -> Mapping[str, Any]:
        if query.from_ > query.to:
            raise BadQuery(f"from={query.from_} is after to={query.to}", "give the earlier day as from")
        return await self._desk.restatement_plan(query.factor_set, query.from_, query.to)

    async def _restate(self, query: RestateQuery) -> Mapping[str, Any]:
        return await self._desk.restate(query.day, query.factor_set, query.run, query.reason, query.dry_run)
