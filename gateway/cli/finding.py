"""What one of the doctor's checks found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `huxi doctor`."""

    check: str
    """What was looked at."""
    state: Literal["ok", "warn", "bad"]
    """`warn` may be on purpose; `bad` keeps huxi from doing its work."""
    text: str
    """What was seen."""
    remedy: str = ""
    """What to do about it; empty when there is nothing to do."""
