"""Requests whose answers may still come, and what such an answer could be mistaken for."""

from collections.abc import Iterable

from drivers.modbus.overheard import Talk
from drivers.modbus.request import Request

_ALLOWANCE = 1.5  # times the latest answer so far
_LATE_MOST_S = 10.0  # a line on which answers come later than this cannot be helped
_REMEMBERED_S = 60.0


class Suspects:
    """Shapes of which an answer that is not ours may come, each with the loop time until which it may.

    Ours are the answers we gave up waiting for, which may come more than once. Those of another master's requests are
    waited for until they are heard. When an answer comes later than anybody stated, the next ones may, too.
    """

    def __init__(self, late_s: float) -> None:
        """No answer comes later than `late_s` after its time-out, for all that is known."""
        self.latest_s = 0.0  # after its time-out that an answer was heard
        self._late_s = late_s
        self._ours: dict[bytes, float] = {}
        self._others: dict[bytes, float] = {}
        self._due: dict[bytes, float] = {}  # end of the time-outs of what was asked in vain and not asked again

    def add(self, request: Request, now: float, due: float) -> None:
        """`request` was not answered properly; its whole time-out ends at `due`."""
        self._forget(now)
        shape = request.shape
        self._ours[shape] = max(due + self._late_s, self._ours.get(shape, 0.0))
        self._due[shape] = due

    def ask(self, request: Request) -> None:
        """It goes on the wire: an answer that comes from now on says nothing about lateness."""
        if self._due:
            self._due.pop(request.shape, None)

    def overhear(self, talks: Iterable[Talk], now: float) -> None:
        """What another master asked is not answered yet, and what was answered is over."""
        self._forget(now)
        for talk in talks:
            if talk.is_request:
                self._others[talk.shape] = now + self._late_s
            elif theirs := [shape for shape in self._others if talk.may_answer(shape)]:
                for shape in theirs:
                    del self._others[shape]
            else:
                self._note_lateness(talk, now)

    def _note_lateness(self, answer: Talk, now: float) -> None:
        if answer.shape in self._due:  # not a refusal, which might be to anything
            self.latest_s = max(self.latest_s, now - self._due.pop(answer.shape))
        self._late_s = max(self._late_s, min(_ALLOWANCE * self.latest_s, _LATE_MOST_S))

    def free_at(self, request: Request) -> float:
        """From when on an answer of this shape is the answer to this request."""
        if not self._ours and not self._others:
            return 0.0
        return max(self._ours.get(request.shape, 0.0), self._others.get(request.shape, 0.0))

    def may_refuse(self, request: Request, now: float) -> bool:
        """Whether a refusal, which has no length of its own, may be the late answer to another request."""
        return any(
            until > now and shape[0] == request.unit and shape[1] == request.function
            for suspects in (self._ours, self._others)
            for shape, until in suspects.items()
        )

    def _forget(self, now: float) -> None:
        self._due = {shape: due for shape, due in self._due.items() if due + _REMEMBERED_S > now}
        self._ours = {shape: until for shape, until in self._ours.items() if until > now}
        self._others = {shape: until for shape, until in self._others.items() if until > now}
