"""Grid factors: immutable records by region and data year, looked up as they were published at a time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from drivers.faults import Fault
from drivers.toml_file import Where, key_text, line_of, read_toml
from gateway.carbon.errors import FactorError
from gateway.carbon.factor_file import FactorFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One record of a factor set."""

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
    """Begin of the data year in the region's own calendar."""
    valid_to_ms: int
    published_ms: int
    """When the document appeared; before that nobody could use the value."""
    confidence: str
    """A: two or more independent copies agree, B: one copy, M: from memory, unverified."""
    publisher: str
    document: str
    provisional: bool = False
    """True when it stands in for a data year that was not published yet."""

    @property
    def ref(self) -> str:
        """How ledger entries name it: `id@version`."""
        return f"{self.id}@{self.version}"


class FactorSet:
    """Records of regions that share one calendar; without holes or overlaps inside the published range."""

    def __init__(self, records: Iterable[Factor], calendar: timezone) -> None:
        self.records = tuple(sorted(records, key=lambda f: (f.region, f.lens, f.data_year)))
        """All of them, by region, lens and data year."""
        self._calendar = calendar
        self._of: dict[str, dict[str, list[Factor]]] = {}
        for record in self.records:
            self._of.setdefault(record.region, {}).setdefault(record.lens, []).append(record)

    @classmethod
    def load(cls, path: Path) -> FactorSet:
        """The set in a TOML file. Raises FactorError with every fault of the file, each with its line."""
        file, faults = read_toml(path, FactorFile)
        if file is not None:
            faults = _overlaps_and_holes(path, file)
        if file is None or faults:
            raise FactorError("\n".join(str(fault) for fault in faults), faults)
        calendar = timezone(timedelta(hours=file.utc_offset_h))
        return cls(_records(file, calendar), calendar)

    def regions(self) -> list[str]:
        """Ids of all regions."""
        return sorted(self._of)

    def lookup(self, region: str, lens: str, t_ms: int, as_of_ms: int) -> Factor:
        """The factor for energy at `t_ms`, as known at `as_of_ms`.

        That of the data year of `t_ms`; when it is not published by then, the newest older one, marked
        provisional. Raises FactorError when there is neither; another region never stands in.
        """
        lenses = self._lenses(region)
        if lens not in lenses:
            raise FactorError(f"region {region} has no factor for lens {lens!r}; it has {', '.join(lenses)}")
        published = [record for record in lenses[lens] if record.published_ms <= as_of_ms]
        for record in reversed(published):
            if record.valid_from_ms <= t_ms:
                return record if t_ms < record.valid_to_ms else replace(record, provisional=True)
        if not published:
            raise FactorError(f"no {lens} factor of region {region} was published by {self._date(as_of_ms)}")
        raise FactorError(
            f"region {region} has no {lens} factor for {self._date(t_ms).year}: its data begin with "
            f"{published[0].data_year}, and those of another region must not stand in"
        )

    def boundaries(self, region: str, t0_ms: int, t1_ms: int) -> list[int]:
        """The times strictly inside [t0_ms, t1_ms) at which the region's data years begin, ascending.

        Raises FactorError for an unknown region.
        """
        self._lenses(region)
        years = range(self._date(t0_ms).year + 1, self._date(t1_ms).year + 1)
        starts = (_year_start_ms(year, self._calendar) for year in years)
        return [start_ms for start_ms in starts if start_ms < t1_ms]

    def only(self, refs: Iterable[str]) -> FactorSet:
        """The part of the set that the references name; unknown ones are left out."""
        wanted = set(refs)
        return FactorSet((record for record in self.records if record.ref in wanted), self._calendar)

    def _lenses(self, region: str) -> dict[str, list[Factor]]:
        if region in self._of:
            return self._of[region]
        near = difflib.get_close_matches(region, self._of, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(self.regions())}"
        raise FactorError(f"no factor is known for region {region}; {hint}")

    def _date(self, t_ms: int) -> date:
        return datetime.fromtimestamp(t_ms // 1000, self._calendar).date()


def shipped() -> Path:
    """The factor table that comes with huxi."""
    return Path(__file__).with_name("data") / "cn-grid.toml"


def _records(file: FactorFile, calendar: timezone) -> Iterable[Factor]:
    for vintage in file.vintage:
        published = datetime.combine(vintage.published, datetime.min.time(), calendar)
        for row in vintage.factors:
            lens = row.lens or vintage.lens
            yield Factor(
                id=f"{file.id}/{row.region}/{vintage.data_year}/{lens}",
                version=vintage.version,
                region=row.region,
                lens=lens,
                value_mg_per_kWh=int(Decimal(row.value).scaleb(6)),
                gas_basis=vintage.gas_basis,
                data_year=vintage.data_year,
                valid_from_ms=_year_start_ms(vintage.data_year, calendar),
                valid_to_ms=_year_start_ms(vintage.data_year + 1, calendar),
                published_ms=int(published.timestamp()) * 1000,
                confidence=row.confidence,
                publisher=vintage.publisher,
                document=vintage.document,
            )


def _overlaps_and_holes(path: Path, file: FactorFile) -> list[Fault]:
    text = path.read_text(encoding="utf-8-sig")
    places: dict[tuple[str, str], dict[int, Where]] = {}
    faults: list[Fault] = []

    def fault(where: Where, message: str, hint: str) -> None:
        faults.append(Fault(file=str(path), line=line_of(text, where), key=key_text(where), message=message, hint=hint))

    for v, vintage in enumerate(file.vintage):
        for f, row in enumerate(vintage.factors):
            where: Where = ("vintage", v, "factors", f)
            years = places.setdefault((row.region, row.lens or vintage.lens), {})
            first = years.setdefault(vintage.data_year, where)
            if first is not where:
                message = f"{row.region} has a value for {vintage.data_year} in line {line_of(text, first)} already"
                fault(where, message, "keep one of the two")
    for (region, lens), years in places.items():
        for year, where in years.items():
            if year - 1 not in years and min(years) < year:
                message = f"{region} has {lens} values for {min(years)} and {year}, and none for {year - 1}"
                fault(where, message, "add it: a hole is not guessed")
    return sorted(faults, key=lambda found: found.line)


def _year_start_ms(year: int, calendar: timezone) -> int:
    return int(datetime(year, 1, 1, tzinfo=calendar).timestamp()) * 1000
