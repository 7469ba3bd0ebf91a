"""FactorTable: one factor file as far as it can be read, with the place of everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from drivers.faults import Fault
from drivers.toml_file import Where, key_text, read_document, read_toml
from drivers.toml_lines import key_lines
from gateway.carbon.factors.factor import Factor, year_start_ms
from gateway.carbon.factors.factor_file import FactorFile, Row, Vintage

MAX_BYTES: Final = 256 * 1024
MAX_LINE_BYTES: Final = 2000
"""Reading a key of thousands of parts takes minutes; no factor table has one."""


class Slot(NamedTuple):
    """What a value is for; a set has one value for each."""

    set_id: str
    region: str
    lens: str
    data_year: int
    version: int


class Place(NamedTuple):
    """One value where it stands in a file."""

    table: FactorTable
    where: Where
    slot: Slot
    published: date | None
    """None when the file has no day that can be read."""

    def __str__(self) -> str:
        return f"{self.table.path}:{self.table.line(self.where)}"

    def fault(self, message: str, hint: str) -> Fault:
        """A fault of this value."""
        return self.table.fault(message, hint, self.where)

    def record(self) -> Factor | None:
        """The value as a record; None when its file has faults."""
        file, (_, v, _, f) = self.table.file, self.where
        if file is None:
            return None
        vintage = file.vintage[int(v)]
        return _record(file, vintage, vintage.factors[int(f)])


class FactorTable:
    """One factor file. Nothing is raised for its content: `faults` says what is wrong with it alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = b""
        """The bytes of the file; empty when it cannot be read."""
        self.file: FactorFile | None = None
        """The whole of it, when it is without a fault."""
        self.document: dict[str, Any] | None = None
        """What is in it although it has faults; None when it is no TOML."""
        self.faults = self._refusal()
        if not self.faults:
            self.file, self.faults = read_toml(path, FactorFile)
            self.document, _ = read_document(path)

    def places(self) -> Iterator[Place]:
        """All values, also those whose row is faulty, so that one look tells everything."""
        document = self.document or {}
        for v, vintage in enumerate(_tables(document, "vintage")):
            published = vintage.get("published")
            for f, row in enumerate(_tables(vintage, "factors")):
                slot = (
                    document.get("id"),
                    row.get("region"),
                    row.get("lens", vintage.get("lens")),
                    vintage.get("data_year"),
                    vintage.get("version", 1),
                )
                if tuple(map(type, slot)) == (str, str, str, int, int):
                    day = published if type(published) is date else None
                    yield Place(self, ("vintage", v, "factors", f), Slot._make(slot), day)

    @property
    def is_legible(self) -> bool:
        """Whether every row says what it is for, sound or not."""
        rows = sum(len(_tables(vintage, "factors")) for vintage in _tables(self.document or {}, "vintage"))
        return self.document is not None and len(list(self.places())) == rows

    def fault(self, message: str, hint: str, where: Where = ()) -> Fault:
        """A fault at `where`; of the whole file without it."""
        return Fault(file=str(self.path), line=self.line(where), key=key_text(where), message=message, hint=hint)

    def line(self, where: Where) -> int:
        """The line of a key, 0 for the whole file."""
        return self._lines.get(where, 0)

    @cached_property
    def _lines(self) -> dict[Where, int]:
        return {} if self.document is None else key_lines(self.path.read_text(encoding="utf-8-sig"))

    def _refusal(self) -> list[Fault]:
        """What keeps the file from being parsed at all."""
        try:
            if self.path.is_file() and self.path.stat().st_size > MAX_BYTES:
                return [self.fault("is larger than 256 KiB", "name a factor table")]
            self.content = self.path.read_bytes() if self.path.is_file() else b""
        except OSError as error:
            return [self.fault(f"cannot be read: {error.strerror}", "check the path and its rights")]
        for line, text in enumerate(self.content.split(b"\n"), 1):
            if len(text) > MAX_LINE_BYTES:
                message = f"line {line} has more than {MAX_LINE_BYTES} bytes"
                return [self.fault(message, "name a factor table; break a long note")]
        return []


def _tables(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The tables in a list, an empty one for whatever is none, so that positions stay."""
    found = document.get(key)
    return [each if isinstance(each, dict) else {} for each in found] if isinstance(found, list) else []


def _record(file: FactorFile, vintage: Vintage, row: Row) -> Factor:
    lens = row.lens or vintage.lens
    offset_ms = file.utc_offset_h * 3_600_000
    published = datetime.combine(vintage.published, datetime.min.time(), UTC)
    return Factor(
        id=f"{file.id}/{row.region}/{vintage.data_year}/{lens}",
        version=vintage.version,
        region=row.region,
        lens=lens,
        value_mg_per_kWh=int(Decimal(row.value).scaleb(6)),
        gas_basis=vintage.gas_basis,
        data_year=vintage.data_year,
        valid_from_ms=year_start_ms(vintage.data_year, offset_ms),
        valid_to_ms=year_start_ms(vintage.data_year + 1, offset_ms),
        published_ms=int(published.timestamp()) * 1000 - offset_ms,
        confidence=row.confidence,
        publisher=vintage.publisher,
        document=vintage.document,
        document_sha256=vintage.document_sha256,
        retrieved=vintage.retrieved,
        u_rel_ppm=row.u_rel_ppm,
        note=vintage.note,
    )
