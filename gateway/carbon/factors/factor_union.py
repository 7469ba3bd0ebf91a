"""Factor files read together: their records, and every fault that only shows between rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import pairwise

from drivers.faults import Fault
from gateway.carbon.factors.factor import Factor
from gateway.carbon.factors.factor_table import FactorTable, Place, Slot


def join(tables: Sequence[FactorTable]) -> tuple[list[Factor], list[Fault]]:
    """The records of all files, or none and every fault, in the order of the files and their lines.

    A file may repeat a record of an earlier one; it may not change it. Holes are judged on all files together.
    """
    places = {table: list(table.places()) for table in tables}
    first = {place.slot: place for found in reversed(places.values()) for place in reversed(found)}
    faults = [fault for table in tables for fault in table.faults]
    faults += _calendars(tables)
    faults += _doubles(places, first)
    faults += _regions(places)
    faults += _versions(first.values())
    if all(table.is_legible for table in tables):  # else the missing years may be among what nobody could read
        order = {table: at for at, table in enumerate(tables)}
        faults += _holes(first.values(), order)
    if faults:
        at = {str(table.path): at for at, table in enumerate(tables)}
        return [], sorted(faults, key=lambda fault: (at[fault.file], fault.line))
    return [record for place in first.values() if (record := place.record())], []


def _doubles(places: Mapping[FactorTable, list[Place]], first: Mapping[Slot, Place]) -> Iterator[Fault]:
    for table, found in places.items():
        seen: dict[Slot, Place] = {}
        for place in found:
            _, region, lens, year, version = place.slot
            if (twin := seen.setdefault(place.slot, place)) is not place:
                which = f" in version {version}" if version > 1 else ""
                message = f"{region} has a {lens} value for {year}{which} in line {table.line(twin.where)} already"
                yield place.fault(message, "keep one of the two; a correction is a vintage with a higher version")
                continue
            old, new = first[place.slot].record(), place.record()
            if old and new and old != new:
                yield place.fault(
                    f"{new.ref} stands in {first[place.slot]} with another {_difference(old, new)}",
                    "a record never changes: publish a correction as a vintage with a higher version",
                )


def _difference(old: Factor, new: Factor) -> str:
    names = (each.name for each in fields(Factor) if each.compare)
    return ", ".join(name for name in names if getattr(old, name) != getattr(new, name))


def _calendars(tables: Iterable[FactorTable]) -> Iterator[Fault]:
    first: dict[str, FactorTable] = {}
    for table in tables:
        if table.file is None:
            continue
        earlier = first.setdefault(table.file.id, table)
        assert earlier.file is not None
        if earlier.file.utc_offset_h != table.file.utc_offset_h:
            message = f"set {table.file.id} has utc_offset_h = {earlier.file.utc_offset_h} in {earlier.path}"
            yield table.fault(message, "a set has one calendar", ("utc_offset_h",))


def _regions(places: Mapping[FactorTable, list[Place]]) -> Iterator[Fault]:
    """A region is in one set only: else it would depend on the order of files which one answers."""
    homes: dict[str, Place] = {}
    told: set[tuple[str, str]] = set()
    for place in (place for found in places.values() for place in found):
        region, set_id = place.slot.region, place.slot.set_id
        home = homes.setdefault(region, place)
        if home.slot.set_id != set_id and (region, set_id) not in told:
            told.add((region, set_id))
            message = f"{region} is in set {home.slot.set_id} already ({home})"
            yield place.fault(message, f'add to that set with id = "{home.slot.set_id}", or name another region')


def _versions(places: Iterable[Place]) -> Iterator[Fault]:
    """A correction appears after what it corrects: else the older value would never have been in force."""
    for (_, region, lens, year), found in _grouped(places, by=4).items():
        for lower, higher in pairwise(sorted(found, key=lambda place: place.slot.version)):
            if lower.published and higher.published and higher.published < lower.published:
                message = (
                    f"version {higher.slot.version} of the {lens} value of {region} for {year} was published before "
                    f"version {lower.slot.version} ({lower})"
                )
                yield higher.fault(message, "check both dates and versions")


def _holes(places: Iterable[Place], order: Mapping[FactorTable, int]) -> Iterator[Fault]:
    for (_, region, lens), found in _grouped(places, by=3).items():
        years = {place.slot.data_year: place for place in found}
        for before, after in pairwise(sorted(years)):
            if after - before > 1:
                lacking = f"{before + 1}" if after - before == 2 else f"{before + 1} to {after - 1}"
                # In the file that was read last: the one that somebody is adding.
                place = max(years[after], years[before], key=lambda place: order[place.table])
                message = f"{region} has {lens} values for {before} and {after}, and none for {lacking}"
                yield place.fault(message, "add it: a hole is not guessed")


def _grouped(places: Iterable[Place], by: int) -> dict[tuple[object, ...], list[Place]]:
    groups: dict[tuple[object, ...], list[Place]] = {}
    for place in places:
        groups.setdefault(place.slot[:by], []).append(place)
    return groups
