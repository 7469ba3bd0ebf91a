"""Read plan: the few block reads that cover the points of a device."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from drivers.learnt import Learnt
from drivers.point import Point
from drivers.profile_tables import Manners

# What a request costs beside its registers: 8 bytes of request and 5 of reply, two silences of 3.5 bytes,
# and the time until a device answers.
_REQUEST_BYTES = 13 + 7
_TURNAROUND_US = 20_000
_BITS_PER_BYTE = 11
_REGISTER_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One read and the points it brings. Points of different poll are never in one block."""

    function: int  # 3 holding registers, 4 input registers
    address: int  # first register
    count: int  # registers
    points: tuple[int, ...]  # positions of the points, ascending
    once: bool = False  # read when the device (re)appears, not at each poll


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """Registers that must come from one read: those of a point, of its scale register, of points read with it."""

    function: int
    once: bool
    alone: bool
    start: int
    end: int
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """What one read of the device may be, and what it costs."""

    max_block: int
    max_gap: int
    barriers: frozenset[tuple[int, int]]
    request_us: int
    register_us: int

    @classmethod
    def of(cls, points: Sequence[Point], manners: Manners, learnt: Learnt) -> _Limits:
        missing = {
            (point.function, address) for point in points if point.name in learnt.refused for address in point.addresses
        }
        stated = {(function, address) for function in (3, 4) for address in manners.barriers}
        byte_us = _BITS_PER_BYTE * 1_000_000 // manners.baud
        return cls(
            max_block=min(manners.max_block, learnt.max_block or manners.max_block),
            max_gap=manners.max_gap,
            barriers=learnt.barriers | stated | missing,
            request_us=_REQUEST_BYTES * byte_us + _TURNAROUND_US + 1000 * manners.gap_ms,
            register_us=_REGISTER_BYTES * byte_us,
        )

    def are_crossed(self, function: int, start: int, end: int) -> bool:
        return any(where == function and start < address < end for where, address in self.barriers)


def plan_blocks(points: Sequence[Point], manners: Manners, learnt: Learnt | None = None) -> tuple[Block, ...]:
    """Return the blocks that cover every point once, but for the refused ones, by function and address.

    No block has more than `max_block` registers or reads over a barrier or over more than `max_gap` unused
    registers (but for those between registers that belong together); no point is cut; a point read alone
    has a block of its own; a value is always in one block with its scale register and with what is read
    with it. Of the plans that keep to this it is one with the least time on the line.
    """
    learnt = learnt or Learnt()
    limits = _Limits.of(points, manners, learnt)
    indices = [index for index, point in enumerate(points) if point.name not in learnt.refused]
    needs = _needs(points, indices, learnt.apart)
    blocks = [
        _block(group)
        for _, alike in groupby(needs, key=lambda need: (need.function, need.once))
        for group in _cheapest(list(alike), limits)
    ]
    return tuple(sorted(blocks, key=lambda block: (block.once, block.function, block.address)))


def halves(points: Sequence[Point], block: Block) -> tuple[Block, ...]:
    """Return the block in two, cut nearest its middle where points border; alone when it cannot be cut."""
    needs = _needs(points, block.points)
    middle = block.address + block.count / 2
    cuts = range(1, len(needs))
    if not cuts:
        return (block,)
    cut = min(cuts, key=lambda position: abs(needs[position].start - middle))
    return _block(needs[:cut]), _block(needs[cut:])


def _needs(points: Sequence[Point], indices: Iterable[int], apart: Collection[str] = ()) -> list[_Need]:
    """What the points need, in the order of function, poll and address; those named in `apart` need to be alone."""
    by_name = {point.name: point for point in points}
    members: dict[str, list[int]] = {}
    for index in indices:
        members.setdefault(_leader(points[index], by_name), []).append(index)
    needs = [_need([points[index] for index in group], tuple(group), by_name, apart) for group in members.values()]
    return sorted(needs, key=lambda need: (need.function, need.once, need.start, need.end))


def _leader(point: Point, by_name: dict[str, Point]) -> str:
    """The name under which the points of one reading go: that of the point they are read with."""
    return point.read_with if point.read_with in by_name else point.name


def _need(
    members: Sequence[Point], indices: tuple[int, ...], by_name: dict[str, Point], apart: Collection[str]
) -> _Need:
    scales = [by_name[member.scale_register] for member in members if member.scale_register is not None]
    parts = [*members, *scales]
    return _Need(
        function=members[0].function,
        once=members[0].poll == "once",
        alone=any(member.read_alone or member.name in apart for member in members),
        start=min(part.start for part in parts),
        end=max(part.end for part in parts),
        indices=indices,
    )


def _cheapest(needs: Sequence[_Need], limits: _Limits) -> list[Sequence[_Need]]:
    """Cut the needs, which are in order, into groups that are one read each, for the least time in all."""
    least_us = [0] + [-1] * len(needs)  # time of the reads that cover the first so many needs; -1: not known yet
    begin = [0] * len(least_us)  # where the last of those reads begins
    for first in range(len(needs)):
        for last, count in _reach(needs, first, limits):
            time_us = least_us[first] + limits.request_us + count * limits.register_us
            if least_us[last] < 0 or time_us <= least_us[last]:
                least_us[last], begin[last] = time_us, first
    groups: list[Sequence[_Need]] = []
    last = len(needs)
    while last:
        groups.append(needs[begin[last] : last])
        last = begin[last]
    return groups


def _reach(needs: Sequence[_Need], first: int, limits: _Limits) -> Iterator[tuple[int, int]]:
    """Each read that may begin with need `first`: the position after its last need, and its registers."""
    start, end = needs[first].start, needs[first].end
    yield first + 1, end - start
    for last in range(first + 1, len(needs)):
        need = needs[last]
        hole = need.start - end
        end = max(end, need.end)
        if (
            needs[first].alone
            or need.alone
            or hole > limits.max_gap
            or end - start > limits.max_block
            or limits.are_crossed(need.function, start, end)
        ):
            return
        yield last + 1, end - start


def _block(group: Sequence[_Need]) -> Block:
    start = min(need.start for need in group)
    return Block(
        function=group[0].function,
        address=start,
        count=max(need.end for need in group) - start,
        points=tuple(sorted(index for need in group for index in need.indices)),
        once=group[0].once,
    )
