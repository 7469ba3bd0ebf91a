"""What is signed when a receiver tells the time, and how: Ed25519 by the `openssl` command.

Debian has that command with its certificates. It is asked a few times in a gateway's life: no reason for a library in
its memory.
"""

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Final

from sync.errors import SyncError

NONCE: Final = re.compile(r"[0-9a-f]{32}")
"""What a gateway makes anew for each question (use `fullmatch`)."""

_PATIENCE_S: Final = 10.0


def statement(nonce: str, unix_ms: int) -> bytes:
    """What is signed."""
    return f"huxi-time-1\n{nonce}\n{unix_ms}\n".encode()


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
        raise SyncError("the command openssl did not end in time") from None
