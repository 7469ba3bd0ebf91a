"""The small checkpoint: what a lost database must not take with it, in a file of its own.

The state of every register, where each stream stood, and the epoch: a few KB, packed and sealed. A database that had to
be set aside goes on from here. It is written seldom, to spare the card: every hour and when the store is closed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from gateway.store import registers
from gateway.store.folder import sync_folder
from gateway.store.outbox import STREAMS, Head, head
from gateway.store.registers import RegisterState

NAME: Final = "checkpoint"
_VERSION: Final = 1
_LONGEST: Final = 1 << 26


class Checkpoint(NamedTuple):
    """What was written."""

    epoch: str
    heads: dict[str, Head]
    """Where each stream stood."""
    states: list[RegisterState]
    """Of that moment."""


def of_store(conn: sqlite3.Connection) -> Checkpoint:
    """What the open database would leave."""
    (epoch,) = conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    return Checkpoint(epoch, {stream: head(conn, stream) for stream in STREAMS}, registers.load_all(conn))


def write(data_dir: Path, checkpoint: Checkpoint) -> None:
    """Replaces the file as a whole; durable when this returns. Raises OSError."""
    heads = {stream: [at.acked_through, at.seq, at.hash.hex()] for stream, at in checkpoint.heads.items()}
    content = zlib.compress(json.dumps([_VERSION, checkpoint.epoch, heads, checkpoint.states]).encode())
    new = data_dir / f"{NAME}.new"
    with new.open("wb") as file:
        file.write(hashlib.sha256(content).digest() + content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(data_dir / NAME)
    sync_folder(data_dir)


def read(data_dir: Path) -> Checkpoint | None:
    """What was written last; None when nothing was, or when it is damaged."""
    try:
        sealed = (data_dir / NAME).read_bytes()
        seal, content = sealed[:32], sealed[32:]
        if hashlib.sha256(content).digest() != seal:
            return None
        version, epoch, heads, states = json.loads(zlib.decompressobj().decompress(content, _LONGEST))
        if version != _VERSION:
            return None
    except (OSError, ValueError, zlib.error):
        return None
    return Checkpoint(
        epoch,
        {
            stream: Head(acked_through=acked_through, seq=seq, hash=bytes.fromhex(after))
            for stream, (acked_through, seq, after) in heads.items()
        },
        [(device, register, state) for device, register, state in states],
    )
