"""FactorFile: what a factor table looks like as TOML."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

HIGHEST_KG_PER_KWH: Final = 2
"""No grid emits as much: a larger value is in another unit."""

Lens = Literal["location", "market"]
Text = Annotated[str, Field(min_length=1)]


def exact_value(text: str) -> str:
    """A factor in kg/kWh as a decimal string, a whole number of mg/kWh.

    Raises ValueError for anything else: nothing is rounded.
    """
    match = re.fullmatch(r"[0-9]{1,9}(?:\.([0-9]+))?", text)
    if match is None:
        raise ValueError('must be a decimal number in quotes, for example "0.1404"')
    if len(match[1] or "") > 6:
        raise ValueError("has more than six decimals of kg/kWh; give the published value")
    if not 0 < Decimal(text) < HIGHEST_KG_PER_KWH:
        raise ValueError(f"must lie between 0 and {HIGHEST_KG_PER_KWH} kg/kWh; check the unit of the source")
    return text


class Table(BaseModel):
    """A table of the file: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Row(Table):
    """One region's value."""

    region: Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]+)*$")]
    """ISO 3166-2 code, or the country's code with a name for a grid region (CN-GRID-SW)."""
    value: Annotated[str, AfterValidator(exact_value)]
    confidence: Literal["A", "B", "M"]
    lens: Lens | None = None
    """Where it differs from the vintage's; "market" is the residual mix."""
    u_rel_ppm: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Relative standard uncertainty, where the document states one."""


class Vintage(Table):
    """The values of one data year, as one document gave them."""

    data_year: Annotated[int, Field(ge=1990, le=2100)]
    version: Annotated[int, Field(ge=1)] = 1
    """Counts the values that were published for one region, lens and data year: a correction is one more."""
    published: date
    """Day of publication; the values may be used from its first minute, in the set's calendar."""
    publisher: Text
    document: Text
    document_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Only of a document that was in the hands of whoever wrote this."""
    retrieved: date | None = None
    unit: Literal["kg/kWh"]
    gas_basis: Literal["CO2", "CO2e"]
    lens: Lens
    note: str = ""
    factors: Annotated[list[Row], Field(min_length=1)]


class FactorFile(Table):
    """Values of one factor set."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: Text
    utc_offset_h: Annotated[int, Field(ge=-12, le=14)]
    """Offset of the calendar whose years the data years are (China: 8)."""
    vintage: Annotated[list[Vintage], Field(min_length=1)]
