"""A receiver in memory: the shortest thing that keeps the contract, for tests and simulations."""

from sync.admission import admit
from sync.messages import GENESIS, Ack, Batch, Record
from sync.transports.base import Position

StreamKey = tuple[str, str, str]
"""(gateway, epoch, stream)."""


class MemoryTransport:
    """Judges batches as the reference receiver does and keeps what it took in `received`."""

    def __init__(self) -> None:
        self.received: dict[StreamKey, list[Record]] = {}
        self.live: bytes | None = None
        self.wire_bytes = 0
        """Bytes of bodies so far."""
        self._hashes: dict[StreamKey, dict[int, bytes]] = {}

    async def send(self, batch: Batch) -> Ack:
        """See Transport; raises Gap, Forked and Rejected."""
        key = (batch.gateway, batch.epoch, batch.stream)
        held = self.received.setdefault(key, [])
        hashes = self._hashes.setdefault(key, {0: GENESIS})
        self.wire_bytes += sum(len(record.body) for record in batch.records)
        for record, h in admit(batch, acked_through=max(hashes), hash_at=hashes.get):
            held.append(record)
            hashes[record.seq] = h
        return Ack(acked_through=batch.last_seq)

    async def position(self, gateway: str, stream: str) -> Position:
        """See Transport; of the epoch that delivered to the stream last."""
        for (name, epoch, of), hashes in reversed(self._hashes.items()):
            if (name, of) == (gateway, stream):
                return Position(epoch=epoch, acked_through=max(hashes), hash=hashes[max(hashes)])
        return Position(epoch=None, acked_through=0, hash=GENESIS)

    async def show(self, gateway: str, live: bytes) -> None:
        """See Transport."""
        self.live = live

    async def knock(self) -> bool:
        """See Transport."""
        return True

    async def aclose(self) -> None:
        """Nothing to let go of."""
