"""The contract of a transport, and the checks of an answer that every transport makes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sync.errors import BadAnswer, Gap
from sync.messages import EPOCH, Ack, Batch

_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the receiver stands in a stream."""

    epoch: str | None
    """The newest epoch it knows of the gateway; None when nothing ever came."""
    acked_through: int
    hash: bytes
    """Chain hash after it."""


class Transport(Protocol):
    """Brings one batch to the receiver and its answer back. Sending the same batch again is always safe."""

    async def send(self, batch: Batch) -> Ack:
        """The receiver's acknowledgement, inside the batch; it ends in bounded time.

        Raises Unreachable, BadAnswer, Refused, Rejected, Gap (`expected` below the batch) or Forked. After
        anything but an Ack nothing is known to be held.
        """

    async def position(self, gateway: str, stream: str) -> Position:
        """Where the receiver stands in a stream. Raises Unreachable, BadAnswer, Refused or Rejected."""

    async def show(self, gateway: str, live: bytes) -> None:
        """Hand over the newest values (one JSON object), which nobody keeps. Raises SyncError when that failed."""

    async def knock(self) -> bool:
        """Whether somebody takes connections at the receiver's address; costs a few packets and ends soon."""

    @property
    def wire_bytes(self) -> int:
        """Bytes sent and received so far, as far as they are known."""

    async def aclose(self) -> None:
        """Let go of connections; the transport is not used again."""


def checked_ack(batch: Batch, acked_through: object) -> Ack:
    """An Ack when `acked_through` lies in `batch`; raises BadAnswer otherwise, for it would lose data."""
    if type(acked_through) is not int or not batch.first_seq <= acked_through <= batch.last_seq:
        raise BadAnswer(
            f"the receiver acknowledged {acked_through!r:.40} "
            f"for records {batch.first_seq} to {batch.last_seq} of stream {batch.stream}"
        )
    return Ack(acked_through=acked_through)


def checked_gap(batch: Batch, expected: object) -> Gap:
    """A Gap when `expected` lies before `batch`; raises BadAnswer otherwise, for it would skip data."""
    if type(expected) is not int or not 1 <= expected < batch.first_seq:
        raise BadAnswer(
            f"the receiver reports a gap before {expected!r:.40} "
            f"but was sent stream {batch.stream} from record {batch.first_seq} on"
        )
    return Gap(expected)


def checked_position(answer: Mapping[str, Any]) -> Position:
    """A Position when `answer` is one; raises BadAnswer otherwise."""
    match answer:
        case {"epoch": None}:
            return Position(epoch=None, acked_through=0, hash=bytes(32))
        case {"epoch": str(epoch), "acked_through": int(mark), "hash": str(text)}:
            if EPOCH.fullmatch(epoch) and type(mark) is int and mark >= 0 and _HASH.fullmatch(text):
                return Position(epoch=epoch, acked_through=mark, hash=bytes.fromhex(text))
    raise BadAnswer("the address of the stream answers, but not like a huxi receiver: check [sync] url")
