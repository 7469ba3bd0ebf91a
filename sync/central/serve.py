"""The receiver as a process: one database, one address."""

import asyncio
import errno
import signal
import socket
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import uvicorn

from sync.central.app import build
from sync.central.errors import CentralError
from sync.central.store import CentralStore

_MOST_CONNECTIONS = 1000
_KEEP_ALIVE_S = 360
"""Longer than the time between two closes of a gateway: it needs no new TLS session for each."""
_GRACE_S = 5


class Certificate(NamedTuple):
    """What the receiver shows for itself over TLS, both as PEM files."""

    chain: Path
    """Its certificate, then those between it and the root."""
    key: Path
    """The private key, without a password."""

    def check(self) -> None:
        """Raises CentralError when the two cannot be used."""
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self.chain, self.key, password="")
        except OSError as error:  # also what ssl raises
            raise CentralError(
                f"TLS cannot use the certificate {self.chain} with the key {self.key}: {error.strerror or error}; "
                "give two PEM files that belong together, the key without a password"
            ) from None


def serve(db: str, listen: str, certificate: Certificate | None = None, time_key: Path | None = None) -> None:
    """Receive into `db` (a SQLite file, or postgresql://…) on `listen` (HOST:PORT, port 0 for any) until SIGINT or
    SIGTERM; over TLS when there is a certificate.

    Prints one line with the address once connections are accepted. Raises CentralError, before anything is
    printed, when the certificate, the address or the database cannot be used.
    """
    if certificate is not None:
        certificate.check()
    with _bind(listen) as sock:
        asyncio.run(_serve(db, sock, certificate, time_key))


async def _serve(db: str, sock: socket.socket, certificate: Certificate | None, time_key: Path | None) -> None:
    async with CentralStore.open(db) as store:
        server = uvicorn.Server(
            uvicorn.Config(
                build(store, time_key),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=certificate and certificate.chain,
                ssl_keyfile=certificate and certificate.key,
            )
        )

        def stop() -> None:
            server.should_exit = True

        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn stops on these by itself once it runs, then raises them anew: that must not kill us before the
            # store is closed.
            asyncio.get_running_loop().add_signal_handler(number, stop)
        host, port = sock.getsockname()[:2]
        scheme = "https" if certificate else "http"
        print(f"huxi central listens on {scheme}://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
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
