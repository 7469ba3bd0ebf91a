"""What the journal is told of a link."""

import logging

from drivers.modbus.changes import Changes

_log = logging.getLogger("huxi.drivers")


class LinkLog:
    """Tells the changes of a link's state, however often it is tried in between: nights are long."""

    def __init__(self, link: str) -> None:
        self._link = link
        self._changes = Changes()

    def opened(self) -> None:
        """The endpoint is open; nobody has answered on it yet."""
        if self._changes.also("connected"):
            _log.info("link connected link=%s", self._link)

    def answered(self, now: float) -> None:
        """Somebody answered on a connection for the first time."""
        if self._changes.good(now):
            _log.info("link works link=%s", self._link)

    def trouble(self, reason: str, now: float) -> None:
        """The endpoint cannot be opened, or was lost while it was needed."""
        if self._changes.bad(reason, now):
            _log.warning("link lost link=%s reason=%r", self._link, reason)

    def unnumbered(self) -> None:
        """Its Modbus TCP replies carry 0 instead of the number of their request."""
        _log.warning(
            "link answers without transaction ids link=%s; it is read as carefully as a serial line", self._link
        )
