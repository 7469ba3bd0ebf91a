"""Time from the receiver for a gateway whose clock is wrong: signed with the gateway's nonce by a key that it knows.

Certificates cannot be judged by a wrong clock, so their dates are not looked at here (authority and name are), no
token is sent, and the signature decides.
"""

import re
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sync.errors import BadAnswer
from sync.signed_time import statement, verify
from sync.transports.client import Client, Way

_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTime:
    """What the receiver's clock said."""

    unix_ms: int
    mono_ns: int
    """Our monotonic clock in the middle of the exchange."""
    within_ms: int
    """How wrong this can be: half the time that the exchange took."""


async def ask(way: Way, key_file: Path) -> SignedTime:
    """The receiver's time, when the public key in `key_file` (PEM) agrees. Raises SyncError, with the remedy."""
    client = Client(replace(way, cert_file=None), {}, checks_dates=False)
    nonce, begin_ns = secrets.token_hex(16), time.monotonic_ns()
    try:
        answer = await client.exchange("GET", f"/v1/time?nonce={nonce}")
        end_ns = time.monotonic_ns()
    finally:
        await client.aclose()
    unix_ms, signature = answer.json.get("unix_ms"), answer.json.get("signature")
    if answer.status != 200 or type(unix_ms) is not int or not _SIGNATURE.fullmatch(str(signature)):
        raise BadAnswer(f"{client.url} tells no signed time ({answer.status}): its receiver needs a time key")
    if not await verify(key_file, statement(nonce, unix_ms), bytes.fromhex(str(signature))):
        raise BadAnswer(f"the time of {client.url} is not signed by the key in {key_file}: compare the two")
    return SignedTime(unix_ms=unix_ms, mono_ns=(begin_ns + end_ns) // 2, within_ms=(end_ns - begin_ns) // 2_000_000 + 1)
