"""The files of a data folder that belong to the database."""

import os
from pathlib import Path
from typing import Final

FILE_NAME: Final = "huxi.db"
LOG: Final = f"{FILE_NAME}-wal"
BESIDE: Final = (LOG, f"{FILE_NAME}-shm", f"{FILE_NAME}-journal")
"""What SQLite keeps beside the database."""

SUSPECT: Final = "suspect"
"""Says that damage was met while the database was in use, and which."""


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable. Raises OSError."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
