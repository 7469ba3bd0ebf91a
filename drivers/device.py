"""A device on a link: reads its blocks and gives one reading, whatever the bus does."""

from __future__ import annotations

import logging
import math
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

from drivers.block_reader import BlockReader
from drivers.learnt import Learnt
from drivers.modbus.outcome import LinkProtocol, Outcome, OutcomeKind
from drivers.narrowing import Narrowing, is_refusal
from drivers.plan import Block, plan_blocks
from drivers.profile import Profile
from drivers.standstill import Standstill
from ext import Quality
from ext.quality import ANSWERS

_DAY_NS = 86_400_000_000_000
_SILENT = (Quality.TIMEOUT, Quality.LINK_DOWN)

_log = logging.getLogger("huxi.drivers")


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

    @property
    def is_answer(self) -> bool:
        """True when the device said anything about any point."""
        return not ANSWERS.isdisjoint(self.quality)


class Device:
    """One device of a site; `name`, `unit` and `profile` do not change.

    A block that is refused the first time is asked for in halves until it is known what the device has not
    (drivers/narrowing.py). `plan` then leaves that out, until another device answers here or `forget` is called.
    """

    def __init__(self, *, name: str, unit: int, profile: Profile, link: LinkProtocol) -> None:
        self.name = name
        self.unit = unit
        self.profile = profile
        self.learnt = Learnt()
        self.identity = ""
        """Of the device that answers: what `learnt` is about; empty while that is unknown."""
        self._link = link
        self._standstill = None if profile.frozen is None else Standstill(profile.points, profile.frozen)
        self._is_frozen = False
        self._silent_polls = 0
        self._vain_polls = 0  # in a row, in which nothing live was given and something was refused
        self._last = _blank(name, len(profile.points))
        self._is_to_forget = False
        self._once_ns = 0  # when the points that are read once became due
        self._make_plan(self._last.quality)

    def resume(self, learnt: Learnt, identity: str) -> None:
        """Take over, before the first read, what an earlier run learnt of the device of that identity."""
        self.learnt, self.identity = learnt, identity
        for index, point in enumerate(self.profile.points):
            if point.name in learnt.refused:
                self._last.quality[index] = Quality.REFUSED
        self._make_plan(self._last.quality)

    def forget(self) -> None:
        """Learn anew from the next read on what the device has: it, or its firmware, is another one."""
        self._is_to_forget = True

    async def read(self) -> Reading:
        """Read the live blocks, and those read once when the device is new, was away, or a day has passed.

        Never raises for a device or link that fails: the points of that block carry the quality. A
        device that was silent at the last poll gets one request only until it answers, for another
        block each time: there are devices that are silent about some registers for ever.
        """
        if self._is_to_forget:
            self._begin_anew()
        poll = _Poll(_copy(self._last))
        refused: list[tuple[Block, int]] = []
        is_heard = is_silent = is_away = is_cut = False
        due = self._due()
        first = self._silent_polls % max(len(due), 1)
        due = due[first:] + due[:first]
        for position, reader in enumerate(due):
            outcome = await self._ask(reader.block)
            quality = poll.take(reader, outcome)
            is_silent = is_silent or quality in _SILENT
            is_heard = is_heard or quality not in (*_SILENT, Quality.UNREAD)
            is_away = is_silent and not is_heard
            is_cut = is_cut or quality == Quality.LINK_DOWN
            if is_away and self._silent_polls:
                for skipped in due[position + 1 :]:
                    skipped.mark(poll.reading, quality)
                break
            if is_refusal(outcome) and not reader.is_proven:
                refused.append((reader.block, outcome.code))
            elif is_refusal(outcome) or outcome.kind is OutcomeKind.OK:
                self._once_due.discard(reader)
        if is_away or is_cut:  # who answers next may be another one
            self._once_due.update(self._once)
            for reader in self._once:
                reader.mark(poll.reading, Quality.LINK_DOWN if is_cut else quality)
        if is_away:
            self._silent_polls += 1
        elif is_heard:
            self._silent_polls = 0
        if refused and not is_away:
            await self._learn(refused, poll)
        self._last = replace(poll.reading, mono_ns=poll.energy_ns or time.monotonic_ns())
        self._judge_standstill(self._last)
        self._note_identity(self._last)
        return self._last

    def _due(self) -> list[BlockReader]:
        """The live blocks and the once points that are not known, without those that rest while others do not."""
        self._once_ns = self._once_ns or self._last.mono_ns
        if self._last.mono_ns - self._once_ns >= _DAY_NS:  # two that were exchanged while nobody asked
            self._once_ns = self._last.mono_ns
            self._once_due.update(self._once)
        wanted = [reader for reader in self._readers if not reader.block.once or reader in self._once_due]
        return [reader for reader in wanted if not reader.rests()] or wanted

    async def _ask(self, block: Block) -> Outcome:
        timeout_s = self.profile.manners.timeout_ms / 1000
        return await self._link.read(self.unit, block.function, block.address, block.count, timeout_s=timeout_s)

    async def _learn(self, refused: Sequence[tuple[Block, int]], poll: _Poll) -> None:
        """Find out what the device has not, and plan without it.

        A device that gives nothing live is not itself, as a dongle before its inverter is awake: it teaches
        nothing, and is searched more and more seldom.
        """
        if self._vain_polls & (self._vain_polls - 1) and not poll.has_live:
            self._vain_polls += 1
            return

        async def read(block: Block) -> Outcome:
            outcome = await self._ask(block)
            poll.take(BlockReader(self.profile.points, block), outcome)
            return outcome

        narrowing = Narrowing(self.profile.points, self.learnt, read)
        for block, code in refused:
            await narrowing.narrow(block, code)
        if not poll.has_live and any(not reader.block.once for reader in self._readers):
            self._vain_polls += 1
            return
        self._vain_polls = 0
        if narrowing.learnt != self.learnt:
            self.learnt = narrowing.learnt
            self._make_plan(poll.reading.quality)
            _log.info(
                "device plan narrowed device=%s refused=%s barriers=%s max_block=%s",
                self.name,
                ",".join(sorted(self.learnt.refused)) or "none",
                ",".join(f"{function}:{address}" for function, address in sorted(self.learnt.barriers)) or "none",
                self.learnt.max_block or self.profile.manners.max_block,
            )

    def _begin_anew(self) -> None:
        self._is_to_forget = False
        self._vain_polls = 0
        if self.learnt != Learnt():
            _log.info("device plan forgotten device=%s", self.name)
        self.learnt = Learnt()
        self._make_plan(self._last.quality)

    def _note_identity(self, reading: Reading) -> None:
        """Another device under this name has to be learnt anew; one that does not say who it is changes nothing."""
        found = identity(self.profile, reading)
        if found and found != self.identity:
            if self.identity:
                self.forget()
            self.identity = found

    def _make_plan(self, quality: array[int]) -> None:
        points = self.profile.points
        self.plan = plan_blocks(points, self.profile.manners, self.learnt)
        self._readers = [BlockReader(points, block) for block in self.plan]
        self._once = [reader for reader in self._readers if reader.block.once]
        self._once_due = {
            reader for reader in self._once if any(quality[index] not in ANSWERS for index in reader.block.points)
        }

    def _judge_standstill(self, reading: Reading) -> None:
        if self._standstill is None:
            return
        is_frozen = self._standstill.lasts(reading.values, reading.quality, reading.mono_ns)
        if is_frozen:
            for reader in self._readers:
                if not reader.block.once:
                    reader.mark(reading, Quality.FROZEN)
        if is_frozen != self._is_frozen and reading.is_answer:
            self._is_frozen = is_frozen
            state = "stands still" if is_frozen else "moves again"
            _log.warning("device %s device=%s", state, self.name)


class _Poll:
    """What one poll has brought so far."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.energy_ns = 0  # when the first block with a register of the ledger came
        self.has_live = False  # whether any block that is not read once came

    def take(self, reader: BlockReader, outcome: Outcome) -> Quality:
        """Take in what came of a block; return OK or why there is nothing."""
        quality = reader.take(outcome, self.reading)
        if quality == Quality.OK:
            self.has_live = self.has_live or not reader.block.once
            if reader.has_energy and not self.energy_ns:
                self.energy_ns = outcome.mono_ns
        return quality


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
