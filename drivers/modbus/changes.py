"""Which changes between good and bad are worth a line in a journal."""

_MOST = 5  # different troubles told before it was steady again
_STEADY_S = 60.0


class Changes:
    """Each change is news once. What comes and goes is told of once, until it has been good, or bad, for a minute."""

    def __init__(self) -> None:
        self._good_since: float | None = None
        self._bad_since: float | None = None
        self._told: set[str] = set()  # since it was good for a minute
        self._said_good = False

    def good(self, now: float) -> bool:
        """It is good; whether that is news. To be told as often as it is."""
        if self._good_since is not None:
            return False
        self._good_since, self._bad_since = now, None
        if not self._tell("good"):
            return False
        self._said_good = True
        return True

    def bad(self, why: str, now: float) -> bool:
        """It is bad; whether that, or why, is news. To be told as often as it is."""
        if self._good_since is not None and now - self._good_since >= _STEADY_S:
            self._told.clear()
        self._good_since = None
        self._bad_since = now if self._bad_since is None else self._bad_since
        is_bad_for_long = self._said_good and now - self._bad_since >= _STEADY_S
        if not (len(self._told) < _MOST and self._tell(why)) and not is_bad_for_long:
            return False
        self._said_good = False
        return True

    def also(self, what: str) -> bool:
        """Something else about it, while it is not good; whether that is news."""
        return self._good_since is None and self._tell(what)

    def _tell(self, what: str) -> bool:
        is_news = what not in self._told
        self._told.add(what)
        return is_news
