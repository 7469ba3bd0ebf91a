"""Log lines: one a change of state, `event key=value …`, with the journal's priority prefix where it listens."""

from __future__ import annotations

import logging
import sys

# sd-daemon(3): a line that begins with <N> is taken at that syslog priority.
PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


class _JournalFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).replace("\n", " | ")
        return f"<{PRIORITIES.get(record.levelno, 6)}>{text}"


def set_up(*, journal: bool) -> None:
    """Sends the log of `huxi.*` to standard error: priorities for the journal, times of day for people."""
    handler = logging.StreamHandler(sys.stderr)
    if journal:
        handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s", "%H:%M:%S"))
    root = logging.getLogger("huxi")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
