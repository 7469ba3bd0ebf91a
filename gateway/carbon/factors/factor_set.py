"""Grid factors: immutable records by region and data year, looked up as they were published at a time."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from drivers.faults import Fault
from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor import Factor, day_of, year_start_ms
from gateway.carbon.factors.factor_table import FactorTable
from gateway.carbon.factors.factor_union import join

__all__ = ["CONFIDENCE", "FOLDER", "Factor", "FactorSet", "load_all", "own_files", "shipped"]

FOLDER: Final = "factors"
"""Of the data folder: the site's own factor files."""
CONFIDENCE: Final = {
    "A": "two or more independent public copies agree",
    "B": "one public copy",
    "M": "from memory, unverified",
}


class _Candidate(NamedTuple):
    """A record as the look-up meets it."""

    valid_from_ms: int
    valid_to_ms: int
    published_ms: int
    accepted: bool
    record: Factor
    stand_in: Factor
    """The same for a later year, provisional."""


class FactorSet:
    """Records of any number of sets; a region is in one of them, without holes between its data years."""

    def __init__(self, records: Iterable[Factor], accept: bool | Collection[str] = True) -> None:
        """`accept` says which values below confidence A may be used: all, none, or those with these refs."""
        order = sorted(records, key=lambda f: (f.region, f.lens, f.data_year, f.version))
        self.records = tuple(order)
        """All of them, by region, lens, data year and version."""
        self._accept = accept if isinstance(accept, bool) else frozenset(accept)
        self._by_ref = {record.ref: record for record in order}
        self._offsets_ms = {record.region: record.utc_offset_ms for record in order}
        self._lines: dict[tuple[str, str], list[_Candidate]] = {}
        for record in reversed(order):
            self._lines.setdefault((record.region, record.lens), []).append(self._candidate(record))

    @classmethod
    def load(cls, *paths: Path) -> FactorSet:
        """The records of these files together. Raises FactorError with every fault, each with file and line."""
        records, faults = join([FactorTable(path) for path in paths])
        if faults:
            raise FactorError("\n".join(str(fault) for fault in faults), faults)
        return cls(records)

    def accepting(self, accept: bool | Collection[str]) -> FactorSet:
        """The same records with another answer to which values below confidence A may be used."""
        return FactorSet(self.records, accept)

    def regions(self) -> list[str]:
        """Ids of all regions."""
        return sorted(self._offsets_ms)

    def record(self, ref: str) -> Factor:
        """The record that a ledger entry names, accepted or not. Raises FactorError when it is not there."""
        try:
            return self._by_ref[ref]
        except KeyError:
            near = difflib.get_close_matches(ref, self._by_ref, n=1)
            hint = f"did you mean {near[0]}?" if near else "was its file removed from the folder of own factors?"
            raise FactorError(f"there is no factor {ref}; {hint}") from None

    def accepts(self, record: Factor) -> bool:
        """Whether the look-up may answer with this record."""
        if record.confidence == "A":
            return True
        return self._accept if isinstance(self._accept, bool) else record.ref in self._accept

    def lookup(self, region: str, lens: str, t_ms: int, as_of_ms: int) -> Factor:
        """The factor for energy at `t_ms`, as known at `as_of_ms`.

        That of the data year of `t_ms`, in its highest version; when none is published by then, the newest
        older year's, marked provisional. Raises FactorError when there is neither, and when that record is
        not accepted: no other year and no other region ever stands in for it.
        """
        for candidate in self._lines.get((region, lens), ()):
            if candidate.valid_from_ms <= t_ms and candidate.published_ms <= as_of_ms:
                if not candidate.accepted:
                    _refuse(candidate.record)
                return candidate.record if t_ms < candidate.valid_to_ms else candidate.stand_in
        self._missing(region, lens, t_ms, as_of_ms)

    def boundaries(self, region: str, t0_ms: int, t1_ms: int) -> list[int]:
        """The times strictly inside [t0_ms, t1_ms) at which the region's data years begin, ascending.

        Raises FactorError for an unknown region.
        """
        offset_ms = self._offset_ms(region)
        years = range(day_of(t0_ms, offset_ms).year + 1, day_of(t1_ms, offset_ms).year + 1)
        starts = (year_start_ms(year, offset_ms) for year in years)
        return [start_ms for start_ms in starts if start_ms < t1_ms]

    def year_of(self, region: str, t_ms: int) -> int:
        """The year of a time in the region's own calendar. Raises FactorError for an unknown region."""
        return day_of(t_ms, self._offset_ms(region)).year

    def only(self, refs: Iterable[str]) -> FactorSet:
        """The part of the set that a block names, everything in it accepted; unknown refs are left out.

        A look-up in it gives for every time of that block what the whole set gave when it was booked, whatever
        was imported since.
        """
        return FactorSet(self._by_ref[ref] for ref in set(refs) & self._by_ref.keys())

    def _candidate(self, record: Factor) -> _Candidate:
        return _Candidate(
            valid_from_ms=record.valid_from_ms,
            valid_to_ms=record.valid_to_ms,
            published_ms=record.published_ms,
            accepted=self.accepts(record),
            record=record,
            stand_in=replace(record, provisional=True),
        )

    def _missing(self, region: str, lens: str, t_ms: int, as_of_ms: int) -> NoReturn:
        offset_ms = self._offset_ms(region)
        candidates = self._lines.get((region, lens))
        if candidates is None:
            lenses = sorted(known for place, known in self._lines if place == region)
            raise FactorError(f"region {region} has no factor for lens {lens!r}; it has {', '.join(lenses)}")
        years = [each.record.data_year for each in candidates if each.published_ms <= as_of_ms]
        if not years:
            raise FactorError(f"no {lens} factor of region {region} was published by {day_of(as_of_ms, offset_ms)}")
        raise FactorError(
            f"region {region} has no {lens} factor for {day_of(t_ms, offset_ms).year}: its data begin with "
            f"{min(years)}, and those of another region must not stand in"
        )

    def _offset_ms(self, region: str) -> int:
        if region in self._offsets_ms:
            return self._offsets_ms[region]
        near = difflib.get_close_matches(region, self._offsets_ms, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(self.regions())}"
        raise FactorError(f"no factor is known for region {region}; {hint}")


def shipped() -> Path:
    """The factor table that comes with huxi."""
    return Path(__file__).with_name("data") / "cn-grid.toml"


def own_files(data_dir: Path) -> list[Path]:
    """The site's own factor files, by name; none when there is no such folder.

    Raises FactorError when the folder cannot be listed.
    """
    if not data_dir.is_dir():
        return []  # whether it can become one is the store's to say
    folder = data_dir / FOLDER
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return []
    except OSError as error:
        hint = "let the user that runs huxi read it"
        fault = Fault(file=str(folder), line=0, key="", message=f"cannot be listed: {error.strerror}", hint=hint)
        raise FactorError(str(fault), [fault]) from None


def load_all(data_dir: Path) -> FactorSet:
    """The shipped table and the site's own files together, everything accepted.

    Raises FactorError with every fault, each with file and line.
    """
    return FactorSet.load(shipped(), *own_files(data_dir))


def _refuse(record: Factor) -> NoReturn:
    words = CONFIDENCE[record.confidence]
    raise FactorError(
        f"factor {record.ref} has confidence {record.confidence} ({words}) and is not accepted: "
        f'check it against its document ({record.document}), then add accept_unverified = ["{record.ref}"] to [carbon]'
    )
