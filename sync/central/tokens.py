"""Who may deliver: one bearer token a gateway, read from a file that others must not read."""

import stat
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from sync.central.errors import CentralError
from sync.messages import NAME


class Tokens:
    """The tokens of the known gateways; only their digests are kept."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._digests = {gateway: _digest(token) for gateway, token in tokens.items()}

    @property
    def gateways(self) -> tuple[str, ...]:
        """Ids of the gateways that may deliver."""
        return tuple(self._digests)

    def allows(self, gateway: str, token: str) -> bool:
        """Whether `token` is the one of `gateway`; the time taken tells nothing about the token."""
        known = gateway in self._digests
        return compare_digest(self._digests.get(gateway, bytes(32)), _digest(token)) and known


def read_tokens(path: Path) -> Tokens:
    """Tokens from lines `gateway-id:token`; blank lines and lines that begin with # are skipped.

    Raises CentralError with the remedy when the file cannot be read, others may read it, or a line is wrong.
    """
    try:
        mode = path.stat().st_mode
        if mode & stat.S_IRWXO:
            raise CentralError(f"everybody on this machine may use the token file {path}: run `chmod o= {path}`")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CentralError(f"the token file {path} cannot be read: {error}") from None
    tokens: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        gateway, _, token = line.strip().partition(":")
        if not NAME.fullmatch(gateway) or not token or not token.isascii() or " " in token:
            raise CentralError(f"{path}:{number}: write `gateway-id:token`, without spaces")
        if gateway in tokens:
            raise CentralError(f"{path}:{number}: gateway {gateway} has a token already; keep one of the two")
        tokens[gateway] = token
    if not tokens:
        raise CentralError(f"the token file {path} names no gateway: write lines `gateway-id:token`")
    return Tokens(tokens)


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
