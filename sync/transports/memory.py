"""A receiver in memory: the shortest thing that keeps the contract, for tests and simulations."""

from sync.admission import admit
from sync.messages import GENESIS, Ack, Batch, Record

StreamKey = tuple[str, str, str]
"""(gateway, epoch, stream)."""


class MemoryTransport:
    """Judges batches as the reference receiver does and keeps what it took in `received`."""

    def __init__(self) -> None:
        self.received: dict[StreamKey, list[Record]] = {}
        self._hashes: dict[StreamKey, list[bytes]] = {}

    async def send(self, batch: Batch) -> Ack:
        """See Transport; raises Gap, Forked and Rejected."""
        key = (batch.gateway, batch.epoch, batch.stream)
        held = self.received.setdefault(key, [])
        hashes = self._hashes.setdefault(key, [GENESIS])
        for record, h in admit(batch, acked_through=len(held), hash_at=hashes.__getitem__):
            held.append(record)
            hashes.append(h)
        return Ack(acked_through=batch.last_seq)

    async def aclose(self) -> None:
        """Nothing to let go of."""
