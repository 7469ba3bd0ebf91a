"""The disk that the data folder lies on, as the kernel counts it."""

import os
import shutil
from pathlib import Path
from typing import Final

_SECTOR: Final = 512
_SECTORS_WRITTEN: Final = 6


def free_bytes(folder: Path) -> int:
    """Free for an ordinary user; 0 when the folder is gone."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def size_bytes(file: Path) -> int:
    """Of a file; 0 when it is gone."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def written_bytes(folder: Path) -> int | None:
    """Bytes written to the folder's partition since it was attached, by everybody; None where nobody counts them.

    That is what wears a card out: data, and journal and metadata of the file system (Linux, iostats.rst).
    """
    try:
        device = folder.stat().st_dev
        counters = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text(encoding="ascii")
        return int(counters.split()[_SECTORS_WRITTEN]) * _SECTOR
    except (OSError, ValueError, LookupError):
        return None
