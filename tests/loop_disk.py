"""LoopDisk: a small ext4 file system of its own, so that every byte that reaches its block device can be counted.

Data, journal and metadata of the file system are all in it. Needs root and a loop device.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SECTOR = 512
ROOT_NEEDED = "needs root, mkfs.ext4 and a loop device to count bytes at a block device"


class LoopDisk:
    """The mounted file system. Made by `loop_disk`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        source = _run("findmnt", "-no", "SOURCE", str(folder)).strip()
        self._stat = Path("/sys/block") / Path(source).name / "stat"

    def settle(self) -> None:
        """Everything out, as a running kernel does within half a minute: data, journal, and metadata in its place."""
        file = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        _run("sync", "-f", str(self.folder))

    def written(self) -> int:
        """Bytes that have reached the block device so far."""
        return int(self._stat.read_text().split()[6]) * SECTOR


@contextmanager
def loop_disk(parent: Path, *, mib: int = 256, block_bytes: int = 4096, options: str = "noatime") -> Iterator[LoopDisk]:
    """A new file system inside the folder `parent`, gone afterwards.

    The block size is stated because mkfs would give a small file system blocks of 1 KiB, which no real card has.
    """
    image, folder = parent / "disk.img", parent / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(mib << 20)
    # Without the lazy set-up, whose writes in the background would be counted.
    layout = ["-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-b", str(block_bytes)]
    _run("mkfs.ext4", "-q", "-F", *layout, str(image))
    _run("mount", "-o", f"loop,{options}", str(image), str(folder))
    try:
        yield LoopDisk(folder)
    finally:
        _run("umount", str(folder))
        image.unlink()


def is_possible() -> bool:
    """True where this process may make a loop disk."""
    if os.geteuid() != 0:
        return False
    with suppress(OSError, subprocess.CalledProcessError):
        return bool(_run("losetup", "-f"))
    return False


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
