"""The door of a receiver that is away: looked at now and then, a few packets each time, so its return is noticed."""

import asyncio
from math import inf
from random import Random
from typing import Final

from sync.budget import KNOCK, Budget
from sync.errors import BadAnswer, Shut, SyncError, Unreachable
from sync.transports.base import Transport

KNOCKS_S: Final = (2.0, 10.0)
"""Shortest and longest time between two looks."""


class Door:
    """When to knock, and what the last knock said."""

    def __init__(self, transport: Transport, budget: Budget, random: Random) -> None:
        self._transport = transport
        self._budget = budget
        self._random = random
        self._is_shut = False
        self.knock_at = inf
        """Loop time of the next look."""

    def failed(self, error: SyncError) -> None:
        """An attempt failed: from now on look at the door, unless somebody answered or asked for patience."""
        self.knock_at = inf
        if isinstance(error, Unreachable) and not isinstance(error, BadAnswer) and error.retry_after_s is None:
            self._is_shut = isinstance(error, Shut)
            self._wait()

    async def is_open_again(self) -> bool:
        """Knock. True only when the door was shut before: behind one that was open may be a proxy, or a stall."""
        if await self._budget.room_bytes(KNOCK) == 0:
            self.knock_at = inf
            return False
        async with self._budget.spending(0, self._transport):
            is_open = await self._transport.knock()
        was_shut, self._is_shut = self._is_shut, not is_open
        self._wait()
        return is_open and was_shut

    def _wait(self) -> None:
        self.knock_at = asyncio.get_running_loop().time() + self._random.uniform(*KNOCKS_S)
