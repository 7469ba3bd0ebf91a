"""Taking a factor file into the site's own folder: checked with all others first, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drivers.faults import Fault
from gateway.carbon.errors import FactorError
from gateway.carbon.factors.factor import Factor
from gateway.carbon.factors.factor_set import FOLDER, own_files, shipped
from gateway.carbon.factors.factor_table import FactorTable
from gateway.carbon.factors.factor_union import join

FOLDER_MODE: Final = 0o755
FILE_MODE: Final = 0o644
"""Whoever imports, under whatever umask, the user that runs the gateway has to read it; factors are public."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFile:
    """A factor file that may stand beside those of a data folder."""

    set_id: str
    records: Sequence[Factor]
    """All of the file."""
    new: Sequence[Factor]
    """Those that no earlier file has."""
    content: bytes


def check(file: Path, data_dir: Path, documents: Sequence[Path] = ()) -> CheckedFile:
    """The factor file, sound in itself and beside all others of the data folder.

    With `documents`, each of its vintages must name the SHA-256 of one of them. Raises FactorError with every
    fault, each with its line, and OSError for a document that cannot be read.
    """
    known = [FactorTable(path) for path in (shipped(), *own_files(data_dir))]
    table = FactorTable(file)
    _, faults = join([*known, table])
    if documents:
        faults += _documents(table, {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in documents})
    if faults or table.file is None:
        raise FactorError("\n".join(str(fault) for fault in faults), faults)
    earlier = {record.ref for old in known for place in old.places() if (record := place.record())}
    own = [record for place in table.places() if (record := place.record())]
    return CheckedFile(
        set_id=table.file.id,
        records=own,
        new=[record for record in own if record.ref not in earlier],
        content=table.content,
    )


def store(checked: CheckedFile, data_dir: Path) -> Path:
    """Where the file now stands in the data folder; nothing there is ever overwritten. Raises OSError.

    It is complete and on the disk when this returns, and not there at all when it does not.
    """
    folder = data_dir / FOLDER
    if not folder.exists():
        folder.mkdir()
        folder.chmod(FOLDER_MODE)
        _sync(data_dir)
    path = folder / f"{checked.set_id}-{hashlib.sha256(checked.content).hexdigest()[:12]}.toml"
    part, name = tempfile.mkstemp(prefix=path.stem, suffix=".part", dir=folder)
    try:
        with os.fdopen(part, "wb") as out:
            out.write(checked.content)
            out.flush()
            os.fchmod(out.fileno(), FILE_MODE)
            os.fsync(out.fileno())
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    _sync(folder)
    return path


def _sync(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _documents(table: FactorTable, given: dict[str, Path]) -> Iterable[Fault]:
    has = "; ".join(f"{path} has {digest}" for digest, path in given.items())
    for v, vintage in enumerate(table.file.vintage if table.file else ()):
        if vintage.document_sha256 is None:
            yield table.fault("names no document_sha256 to compare with", has, ("vintage", v))
        elif vintage.document_sha256 not in given:
            message = f"{vintage.document_sha256} is the SHA-256 of no document that was given"
            yield table.fault(message, has, ("vintage", v, "document_sha256"))
