"""Which form of the database this version writes."""

from typing import Final

STEPS: Final = (
    "0001-first",
    "0002-contract-use",
    "0003-undated",
    "0004-packed-states",
    "0005-series",
    "0006-packed-totals",
    "0007-resume",
    "0008-set-aside",
)
"""The migrations, in order; the database notes which were applied."""
SCHEMA_VERSION: Final = len(STEPS)
PAGE_BYTES: Final = 2048
"""Of a new database: a commit writes whole pages, of small ones it writes less (docs/decisions/0016)."""
