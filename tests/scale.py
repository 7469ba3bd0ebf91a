"""How much a test does: a part in `make test`, everything in `make test-long`."""

import os
from typing import Final

FULL: Final = os.environ.get("HUXI_TEST_SCALE") == "full"


def scaled(count: int, full: int) -> int:
    """`count`, or `full` in the long run."""
    return full if FULL else count
