"""Time from the receiver for a gateway whose clock is wrong: signed with the gateway's nonce by a key that it knows.

Certificates cannot be judged by a wrong clock, so their dates are not looked at here (authority and name are), no
token is sent, and the signature decides. Ed25519 by the `openssl` command, which Debian has with its certificates:
asked a few times in a gateway's life, it is not worth a library in its memory.
"""

import asyncio
import re
import secrets
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sync.errors import BadAnswer, SyncError, Unreachable
from sync.transports.client import Client, Way

NONCE: Final = re.compile(r"[0-9a-f]{32}")
"""What a gateway makes anew for each question (use `fullmatch`)."""

_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")
_PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTime:
    """What the receiver's clock said."""

    unix_ms: int
    mono_ns: int
    """Our monotonic clock in the middle of the exchange."""
    within_ms: int
    """How wrong this can be: half the time that the exchange took."""


def statement(nonce: str, unix_ms: int) -> bytes:
    """What is signed."""
    return f"huxi-time-1\n{nonce}\n{unix_ms}\n".encode()


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


async def sign(key_file: Path, text: bytes) -> bytes:
    """The Ed25519 signature of `text` by the private key in `key_file` (PEM). Raises SyncError."""
    with tempfile.TemporaryDirectory() as folder:
        message, signed = Path(folder) / "message", Path(folder) / "signature"
        message.write_bytes(text)
        code = await _openssl("-sign", "-inkey", key_file, "-rawin", "-in", message, "-out", signed)
        if code != 0:
            raise SyncError(f"the time key {key_file} cannot sign: make one with `openssl genpkey -algorithm ed25519`")
        return signed.read_bytes()


async def verify(key_file: Path, text: bytes, signature: bytes) -> bool:
    """Whether `signature` is of `text` by the key whose public half is in `key_file` (PEM)."""
    with tempfile.TemporaryDirectory() as folder:
        message, signed = Path(folder) / "message", Path(folder) / "signature"
        message.write_bytes(text)
        signed.write_bytes(signature)
        arguments = ("-verify", "-pubin", "-inkey", key_file, "-rawin", "-in", message, "-sigfile", signed)
        return await _openssl(*arguments) == 0


async def _openssl(*arguments: object) -> int:
    try:
        process = await asyncio.create_subprocess_exec(
            *("openssl", "pkeyutl", *map(str, arguments)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise SyncError(f"the command openssl cannot be run ({error}): sudo apt-get install openssl") from None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Unreachable("openssl did not end in time") from None
