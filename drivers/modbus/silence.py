"""Whether anybody is at the other end of a connection."""

_SILENCES = 3  # in a row, after which a connection on which nobody answers is of no use


class Silence:
    """Who was asked on one connection, and who was silent since anybody was last heard."""

    def __init__(self) -> None:
        self.anybody_answered = False
        self._asked: set[int] = set()
        self._silent: set[int] = set()
        self._in_a_row = 0

    def ask(self, unit: int) -> None:
        """A request goes to `unit`."""
        self._asked.add(unit)

    def heard(self, *, answer: bool) -> None:
        """Something came; `answer` when it was one."""
        self._in_a_row = 0
        self._silent.clear()
        self.anybody_answered = self.anybody_answered or answer

    def not_heard(self, unit: int) -> None:
        """Nothing came from `unit`."""
        self._in_a_row += 1
        self._silent.add(unit)

    @property
    def is_innocent(self) -> bool:
        """Whether the loss of the connection says nothing against it: who was asked answered, or nobody was asked."""
        return self.anybody_answered or not self._asked

    @property
    def nobody_there(self) -> bool:
        """Whether no unit that was asked answers any more."""
        return self._in_a_row >= _SILENCES and self._silent >= self._asked
