"""A device on a link: reads its blocks and gives one reading, whatever the bus does."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

from drivers.codec import block_decoder, decode_text
from drivers.modbus.outcome import LinkProtocol, Outcome, OutcomeKind
from drivers.plan import Block, plan_blocks
from drivers.point import Point
from drivers.profile import Profile
from ext import Quality

# A gateway on the way says that the path is down (10) or that its device is silent (11): to us the
# device did not answer, and the link is well.
_PATH_EXCEPTIONS = (10, 11)
# Exceptions that come again each time: no such function, no such address, no such count.
_LASTING_EXCEPTIONS = (1, 2, 3)

_QUALITY_WITHOUT_DATA = {
    OutcomeKind.EXCEPTION: Quality.REFUSED,
    OutcomeKind.TIMEOUT: Quality.TIMEOUT,
    OutcomeKind.CORRUPT: Quality.CORRUPT,
    OutcomeKind.DESYNC: Quality.CORRUPT,
    OutcomeKind.LINK_DOWN: Quality.LINK_DOWN,
}
_SILENT = (Quality.TIMEOUT, Quality.LINK_DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One device at one instant, in columns; the index is the position in `profile.points`."""

    device: str
    mono_ns: int  # when the first block with a register of the ledger came, or the poll ended
    values: array[float]  # 'd', display units; NaN unless OK
    raws: array[int]  # 'q', exact counts (floats: mWh or mW); 0 unless OK
    exponents: array[int]  # 'b', what the scale register held; 0 without one
    ulps: array[int]  # 'q', floats: one unit in the last place, in mWh or mW; else 0
    quality: array[int]  # 'B', a Quality
    texts: dict[int, str]  # values of text points


class Device:
    """One device of a site; `name`, `unit`, `profile` and `plan` do not change."""

    def __init__(self, *, name: str, unit: int, profile: Profile, link: LinkProtocol) -> None:
        self.name = name
        self.unit = unit
        self.profile = profile
        self.plan = plan_blocks(profile.points, profile.manners)
        self._link = link
        self._readers = [_BlockReader(profile.points, block) for block in self.plan]
        self._once = [reader for reader in self._readers if reader.block.once]
        self._once_due = set(self._once)
        self._silent_polls = 0
        self._last = _blank(name, len(profile.points))

    async def read(self) -> Reading:
        """Read the live blocks, and those read once when the device is new or was away.

        Never raises for a device or link that fails: the points of that block carry the quality. A
        device that was silent at the last poll gets one request only until it answers, for another
        block each time: there are devices that are silent about some registers for ever.
        """
        reading = _copy(self._last)
        mono_ns = 0
        is_heard = is_away = False
        due = [reader for reader in self._readers if not reader.block.once or reader in self._once_due]
        first = self._silent_polls % max(len(due), 1)
        due = due[first:] + due[:first]
        quality = Quality.OK
        for position, reader in enumerate(due):
            outcome = await self._ask(reader.block)
            quality = reader.take(outcome, reading)
            is_heard = is_heard or quality not in _SILENT
            is_away = quality == Quality.LINK_DOWN or not is_heard
            if quality == Quality.LINK_DOWN or (is_away and self._silent_polls):
                for skipped in due[position + 1 :]:
                    skipped.mark(reading, quality)
                break
            if quality == Quality.OK and reader.has_energy and not mono_ns:
                mono_ns = outcome.mono_ns
            if _is_final(outcome):
                self._once_due.discard(reader)
        if is_away:
            self._once_due.update(self._once)
            for reader in self._once:
                reader.mark(reading, quality)
        self._silent_polls = self._silent_polls + 1 if is_away else 0
        self._last = replace(reading, mono_ns=mono_ns or time.monotonic_ns())
        return self._last

    async def _ask(self, block: Block) -> Outcome:
        timeout_s = self.profile.manners.timeout_ms / 1000
        return await self._link.read(self.unit, block.function, block.address, block.count, timeout_s=timeout_s)


def identity(profile: Profile, reading: Reading) -> str | None:
    """What tells this device from its like: `serial|model`, or the one of the two that the profile names.

    Empty when the profile names none; None when the reading does not have all it should.
    """
    parts = []
    for name in (profile.identity.serial, profile.identity.model):
        if name is None:
            continue
        index = profile.index(name)
        if reading.quality[index] != Quality.OK:
            return None
        parts.append(reading.texts.get(index, str(reading.raws[index])))
    return "|".join(parts)


class _BlockReader:
    """Turns the outcome of one block into its points of a reading."""

    def __init__(self, points: Sequence[Point], block: Block) -> None:
        self.block = block
        self.indices = frozenset(block.points)
        self.has_energy = any(points[index].counter or points[index].integrate for index in block.points)
        self._texts = [(index, points[index]) for index in block.points if points[index].is_text]
        self._decoder = block_decoder(points, block)

    def take(self, outcome: Outcome, reading: Reading) -> Quality:
        """Write the points of the block into the reading; return OK or why there are none."""
        quality = _quality(outcome, 2 * self.block.count)
        if quality != Quality.OK:
            self.mark(reading, quality)
            return quality
        columns = (reading.values, reading.raws, reading.exponents, reading.ulps, reading.quality)
        self._decoder.decode(outcome.data, *columns)
        for index, point in self._texts:
            start = 2 * (point.address - self.block.address)
            self._take_text(index, point, outcome.data[start : start + 2 * point.words], reading)
        return quality

    def mark(self, reading: Reading, quality: Quality) -> None:
        """Leave the points of the block without value, for this reason."""
        for index in self.block.points:
            reading.values[index] = math.nan
            reading.raws[index] = reading.exponents[index] = reading.ulps[index] = 0
            reading.quality[index] = quality
            reading.texts.pop(index, None)

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
    if outcome.kind is OutcomeKind.EXCEPTION and outcome.code in _PATH_EXCEPTIONS:
        return Quality.TIMEOUT
    return _QUALITY_WITHOUT_DATA[outcome.kind]


def _is_final(outcome: Outcome) -> bool:
    """True when asking the same again would give the same."""
    is_refusal = outcome.kind is OutcomeKind.EXCEPTION and outcome.code in _LASTING_EXCEPTIONS
    return outcome.kind is OutcomeKind.OK or is_refusal


def _blank(device: str, size: int) -> Reading:
    return Reading(
        device=device,
        mono_ns=0,
        values=array("d", [math.nan]) * size,
        raws=array("q", [0]) * size,
        exponents=array("b", [0]) * size,
        ulps=array("q", [0]) * size,
        quality=array("B", [Quality.UNREAD]) * size,
        texts={},
    )


def _copy(reading: Reading) -> Reading:
    return replace(
        reading,
        values=reading.values[:],
        raws=reading.raws[:],
        exponents=reading.exponents[:],
        ulps=reading.ulps[:],
        quality=reading.quality[:],
        texts=dict(reading.texts),
    )
