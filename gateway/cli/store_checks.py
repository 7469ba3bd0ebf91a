"""The doctor's look at the database of a stopped gateway."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from gateway.cli.finding import Finding
from gateway.store import inspection, quarantine
from gateway.store.errors import LockTaken, StoreError
from gateway.store.folder import FILE_NAME
from gateway.store.lock import require_unlocked

DOUBT_THE_CARD = "copy it to a safe place and delete it; when it comes again, replace the card"


def check_store(data_dir: Path) -> Iterator[Finding]:
    """Whether the database can be used, and what was set aside. Nothing is changed; a running gateway is let alone."""
    if not data_dir.is_dir():
        return
    yield _database(data_dir)
    for folder, reason in quarantine.reasons(data_dir).items():
        text = f"a damaged database is kept in {data_dir / folder} ({reason})"
        yield Finding(check="quarantine", state="warn", text=text, remedy=DOUBT_THE_CARD)


def _database(data_dir: Path) -> Finding:
    path = data_dir / FILE_NAME
    if os.statvfs(data_dir).f_flag & os.ST_RDONLY:
        return _bad(f"the disk of {data_dir} is read-only", "a failing card turns so: see dmesg, then replace the card")
    try:
        require_unlocked(data_dir)
        reason = inspection.fault(data_dir)
    except LockTaken:
        return Finding(check="database", state="ok", text=f"{path} is in use by the running gateway")
    except StoreError as error:
        text, _, remedy = str(error).partition("; ")
        return _bad(text, remedy)
    except (OSError, sqlite3.Error) as error:
        return _bad(f"{path} cannot be read ({error})", "run doctor as the user that runs huxi")
    if reason is not None:
        return Finding(
            check="database",
            state="warn",
            text=f"{path} cannot be used: {reason}",
            remedy="start the gateway: it sets the file aside and goes on with what can be read of it",
        )
    text = f"{path} is sound" if path.exists() else f"{path} is not there yet"
    return Finding(check="database", state="ok", text=text)


def _bad(text: str, remedy: str) -> Finding:
    return Finding(check="database", state="bad", text=text, remedy=remedy)
