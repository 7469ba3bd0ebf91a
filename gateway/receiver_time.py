"""The receiver as the last to vouch for the time: its signature is good whatever our clock says."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from gateway.clock import EARLIEST_MS, LATEST_MS, Anchor, Dating
from sync.errors import SyncError
from sync.transports.client import Way
from sync.transports.receiver_time import ask

RECEIVER: Final = "receiver"
PAUSE_S: Final = 30.0
"""Between two questions, and before the first: a time service of this machine may know it by itself."""

log = logging.getLogger("huxi.receiver_time")


class ReceiverTime:
    """Asks for the signed time while nothing can be dated."""

    def __init__(self, way: Way, key_file: Path, dating: Dating) -> None:
        self._way = way
        self._key_file = key_file
        self._dating = dating

    async def run(self) -> None:
        """Ends by cancellation only."""
        while True:
            await asyncio.sleep(PAUSE_S)
            if not self._dating.trusted:
                await self._ask()

    async def _ask(self) -> None:
        try:
            found = await ask(self._way, self._key_file)
        except SyncError as error:
            log.warning("receiver tells no time reason=%s", error)
            return
        if not EARLIEST_MS <= found.unix_ms < LATEST_MS:
            log.warning("receiver tells an impossible time unix_ms=%d", found.unix_ms)
            return
        log.info("receiver tells the time unix_ms=%d within_ms=%d", found.unix_ms, found.within_ms)
        self._dating.hear(Anchor(offset_ms=found.unix_ms - found.mono_ns // 1_000_000, source=RECEIVER))
