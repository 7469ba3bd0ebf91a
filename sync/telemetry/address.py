"""Where a broker is and how its topics are spelt: plain text, without an MQTT library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
MOST_TOPIC_CHARS: Final = 200
_WILD = "+#%"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Host and port of a broker, and whether it is talked to under TLS."""

    host: str
    port: int
    tls: bool


def parse_broker_url(url: str) -> BrokerAddress:
    """The address in `mqtt://host:1883` or `mqtts://host:8883` (the ports may be left out); ValueError otherwise."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")  # what the resolver will do to it: labels of 63 bytes at most
        usable = parts.scheme in PORTS and bool(host) and port != 0 and url.isprintable() and " " not in url
    except ValueError:
        usable = False
    if not usable or "@" in url or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError('must be "mqtt://host:1883" or "mqtts://host:8883", without name, password or path')
    return BrokerAddress(host=host, port=port or PORTS[parts.scheme], tls=parts.scheme == "mqtts")


def topic_prefix(text: str) -> str:
    """A topic that others may stand below; ValueError for what a broker would refuse or take for a pattern."""
    levels = text.split("/")
    if (
        not all(levels)
        or text.startswith("$")
        or len(text) > MOST_TOPIC_CHARS
        or any(level(name) != name for name in levels)
    ):
        raise ValueError('must be a topic such as "huxi/site-1": no empty level, no "+", "#" or "%", no leading "$"')
    return text


def level(name: str) -> str:
    """A name as one level of a topic: itself, with what a topic must not hold written as %XX."""
    return "".join(c if c.isprintable() and c not in _WILD and c != "/" else quote(c, safe="") for c in name)
