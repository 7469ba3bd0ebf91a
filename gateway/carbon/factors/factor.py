"""Factor: one published value, with everything that tells where it comes from."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One record of a factor set. It never changes: a corrected value is a record with a higher version.

    Records are equal when they say the same; remarks do not count.
    """

    id: str
    """set/region/data year/lens."""
    version: int
    region: str
    lens: str
    value_mg_per_kWh: int
    gas_basis: str
    """CO2 or CO2e: what the value counts."""
    data_year: int
    valid_from_ms: int
    """Begin of the data year in the set's own calendar."""
    valid_to_ms: int
    published_ms: int
    """When the document appeared; before that nobody could use the value."""
    confidence: str
    """A: two or more independent copies agree, B: one copy, M: from memory, unverified."""
    publisher: str
    document: str
    document_sha256: str | None = None
    """Of the document's file, where somebody had it in hand."""
    retrieved: date | None = field(default=None, compare=False)
    """Day on which the document was fetched."""
    u_rel_ppm: int | None = None
    """Relative standard uncertainty, where the document states one."""
    note: str = field(default="", compare=False)
    provisional: bool = False
    """True when it stands in for a data year that was not published yet."""

    @property
    def ref(self) -> str:
        """How ledger entries name it: `id@version`."""
        return f"{self.id}@{self.version}"

    @property
    def set_id(self) -> str:
        """The factor set it belongs to."""
        return self.id.partition("/")[0]

    @property
    def value_text(self) -> str:
        """The value in the unit of its document: "0.1404 kg/kWh"."""
        return f"{Decimal(self.value_mg_per_kWh).scaleb(-6).normalize():f} kg/kWh"

    @property
    def published(self) -> date:
        """Day of publication in the set's calendar."""
        return day_of(self.published_ms, self.utc_offset_ms)

    @property
    def utc_offset_ms(self) -> int:
        """Offset of the set's calendar: how much earlier than in UTC its years begin."""
        return year_start_ms(self.data_year, 0) - self.valid_from_ms


def year_start_ms(year: int, utc_offset_ms: int) -> int:
    """When a year begins in the calendar with this offset."""
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000 - utc_offset_ms


def day_of(t_ms: int, utc_offset_ms: int) -> date:
    """The date of a time in the calendar with this offset."""
    return datetime.fromtimestamp((t_ms + utc_offset_ms) // 1000, UTC).date()
