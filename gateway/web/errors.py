"""Errors of the web room: each says what is wrong and what to do about it."""


class WebError(Exception):
    """Root of this room. `error` is one sentence that names thing and place, `remedy` what helps."""

    status = 500

    def __init__(self, error: str, remedy: str) -> None:
        super().__init__(f"{error} ({remedy})")
        self.error = error
        self.remedy = remedy


class BindError(WebError):
    """A door cannot be opened: the port or the socket is taken, or the folder is not there."""


class BadQuery(WebError):
    """A parameter is unknown, missing or out of its bounds."""

    status = 400


class Forbidden(WebError):
    """The request is not allowed through the door it came by."""

    status = 403


class NotFound(WebError):
    """There is nothing of that name; a `Site` raises it for an unknown device."""

    status = 404


class Busy(WebError):
    """All places are taken, or what is asked cannot be done right now."""

    status = 503
