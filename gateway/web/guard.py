"""What each request must pass and each response carries, as one small ASGI layer."""

from collections.abc import Container

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.web.errors import Forbidden, WebError

_HEADERS = {
    "content-security-policy": ("default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_READING = frozenset({"GET", "HEAD"})


class WrongHost(WebError):
    """The Host header does not name this gateway."""

    status = 421


class Guard:
    """Puts the security headers on every response and, on the TCP door, lets only harmless requests in.

    hosts: the Host headers that name the TCP door. A web page elsewhere that points its own name at this
        address (DNS rebinding) is thereby refused. None: the Unix door, where file permissions decide.
    """

    def __init__(self, app: ASGIApp, hosts: Container[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        refusal = None if self._hosts is None else _refusal(scope, self._hosts)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        else:
            await error_response(refusal.status, refusal.error, refusal.remedy)(scope, receive, send_guarded)


def _refusal(scope: Scope, hosts: Container[str]) -> WebError | None:
    named = Headers(scope=scope).getlist("host")
    if len(named) != 1 or named[0].lower() not in hosts:
        return WrongHost(
            f"no page is served under the name {', '.join(named)!r}",
            "open the page by the address that the gateway prints at its start",
        )
    if scope["method"] not in _READING:
        return Forbidden(
            f"{scope['method']} {scope['path']} is not allowed over the network",
            "use the huxi command on the gateway itself",
        )
    return None


def error_response(status: int, error: str, remedy: str) -> JSONResponse:
    """The answer that says what is wrong and what to do about it."""
    return JSONResponse({"error": error, "remedy": remedy}, status_code=status, headers={"cache-control": "no-store"})
