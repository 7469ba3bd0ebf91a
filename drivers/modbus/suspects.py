"""Requests whose answers may still come, and what such an answer could be mistaken for."""

from drivers.modbus.request import Request


class Suspects:
    """Shapes of which an old answer may come, each with the loop time until which it may."""

    def __init__(self) -> None:
        self._until: dict[bytes, float] = {}

    def add(self, request: Request, until: float) -> None:
        """The answer to `request` may come until then."""
        self._until[request.shape] = max(until, self._until.get(request.shape, 0.0))

    def free_at(self, request: Request) -> float:
        """From when on an answer of this shape is the answer to this request."""
        return self._until.get(request.shape, 0.0) if self._until else 0.0

    def may_refuse(self, request: Request, now: float) -> bool:
        """Whether a refusal, which has no length of its own, may be the late answer to another request."""
        return any(
            until > now and shape[0] == request.unit and shape[1] == request.function
            for shape, until in self._until.items()
        )

    def forget(self, now: float) -> None:
        """Drop what is over."""
        self._until = {shape: until for shape, until in self._until.items() if until > now}
