"""Sync: opaque records leave the outbox in chained batches, settled once the receiver holds them."""
