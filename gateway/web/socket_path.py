"""Unix socket addresses for paths of any length."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_PLAIN_PATH = 100  # bytes; the kernel's sun_path holds 108 with its end mark


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Yield an address that `bind` and `connect` take for the socket at `path`, valid inside the block.

    A data folder may lie deeper than the kernel's limit for socket addresses; then the address leads through
    an open descriptor of the folder. Raises OSError when the folder of a long path cannot be opened.
    """
    if len(os.fsencode(path)) <= _LONGEST_PLAIN_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
