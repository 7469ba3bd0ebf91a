"""Addresses of links: what is at the other end of the wire, in one line of configuration."""

import os
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, parse_qsl, urlsplit

from drivers.modbus.errors import LinkUrlError

DEFAULT_PORT = 502
BAUD_RATES = (300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 76800, 115200, 230400)
_SELF = ("localhost", "127.0.0.1", "::1")
_SERIAL_OPTIONS = {"baud": "9600", "parity": "N", "stop": "1"}


class LinkScheme(StrEnum):
    """The kinds of wire."""

    TCP = "tcp"
    RTU_OVER_TCP = "rtu+tcp"
    RTU = "rtu"
    LINE = "line"  # emulated serial line, for simulated devices only


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAddress:
    """One endpoint; the fields of the other kind of wire keep their defaults."""

    scheme: LinkScheme
    host: str = ""
    port: int = 0
    path: str = ""
    baud: int = 9600
    parity: str = "N"  # N, E or O
    stop: int = 1  # stop bits, 1 or 2

    @property
    def serial(self) -> bool:
        """Whether the endpoint is a tty."""
        return self.scheme in (LinkScheme.RTU, LinkScheme.LINE)

    @property
    def wire(self) -> tuple[str, int]:
        """What all addresses of one wire have in common, whatever is spoken on it."""
        if self.serial:
            return os.path.realpath(self.path), 0  # links of udev to one tty
        host = self.host.lower().removesuffix(".")
        return "localhost" if host in _SELF else host, self.port

    def __str__(self) -> str:
        if self.serial:
            return f"{self.scheme}://{self.path}?baud={self.baud}&parity={self.parity}&stop={self.stop}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_link_url(url: str) -> LinkAddress:
    """The endpoint of a master that `url` names; LinkUrlError says what is wrong with it.

    Forms: `tcp://host:port`, `rtu+tcp://host:port` (port 502 when left out) and
    `rtu:///dev/…?baud=9600&parity=N&stop=1` (the defaults are 9600, N, 1).
    """
    address = parse_listen_url(url)
    if address.scheme is LinkScheme.LINE:
        rtu = url.replace(LinkScheme.LINE, LinkScheme.RTU, 1)
        raise LinkUrlError(f"link url {url!r}: line:// is for huxi simulate; read it as {rtu}")
    return address


def parse_listen_url(url: str) -> LinkAddress:
    """The same of a server, which may also take port 0 (any) and `line:///path?…` (an emulated serial line)."""
    try:
        parts = urlsplit(url)
        scheme = LinkScheme(parts.scheme)
    except ValueError:
        raise LinkUrlError(
            f"link url {url!r}: write tcp://host:port, rtu+tcp://host:port or rtu:///dev/…?baud=9600&parity=N"
        ) from None
    if scheme in (LinkScheme.RTU, LinkScheme.LINE):
        return _serial(url, scheme, parts)
    return _network(url, scheme, parts)


def _network(url: str, scheme: LinkScheme, parts: SplitResult) -> LinkAddress:
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise LinkUrlError(f"link url {url!r}: nothing may follow or precede host:port")
    try:
        port = parts.port
    except ValueError:
        raise LinkUrlError(f"link url {url!r}: the port is a number from 0 to 65535") from None
    if not parts.hostname:
        raise LinkUrlError(f"link url {url!r}: the host is missing, write {scheme}://192.168.1.20:502")
    if not _can_be_asked_for(parts.hostname):
        raise LinkUrlError(
            f"link url {url!r}: {parts.hostname!r} cannot be a host: "
            "write an IP address, or a name whose parts between the dots have 1 to 63 characters"
        )
    return LinkAddress(scheme=scheme, host=parts.hostname, port=DEFAULT_PORT if port is None else port)


def _can_be_asked_for(host: str) -> bool:
    """Whether a resolver takes the name at all; anything else it raises for."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return host.isprintable() and " " not in host


def _serial(url: str, scheme: LinkScheme, parts: SplitResult) -> LinkAddress:
    if parts.netloc or len(parts.path) < 2:
        raise LinkUrlError(f"link url {url!r}: three slashes and an absolute path, {scheme}:///dev/serial/by-id/…")
    given = parse_qsl(parts.query, keep_blank_values=True)
    options = _SERIAL_OPTIONS | dict(given)
    unknown = sorted(options.keys() - _SERIAL_OPTIONS.keys())
    if unknown or len({key for key, _ in given}) < len(given) or parts.fragment:
        raise LinkUrlError(
            f"link url {url!r}: after ? come baud, parity and stop, each once"
            + (f", not {', '.join(unknown)}" if unknown else "")
        )
    baud, parity, stop = options["baud"], options["parity"].upper(), options["stop"]
    if baud not in map(str, BAUD_RATES):
        raise LinkUrlError(f"link url {url!r}: baud is one of {', '.join(map(str, BAUD_RATES))}")
    if parity not in ("N", "E", "O"):
        raise LinkUrlError(f"link url {url!r}: parity is N, E or O")
    if stop not in ("1", "2"):
        raise LinkUrlError(f"link url {url!r}: stop is 1 or 2")
    return LinkAddress(scheme=scheme, path=parts.path, baud=int(baud), parity=parity, stop=int(stop))
