"""A fault in a file somebody wrote: place, key, what is wrong, what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in a file; `str()` gives `file:line: key: message (hint)`."""

    file: str  # path as the user named it
    line: int  # from 1; 0 when unknown
    key: str  # as in `point[3].scale`; empty when the fault is the whole file's
    message: str  # what is wrong
    hint: str = ""  # what to do about it; empty when the message says it

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {key}{self.message}{hint}"
