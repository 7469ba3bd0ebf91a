"""The running daemon, asked through its local API on the Unix socket in the data folder."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from gateway.cli.errors import CommandError
from gateway.cli.options import find_data_dir
from gateway.web.socket_path import socket_address

KNOCK_S: Final = 2.0
"""How long the daemon may take to accept a caller."""
ANSWER_S: Final = 15.0
"""How long an ordinary question may take; long work (verify, export, delivery) names its own limit."""


class DaemonClient:
    """Questions to one daemon. Every failure is a CommandError that says what to do (exit code 2)."""

    def __init__(self, http: httpx.Client, place: Path) -> None:
        self._http = http
        self._place = place

    def get(self, path: str, *, timeout_s: float | None = ANSWER_S, **query: str | int) -> dict[str, Any]:
        """The JSON object at `path`; `timeout_s` None waits as long as it takes."""
        return self._ask("GET", path, query, timeout_s)

    def post(self, path: str, *, timeout_s: float | None = ANSWER_S, **query: str | int) -> dict[str, Any]:
        """The JSON answer to an order at `path`."""
        return self._ask("POST", path, query, timeout_s)

    def stream(self, path: str, **query: str | int) -> Iterator[bytes]:
        """The bytes at `path`, as they come."""
        with self._translated(), self._http.stream("GET", path, params=query, timeout=None) as response:
            if response.is_error:
                response.read()
                raise _refusal(response)
            yield from response.iter_bytes()

    def _ask(self, method: str, path: str, query: Mapping[str, str | int], timeout_s: float | None) -> dict[str, Any]:
        with self._translated():
            response = self._http.request(method, path, params=query, timeout=timeout_s)
            if response.is_error:
                raise _refusal(response)
            answer = _json_object(response)
        if answer is None:
            raise CommandError(
                f"what answers at {self._place} is no huxi daemon of this version: restart the service after an update"
            )
        return answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException:
            raise CommandError(
                f"the daemon at {self._place} did not answer in time: look at its log (journalctl -u huxi)"
            ) from None
        except httpx.TransportError as error:
            raise CommandError(
                f"the daemon at {self._place} broke off its answer ({error}): look at its log (journalctl -u huxi)"
            ) from None


@contextmanager
def daemon(data: Path | None, config: Path) -> Iterator[DaemonClient]:
    """A client for the daemon of the data folder `data`, or of the one that the file `config` names."""
    place = find_data_dir(data, config) / "api.sock"
    with ExitStack() as stack:
        try:
            address = stack.enter_context(socket_address(place))
            _knock(address)
        except PermissionError:
            raise CommandError(
                f"you may not talk to the daemon at {place}: use sudo, or join the group huxi "
                "(sudo usermod -aG huxi $USER, then log in again)"
            ) from None
        except OSError:
            raise CommandError(
                f"no daemon answers at {place}: start it (huxi run -c FILE, or systemctl start huxi), "
                "or name the right folder with --data DIR"
            ) from None
        transport = httpx.HTTPTransport(uds=address)
        http = stack.enter_context(httpx.Client(transport=transport, base_url="http://huxi", trust_env=False))
        yield DaemonClient(http, place)


def _knock(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as knock:
        knock.settimeout(KNOCK_S)
        knock.connect(address)


def _refusal(response: httpx.Response) -> CommandError:
    answer = _json_object(response) or {}
    error = answer.get("error") or f"the daemon answered {response.status_code} to {response.request.url.path}"
    remedy = answer.get("remedy") or "look at its log (journalctl -u huxi)"
    return CommandError(f"{error}: {remedy}")


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
