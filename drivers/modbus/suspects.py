"""Requests whose answers may still come, and what such an answer could be mistaken for."""

from collections.abc import Iterable

from drivers.modbus.overheard import Talk
from drivers.modbus.request import Request


class Suspects:
    """Shapes of which an answer that is not ours may come, each with the loop time until which it may.

    Ours are the answers we gave up waiting for, which may come more than once. Those of another master's requests are
    waited for until they are heard.
    """

    def __init__(self) -> None:
        self._ours: dict[bytes, float] = {}
        self._others: dict[bytes, float] = {}

    def add(self, request: Request, now: float, until: float) -> None:
        """The answer to `request` may come until then."""
        self._forget(now)
        self._ours[request.shape] = max(until, self._ours.get(request.shape, 0.0))

    def overhear(self, talks: Iterable[Talk], now: float, until: float) -> None:
        """What another master asked is answered until then, and what was answered is over."""
        self._forget(now)
        for talk in talks:
            if talk.is_request:
                self._others[talk.shape] = until
            else:
                self._others = {shape: at for shape, at in self._others.items() if not talk.may_answer(shape)}

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
        self._ours = {shape: until for shape, until in self._ours.items() if until > now}
        self._others = {shape: until for shape, until in self._others.items() if until > now}
