"""Read plan: the few block reads that cover the points of a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.point import Point
from drivers.profile_tables import Manners


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
    """Registers that one point needs in one read: its own and those of its scale register."""

    function: int
    once: bool
    alone: bool
    start: int
    end: int
    index: int


def plan_blocks(points: Sequence[Point], manners: Manners) -> tuple[Block, ...]:
    """Return the blocks that cover every point once, in the order of function and address.

    No block has more than `max_block` registers or reads over more than `max_gap` unused ones (but
    for those between a value and its scale register); no point is cut; a point read alone has a
    block of its own; a value is always in one block with its scale register.
    """
    addresses = {point.name: point for point in points}
    needs = sorted(
        (_need(index, point, addresses) for index, point in enumerate(points)),
        key=lambda need: (need.function, need.once, need.start, need.end),
    )
    groups: list[list[_Need]] = []
    for need in needs:
        if groups and _joins(groups[-1], need, manners):
            groups[-1].append(need)
        else:
            groups.append([need])
    blocks = [_block(group) for group in groups]
    return tuple(sorted(blocks, key=lambda block: (block.once, block.function, block.address)))


def _need(index: int, point: Point, points: dict[str, Point]) -> _Need:
    parts = [point] if point.scale_register is None else [point, points[point.scale_register]]
    return _Need(
        function=point.function,
        once=point.poll == "once",
        alone=point.read_alone,
        start=min(part.address for part in parts),
        end=max(part.end for part in parts),
        index=index,
    )


def _joins(group: list[_Need], need: _Need, manners: Manners) -> bool:
    first, end = group[0], max(member.end for member in group)
    return (
        (first.function, first.once) == (need.function, need.once)
        and not (first.alone or need.alone)
        and need.start - end <= manners.max_gap
        and max(end, need.end) - first.start <= manners.max_block
    )


def _block(group: list[_Need]) -> Block:
    start = group[0].start
    return Block(
        function=group[0].function,
        address=start,
        count=max(need.end for need in group) - start,
        points=tuple(sorted(need.index for need in group)),
        once=group[0].once,
    )
