"""The contract of a transport, and the checks of an answer that every transport makes."""

from typing import Protocol

from sync.errors import BadAnswer, Gap
from sync.messages import Ack, Batch


class Transport(Protocol):
    """Brings one batch to the receiver and its answer back. Sending the same batch again is always safe."""

    async def send(self, batch: Batch) -> Ack:
        """The receiver's acknowledgement, inside the batch; it ends in bounded time.

        Raises Unreachable, BadAnswer, Refused, Rejected, Gap (`expected` below the batch) or Forked. After
        anything but an Ack nothing is known to be held.
        """

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
