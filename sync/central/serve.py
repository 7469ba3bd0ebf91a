"""The receiver as a process: one file, one address, one token file."""

import asyncio
import errno
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from sync.central.app import build
from sync.central.errors import CentralError
from sync.central.store import CentralStore
from sync.central.tokens import Tokens, read_tokens

_MOST_CONNECTIONS = 1000
_KEEP_ALIVE_S = 30
_GRACE_S = 5


def serve(db: Path, listen: str, token_file: Path, time_key: Path | None = None) -> None:
    """Receive into the SQLite file `db` on `listen` (HOST:PORT, port 0 for any) until SIGINT or SIGTERM.

    Prints one line with the address once connections are accepted. Raises CentralError, before anything is
    printed, when the token file, the address or the file cannot be used.
    """
    tokens = read_tokens(token_file)
    with _bind(listen) as sock:
        asyncio.run(_serve(db, sock, tokens, time_key))


async def _serve(db: Path, sock: socket.socket, tokens: Tokens, time_key: Path | None) -> None:
    async with CentralStore.open(db) as store:
        server = uvicorn.Server(
            uvicorn.Config(
                build(store, tokens, time_key),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn stops on these, then raises them anew: that must not kill us before the store is closed
            asyncio.get_running_loop().add_signal_handler(number, lambda: None)
        host, port = sock.getsockname()[:2]
        print(f"huxi central listens on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
        await server.serve(sockets=[sock])


def _bind(listen: str) -> socket.socket:
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.path:
        raise CentralError(f"cannot listen on {listen!r}: write HOST:PORT, for example 127.0.0.1:8490")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CentralError(
                f"cannot listen on {listen}: the port is in use; stop the other program or choose another"
            ) from None
        raise CentralError(f"cannot listen on {listen}: {error.strerror or error}") from None
