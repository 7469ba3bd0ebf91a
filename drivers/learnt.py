"""Learnt: what a device has shown by its refusals, so that it is not asked the same again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a read plan has to know of one device beside its profile. Nothing in it is wrong for another unit of it."""

    refused: frozenset[str] = frozenset()  # names of the points that it does not have
    apart: frozenset[str] = frozenset()  # names of those that it gave once and refused later: asked by themselves
    barriers: frozenset[tuple[int, int]] = frozenset()  # (function, address) across which it gives nothing
    max_block: int | None = None  # registers in one read, where it takes fewer than its profile says
