"""The plain C loops that the core is measured against, compiled for the occasion."""

import ctypes
import subprocess
import tempfile
from array import array
from pathlib import Path

SOURCE = Path(__file__).with_name("plain.c")


def compiled() -> ctypes.CDLL:
    """plain.c, by `cc -O3`."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "plain.so"
        subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
        return ctypes.CDLL(str(library))


def cells(column: array) -> ctypes.c_void_p:
    """The memory of a column, for a call into C."""
    return ctypes.c_void_p(column.buffer_info()[0])
