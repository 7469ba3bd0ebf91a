"""Quarantine: a database that cannot be used is set aside, whole, and a new one takes over what it can."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from gateway.store import checkpoint, outbox
from gateway.store.folder import BESIDE, FILE_NAME, SUSPECT, sync_folder
from gateway.store.salvage import Salvaged, salvage
from gateway.store.schema import PAGE_BYTES, SCHEMA_VERSION
from sync.wire import encode_block

NAME: Final = "quarantine"
KEPT: Final = 2
"""How many damaged databases are kept, the newest."""
_PART: Final = f"{FILE_NAME}.part"
"""The new database while it is written."""
_NEW: Final = f"{FILE_NAME}.new"
"""The same once it is complete and durable."""

log = logging.getLogger("huxi.store")


def replace(data_dir: Path, reason: str) -> None:
    """Sets the database of a folder aside and puts a new one in its place, which holds what could be saved.

    A cut at any moment leaves the old files, or both the old in quarantine and the new one complete: see `finish`.
    The next one is told by an alarm in the new database. Raises OSError or sqlite3.Error.
    """
    path, part = data_dir / FILE_NAME, data_dir / _PART
    _make_room(data_dir, path)
    with closing(sqlite3.connect(part, isolation_level=None)) as conn:
        from gateway.store.migrations import migrate  # sqlite-utils costs 8 MB: only when there is a step to do

        conn.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("PRAGMA journal_mode = MEMORY")
        migrate(conn, SCHEMA_VERSION)
        conn.execute("BEGIN IMMEDIATE")
        saved = salvage(path, conn, checkpoint.read(data_dir))
        _tell(conn, reason, saved)
        conn.execute("COMMIT")
    part.replace(data_dir / _NEW)
    sync_folder(data_dir)
    (_new_folder(data_dir) / "reason").write_text(f"{reason}\n", encoding="utf-8")
    finish(data_dir, _newest(data_dir))
    log.error("database quarantined reason=%s records_saved=%d records_lost=%d", reason, saved.records, saved.lost)


def finish(data_dir: Path, aside: Path | None = None) -> None:
    """Puts a new database that is complete in its place, also after a cut in the middle of `replace`. Raises OSError.

    While the old one is still there without `aside`, nothing was moved yet: then `replace` begins again.
    """
    path, new = data_dir / FILE_NAME, data_dir / _NEW
    (data_dir / _PART).unlink(missing_ok=True)
    if not new.exists():
        return
    if aside is None and path.exists():
        new.unlink()
        return
    _move(data_dir, aside or _newest(data_dir) or _new_folder(data_dir))
    new.replace(path)
    (data_dir / SUSPECT).unlink(missing_ok=True)
    sync_folder(data_dir)


def _newest(data_dir: Path) -> Path | None:
    return next(iter(reversed(kept(data_dir))), None)


def _new_folder(data_dir: Path) -> Path:
    last = _newest(data_dir)
    number = 1 if last is None else int(last.name.partition("-")[0]) + 1  # the clock may be wrong
    aside = data_dir / NAME / f"{number:04d}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    aside.mkdir(parents=True)
    return aside


def kept(data_dir: Path) -> list[Path]:
    """The folders of the databases that were set aside, the newest last."""
    with suppress(OSError):
        return sorted(path for path in (data_dir / NAME).iterdir() if path.name[:4].isdigit())
    return []


def reasons(data_dir: Path) -> dict[str, str]:
    """The folders of the databases that were set aside, below the data folder, each with its reason."""
    found: dict[str, str] = {}
    for aside in kept(data_dir):
        try:
            reason = (aside / "reason").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            reason = "unknown"
        found[f"{NAME}/{aside.name}"] = " ".join(reason.split())
    return found


def _move(data_dir: Path, aside: Path) -> None:
    """The database first: while it is in its place, nothing else is touched."""
    for name in (FILE_NAME, *BESIDE):
        with suppress(FileNotFoundError):
            (data_dir / name).replace(aside / name)
    sync_folder(aside)
    sync_folder(data_dir)


def _make_room(data_dir: Path, path: Path) -> None:
    """Only so many are kept, fewer when the disk is short of room for one more."""
    found = kept(data_dir)
    size = path.stat().st_size if path.exists() else 0
    while found and (len(found) >= KEPT or shutil.disk_usage(data_dir).free < size):
        shutil.rmtree(found.pop(0))


def _tell(conn: sqlite3.Connection, reason: str, saved: Salvaged) -> None:
    now_ms = time.time_ns() // 1_000_000
    text = (
        f"the database was damaged ({reason}) and set aside; {saved.records} records were saved, {saved.lost} lost, "
        f"{saved.from_checkpoint} registers go on from the checkpoint file"
    )
    meta = {"t_ms": now_ms, "what": "store_quarantined", "device": "", "text": text}
    outbox.append(conn, "events", "alarm", now_ms, now_ms, encode_block("alarm", meta, {}))
