"""The two doors of the API: listening sockets, made before anything is served."""

import errno
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.web.errors import BindError
from gateway.web.socket_path import socket_address

_BACKLOG = 128
_MODE = 0o660  # the daemon's user and its group: whoever may use the command
_GIVE_UP_MS = 20_000  # a phone that walked away must not hold its live stream for the kernel's quarter hour


@contextmanager
def unix_door(path: Path) -> Iterator[socket.socket]:
    """Yield a listening socket at `path` with mode 0660; the file goes away with the block.

    A socket file left behind by a crash is replaced. Raises `BindError` when somebody answers there, when the
    path is taken by something else, or when the folder does not allow it.
    """
    door = socket.socket(socket.AF_UNIX)
    try:
        try:
            _remove_stale(path)
            with socket_address(path) as address:
                door.bind(address)
            path.chmod(_MODE)  # before listen: until then nobody can connect
            door.listen(_BACKLOG)
        except OSError as error:
            raise BindError(
                f"cannot open the socket {path}: {error.strerror}",
                "the data folder must exist and be writable for the user that runs huxi",
            ) from error
        ours = path.stat().st_ino
        try:
            yield door
        finally:
            if path.exists() and path.stat().st_ino == ours:
                path.unlink()
    finally:
        door.close()


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(f"{path} is in the way: it is not a socket", "move it out of the data folder")
    if _answers(path):
        raise BindError(f"a gateway already answers on {path}", "stop it first, or give this one another data folder")
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, socket_address(path) as address:
        probe.setblocking(False)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True  # its backlog is full: busy, not gone
        return True


@contextmanager
def tcp_door(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that listens on this host and port (0: any free one). Raises `BindError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        door = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise BindError(*_why_not(host_and_port(host, port), error)) from error
    with door:
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GIVE_UP_MS)
        yield door


def _why_not(place: str, error: OSError) -> tuple[str, str]:
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {place}: the port is in use", (
            "stop the program that uses it, or give the page another port: [web] listen"
        )
    if error.errno == errno.EACCES:
        return (
            f"cannot listen on {place}: not permitted",
            "give the page a port of 1024 or above: [web] listen",
        )
    return (
        f"cannot listen on {place}: {error.strerror}",
        "give the page an address of this machine: [web] listen",
    )


def host_and_port(host: str, port: int) -> str:
    """How the address stands in a URL and in a Host header."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
