"""The parameters of the ledger's operations, with their bounds."""

from datetime import date
from typing import Literal, get_args

from pydantic import Field

from gateway.web.ledger_site import ExportFormat
from gateway.web.operation import Query

Lens = Literal["location", "market"]
Account = Literal["inventory", "allocation", "project", "memo"]

_LENS = f"one of {', '.join(get_args(Lens))}; the site's main lens when left out"


class TotalsQuery(Query):
    """Which days, both inclusive; the whole ledger when nothing is said."""

    from_: date = Field(date.min, alias="from", description="first day: YYYY-MM-DD")
    to: date = Field(date.max, description="last day: YYYY-MM-DD")
    lens: Lens | None = Field(None, description=_LENS)
    as_of: date | None = Field(None, description="only what was booked by the end of this day: YYYY-MM-DD")


class EntriesQuery(Query):
    """Which part of the ledger."""

    limit: int = Field(200, ge=1, le=1000, description="about how many entries: 1 to 1000")
    before_seq: int | None = Field(
        None, ge=1, le=2**53 - 1, description="only records below this sequence number: 1 or above"
    )


class DayTraceQuery(Query):
    """Whose day."""

    day: date = Field(description="the day: YYYY-MM-DD")
    device: str = Field(min_length=1, max_length=64, description="name of a device")
    register_: str | None = Field(None, alias="register", min_length=1, max_length=64, description="one register of it")
    account: Account | None = Field(None, description=f"one of {', '.join(get_args(Account))}")
    lens: Lens | None = Field(None, description=_LENS)


class EntryTraceQuery(Query):
    """Which entry, or row of intervals."""

    seq: int = Field(ge=1, le=2**53 - 1, description="its record: 1 or above")
    row: int = Field(ge=0, le=2**31, description="its position in the record: 0 or above")


class ExportQuery(Query):
    """In which form."""

    format: ExportFormat = Field("csv", description="csv or jsonl")
    rebuilt: bool = Field(False, description="true: every entry computed anew; must be the same file")
