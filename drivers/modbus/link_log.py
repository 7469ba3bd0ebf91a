"""What the journal is told of a link."""

import logging

_MOST = 5  # different troubles told before it works again

_log = logging.getLogger("huxi.drivers")


class LinkLog:
    """Tells each change of a link's state once, however often it is tried in between: nights are long."""

    def __init__(self, link: str) -> None:
        self._link = link
        self._is_well = False
        self._told: set[str] = set()  # since it was well

    def opened(self) -> None:
        """The endpoint is open; nobody has answered on it yet."""
        if not self._is_well and "" not in self._told:
            self._told.add("")
            _log.info("link connected link=%s", self._link)

    def answered(self) -> None:
        """Somebody answered on a connection for the first time."""
        if not self._is_well:
            self._is_well = True
            self._told.clear()
            _log.info("link works link=%s", self._link)

    def trouble(self, reason: str) -> None:
        """The endpoint cannot be opened, or was lost while it was needed."""
        self._is_well = False
        if reason not in self._told and len(self._told) <= _MOST:
            self._told.add(reason)
            _log.warning("link lost link=%s reason=%r", self._link, reason)

    def unnumbered(self) -> None:
        """Its Modbus TCP replies carry 0 instead of the number of their request."""
        _log.warning(
            "link answers without transaction ids link=%s; it is read as carefully as a serial line", self._link
        )
