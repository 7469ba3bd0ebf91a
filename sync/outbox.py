"""What the forwarder needs from the place where records wait (fulfilled by gateway.store)."""

from typing import Protocol

from sync.messages import Batch


class Outbox(Protocol):
    """Streams of chained records, each with a mark: everything up to it is settled.

    All methods are durable when they return; they raise OutboxFailed when the disk or the records fail.
    """

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams, the most urgent first: ("events", "ledger")."""

    async def pending(self, stream: str, max_bytes: int) -> Batch | None:
        """Contiguous records from the mark + 1 on, None when everything is settled.

        As many as fit `max_bytes` of bodies, always at least one; the same first one until it is settled.
        """

    async def settle(self, stream: str, acked_through: int) -> None:
        """Move the mark up to `acked_through`; a value at or below the mark changes nothing."""

    async def rewind(self, stream: str, acked_through: int) -> None:
        """Move the mark down to `acked_through` (0 or more): the receiver lost what came after it."""

    async def mark(self, stream: str) -> int:
        """The mark, 0 when nothing of the stream was ever settled."""
