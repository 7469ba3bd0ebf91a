"""Which form of the database this version writes."""

from typing import Final

STEPS: Final = ("0001-first", "0002-contract-use", "0003-sealed-registers", "0004-set-aside")
"""The migrations, in order; the database notes which were applied."""
SCHEMA_VERSION: Final = len(STEPS)
