"""The values that travel: record, batch, acknowledgement; one hash chain a stream binds them."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

GENESIS: Final = bytes(32)
"""Hash before the first record (seq 1) of every stream."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Gateway ids, streams and record kinds: safe in an address, a file and a log line (use `fullmatch`)."""

EPOCH: Final = re.compile(r"[0-9a-f]{16}")
"""An epoch: a random 64-bit number, made with the outbox, as 16 hex digits (use `fullmatch`)."""


def chain(h: bytes, seq: int, body: bytes) -> bytes:
    """Hash after record `seq`; `h` is the hash before it: SHA-256(h || seq as 8 bytes big-endian || body)."""
    return hashlib.sha256(h + seq.to_bytes(8, "big") + body).digest()


TOMBSTONE: Final = "tombstone"
"""Kind of the one record that sync looks into: it stands for a run of records that never come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """Which records a tombstone stands for; its own number is that of the last of them."""

    first_seq: int
    """The first of them."""
    hash_before: bytes
    """Chain hash before that."""
    hash_after: bytes
    """Chain hash after the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One block of one kind; sync never looks inside, except that a tombstone stands for others."""

    stream: str
    """Stream it belongs to, "events" or "ledger"."""
    seq: int
    """Position in the stream, from 1, without holes."""
    kind: str
    """What the body is; the same as "kind" inside the body."""
    body: bytes
    """Canonical JSON without newline; hashed and stored byte for byte."""
    tombstone: Tombstone | None = None
    """What it stands for, when it is of that kind."""

    @property
    def first_seq(self) -> int:
        """Its own number, or the first of those that a tombstone stands for."""
        return self.seq if self.tombstone is None else self.tombstone.first_seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A contiguous run of records of one stream, at least one."""

    gateway: str
    """Id of the sending gateway."""
    epoch: str
    """16 hex digits: which outbox of that gateway."""
    stream: str
    """Stream of all the records."""
    first_seq: int
    """Sequence number of the first record."""
    hash_before: bytes
    """Chain hash before the first record."""
    hash_after: bytes
    """Chain hash after the last record."""
    records: tuple[Record, ...]
    """The records, each begins where the one before it ended."""

    @property
    def last_seq(self) -> int:
        """Sequence number of the last record."""
        return self.records[-1].seq

    def hashes(self) -> tuple[bytes, ...]:
        """`hash_before`, then the chain hash after each record, computed from the bodies; a tombstone states its own.

        The last one equals `hash_after` exactly when the batch is sound. A tombstone that does not go on from the
        record before it gives no hash that any chain has.
        """
        hashes = [self.hash_before]
        for record in self.records:
            stone = record.tombstone
            if stone is None:
                hashes.append(chain(hashes[-1], record.seq, record.body))
            else:
                hashes.append(stone.hash_after if stone.hash_before == hashes[-1] else b"")
        return tuple(hashes)

    def head(self, count: int) -> "Batch":
        """The first `count` records (at least one) as a batch of their own."""
        if count >= len(self.records):
            return self
        return Batch(
            gateway=self.gateway,
            epoch=self.epoch,
            stream=self.stream,
            first_seq=self.first_seq,
            hash_before=self.hash_before,
            hash_after=self.hashes()[count],
            records=self.records[:count],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The receiver's word that it durably holds the stream."""

    acked_through: int
    """Last sequence number it holds of the batch."""
