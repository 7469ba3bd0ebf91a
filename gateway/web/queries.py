"""The parameters of the API's operations, with their bounds."""

from datetime import date

from pydantic import Field

from gateway.web.operation import Query
from gateway.web.site import ExportFormat


class HistoryQuery(Query):
    """Which device, and how far back."""

    device: str = Field(min_length=1, max_length=64, description="name of a device, as in /api/v1/devices")
    minutes: int = Field(60, ge=1, le=60, description="minutes of history: 1 to 60")


class TotalsQuery(Query):
    """Which days, both inclusive; the whole ledger when nothing is said."""

    from_: date = Field(date.min, alias="from", description="first day: YYYY-MM-DD")
    to: date = Field(date.max, description="last day: YYYY-MM-DD")


class EntriesQuery(Query):
    """Which part of the ledger."""

    limit: int = Field(200, ge=1, le=1000, description="about how many entries: 1 to 1000")
    before_seq: int | None = Field(
        None, ge=1, le=2**53 - 1, description="only records below this sequence number: 1 or above"
    )


class ExportQuery(Query):
    """In which form."""

    format: ExportFormat = Field("csv", description="csv or jsonl")
