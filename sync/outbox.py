"""What the forwarder needs from the place where records wait (fulfilled by gateway.store)."""

from typing import Protocol

from sync.messages import Batch


class Outbox(Protocol):
    """Streams of chained records, each with a mark: everything up to it is settled.

    All methods are durable when they return; they raise OutboxFailed when the disk or the records fail.
    """

    @property
    def gateway(self) -> str:
        """Id of the gateway whose records these are."""

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

    async def hash_after(self, stream: str, seq: int) -> bytes | None:
        """Chain hash after record `seq` (GENESIS for 0), None when it is not known here."""

    async def set_aside(self, stream: str, seq: int, reason: str) -> bool:
        """The receiver rejects this record for good: from now on a tombstone stands for it in `pending`.

        Its rows, when it has several, follow at the end of the stream in two halves. False, and nothing is done,
        when too many were set aside of late.
        """

    async def spent(self) -> tuple[str, int]:
        """The day (YYYY-MM-DD) of the byte budget that was noted last, and its bytes; ("", 0) at first."""

    async def note_spent(self, day: str, spent_bytes: int) -> None:
        """Keep what was spent of a day's byte budget."""
