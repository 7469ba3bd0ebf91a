"""Telling systemd how we are: the notification protocol of sd_notify(3), without a library."""

from __future__ import annotations

import socket


class Notifier:
    """Sends states to the notification socket; without one, every call does nothing.

    A lost datagram is no reason to stop a gateway: errors of the socket are counted in `lost`, not raised.
    """

    def __init__(self, address: str | None) -> None:
        self.lost = 0
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            # An address that begins with @ lies in the abstract name space.
            self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """We poll and store."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, text: str) -> None:
        """One line of truth for `systemctl status`."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feeds the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """We are on our way out."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def close(self) -> None:
        """Gives the socket back."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError:
            self.lost += 1
