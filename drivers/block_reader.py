"""BlockReader: turns the outcome of one block into its points of a reading."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.codec import block_decoder, decode_text
from drivers.modbus.outcome import Outcome, OutcomeKind
from drivers.narrowing import is_refusal
from drivers.plan import Block
from drivers.point import Point
from ext import Quality

if TYPE_CHECKING:
    from drivers.device import Reading

STRIKES = 3
"""Polls in a row in which a block failed inside the device, after which it is asked more seldom."""
LONGEST_REST = 8
"""Most polls for which such a block is left alone."""

_QUALITY_WITHOUT_DATA = {
    OutcomeKind.EXCEPTION: Quality.REFUSED,
    OutcomeKind.TIMEOUT: Quality.TIMEOUT,
    OutcomeKind.CORRUPT: Quality.CORRUPT,
    OutcomeKind.DESYNC: Quality.CORRUPT,
    OutcomeKind.LINK_DOWN: Quality.LINK_DOWN,
    OutcomeKind.UNSENT: Quality.UNREAD,
}

_log = logging.getLogger("huxi.drivers")


class BlockReader:
    """One block of a read plan, and how it fared so far."""

    def __init__(self, points: Sequence[Point], block: Block) -> None:
        self.block = block
        self.is_proven = False  # whether the device has given it
        self._strikes = 0
        self._rest = 0  # polls for which it is still left alone
        self.has_energy = any(points[index].counter or points[index].integrate for index in block.points)
        self._texts = [(index, points[index]) for index in block.points if points[index].is_text]
        self._decoder = block_decoder(points, block)

    def take(self, outcome: Outcome, reading: Reading) -> Quality:
        """Write the points of the block into the reading; return OK or why there are none."""
        quality = _quality(outcome, 2 * self.block.count)
        self._count_strikes(outcome, quality, reading.device)
        if quality != Quality.OK:
            self.mark(reading, quality)
            return quality
        self.is_proven = True
        columns = (reading.values, reading.raws, reading.exponents, reading.ulps, reading.quality)
        self._decoder.decode(outcome.data, *columns)
        for index, point in self._texts:
            start = 2 * (point.address - self.block.address)
            self._take_text(index, point, outcome.data[start : start + 2 * point.words], reading)
        return quality

    def rests(self) -> bool:
        """Whether this poll leaves the block alone, since the device failed at it time after time. Ask once a poll."""
        self._rest -= self._rest > 0
        return self._rest > 0

    def mark(self, reading: Reading, quality: Quality) -> None:
        """Leave the points of the block without value, for this reason."""
        for index in self.block.points:
            reading.values[index] = math.nan
            reading.raws[index] = reading.exponents[index] = reading.ulps[index] = 0
            reading.quality[index] = quality
            reading.texts.pop(index, None)

    def _count_strikes(self, outcome: Outcome, quality: Quality, device: str) -> None:
        """Exceptions that are neither for ever nor of a gateway on the way: failure, busy, parity, a maker's own."""
        if quality == Quality.REFUSED and not is_refusal(outcome):
            self._strikes += 1
            if self._strikes >= STRIKES:
                self._rest = 1 + min(1 << (self._strikes - STRIKES), LONGEST_REST)
            if self._strikes == STRIKES:
                self._tell("degraded", device, outcome)
        elif quality == Quality.OK:
            if self._strikes >= STRIKES:
                self._tell("is read again", device, outcome)
            self._strikes = 0

    def _tell(self, state: str, device: str, outcome: Outcome) -> None:
        where = f"{self.block.function}:{self.block.address}"
        _log.warning("block %s device=%s block=%s exception=%d", state, device, where, outcome.code)

    def _take_text(self, index: int, point: Point, data: bytes, reading: Reading) -> None:
        reading.texts.pop(index, None)
        try:
            text = decode_text(point, data)
        except UnicodeDecodeError:
            reading.quality[index] = Quality.BAD
            return
        reading.quality[index] = Quality.OK if text else Quality.NO_VALUE
        if text:
            reading.texts[index] = text


def _quality(outcome: Outcome, size: int) -> Quality:
    if outcome.kind is OutcomeKind.OK:
        return Quality.OK if len(outcome.data) == size else Quality.CORRUPT
    if outcome.by_gateway:  # to us the device did not answer, and the link is well
        return Quality.TIMEOUT
    return _QUALITY_WITHOUT_DATA[outcome.kind]
