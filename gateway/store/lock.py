"""One data folder, one process: a lock on the file `lock` in it, released by the kernel however we die."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.store.errors import LockTaken, StoreError

NAME = "lock"


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Holds the folder's lock. Raises LockTaken, naming the holder, or StoreError without access."""
    try:
        file = os.open(data_dir / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StoreError(no_access(data_dir, error)) from error
    try:
        if not _try(file, fcntl.LOCK_EX):
            raise _taken(data_dir)
        with suppress(OSError):  # who holds it is for people to read; a full disk does not open the lock
            size = os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
            os.ftruncate(file, size)
        yield
    finally:
        os.close(file)


def require_unlocked(data_dir: Path) -> None:
    """Raises LockTaken while a process holds the folder's lock. A folder without lock file is free."""
    try:
        file = os.open(data_dir / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(no_access(data_dir, error)) from error
    try:
        if not _try(file, fcntl.LOCK_SH):
            raise _taken(data_dir)
    finally:
        os.close(file)


def _try(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken(data_dir: Path) -> LockTaken:
    holder = (data_dir / NAME).read_text(errors="replace").strip() or "unknown"
    return LockTaken(
        f"data folder {data_dir} is in use by process {holder}; stop that process or choose another data_dir"
    )


def no_access(data_dir: Path, error: OSError) -> str:
    """The message for a data folder that cannot be used."""
    remedy = "give it to the user that runs huxi, or choose another data_dir"
    if error.errno == errno.EROFS:
        remedy = "a failing card turns so: see dmesg, then replace it"
    return f"cannot use data folder {data_dir}: {error.strerror or error}; {remedy}"
