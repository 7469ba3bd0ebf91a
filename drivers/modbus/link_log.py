"""What the journal is told of a link."""

import logging

_MOST = 5  # different troubles told before it works again
_STEADY_S = 60.0  # of working, after which a link that is lost is news

_log = logging.getLogger("huxi.drivers")


class LinkLog:
    """Tells each change of a link's state once, however often it is tried in between: nights are long.

    A link that works and is lost again and again is told of once, until it has been steady for a minute.
    """

    def __init__(self, link: str) -> None:
        self._link = link
        self._works_since: float | None = None
        self._told: set[str] = set()  # since it was steady

    def opened(self) -> None:
        """The endpoint is open; nobody has answered on it yet."""
        if self._works_since is None and self._is_news("connected"):
            _log.info("link connected link=%s", self._link)

    def answered(self, now: float) -> None:
        """Somebody answered on a connection for the first time."""
        if self._works_since is None:
            self._works_since = now
            if self._is_news("works"):
                _log.info("link works link=%s", self._link)

    def trouble(self, reason: str, now: float) -> None:
        """The endpoint cannot be opened, or was lost while it was needed."""
        if self._works_since is not None and now - self._works_since >= _STEADY_S:
            self._told.clear()
        self._works_since = None
        if len(self._told) < _MOST and self._is_news(reason):
            _log.warning("link lost link=%s reason=%r", self._link, reason)

    def unnumbered(self) -> None:
        """Its Modbus TCP replies carry 0 instead of the number of their request."""
        _log.warning(
            "link answers without transaction ids link=%s; it is read as carefully as a serial line", self._link
        )

    def _is_news(self, what: str) -> bool:
        is_news = what not in self._told
        self._told.add(what)
        return is_news
