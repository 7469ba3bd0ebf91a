"""Narrowing: from a refused block down to the registers that the device has not, by asking for halves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from drivers.learnt import Learnt
from drivers.modbus.outcome import Outcome, OutcomeKind
from drivers.plan import Block, halves
from drivers.point import Point

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3


def is_refusal(outcome: Outcome) -> bool:
    """True when asking the same again would give the same: no such function, no such address, no such count."""
    codes = (ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE)
    return outcome.kind is OutcomeKind.EXCEPTION and outcome.code in codes


class Narrowing:
    """One search; `learnt` grows by what it finds.

    Either half of a block may be refused again, down to a point that is refused alone. When no half is, the
    block was too long (exception 3) or reads over something that may not be read (exception 2). A point that the
    device has given before is never left out: it stands apart, so that its refusal costs no other point.
    """

    def __init__(
        self,
        points: Sequence[Point],
        learnt: Learnt,
        read: Callable[[Block], Awaitable[Outcome]],
        given: Collection[str] = (),
    ) -> None:
        """`read` asks for a block and keeps its values; `given` names the points that the device has given before."""
        self._points = points
        self._read = read
        self._given = given
        self._refused = set(learnt.refused)
        self._apart = set(learnt.apart)
        self._barriers = set(learnt.barriers)
        self._max_block = learnt.max_block

    @property
    def learnt(self) -> Learnt:
        """All that is known now."""
        return Learnt(
            refused=frozenset(self._refused),
            apart=frozenset(self._apart),
            barriers=frozenset(self._barriers),
            max_block=self._max_block,
        )

    async def narrow(self, block: Block, code: int) -> None:
        """Find out why the device refused `block` with exception `code`; nothing when the link fails meanwhile."""
        await self._search(block, code)
        names = {self._points[index].name for index in block.points}
        if names <= self._refused | self._apart:  # nothing of it is given: standing apart helps no other point
            self._apart -= names

    async def _search(self, block: Block, code: int) -> None:
        parts = (block,) if code == ILLEGAL_FUNCTION else halves(self._points, block)
        if len(parts) == 1:
            for name in (self._points[index].name for index in block.points):
                (self._apart if name in self._given else self._refused).add(name)
            return
        outcomes = []
        for part in parts:
            outcome = await self._read(part)
            if outcome.kind in (OutcomeKind.LINK_DOWN, OutcomeKind.UNSENT):
                return
            if is_refusal(outcome):
                await self._search(part, outcome.code)
            outcomes.append(outcome)
        if any(is_refusal(outcome) for outcome in outcomes):
            return
        longest = max(part.count for part in parts)
        if code == ILLEGAL_VALUE and longest < block.count:
            self._max_block = min(longest, self._max_block or longest)
        else:
            self._barriers.add((block.function, parts[1].address))
