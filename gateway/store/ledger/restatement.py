"""Restatement records: how the entries of one day went over from factors to newer ones (docs/sync-contract.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.store.flag import Flag
from gateway.store.row_class import RowKind
from sync.errors import Malformed
from sync.wire import Block

_PROVISIONAL: Final = int(Flag.PROVISIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFactor:
    """What entries go over to."""

    ref: str
    value_mg_per_kWh: int
    is_provisional: bool
    """Whether it stands in for a data year that was not published yet."""

    def amounts(
        self, energy_mWh: int, matched_mWh: int, baseline_ng: int | None, flags: int
    ) -> tuple[int, int | None, int]:
        """emitted_ng, baseline_ng and flags of an entry under this factor.

        An entry has one product with its factor: its baseline when it has one, else its emissions. Raises
        ValueError for an amount beyond 64 bits.
        """
        carbon_ng = (energy_mWh - matched_mWh) * self.value_mg_per_kWh
        if abs(carbon_ng) >> 63:
            raise ValueError(f"{energy_mWh} mWh under factor {self.ref} leave 64 bits")
        flags = flags & ~_PROVISIONAL | self.is_provisional * _PROVISIONAL
        return (carbon_ng, None, flags) if baseline_ng is None else (0, carbon_ng, flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Entries of one register, lens, account, method and class that went over from one factor to another."""

    device: str
    register: str
    flow: str
    lens: str
    region: str
    """Where its factors are from."""
    account: str
    method: str
    row_class: int
    t0_ms: int
    """Begin of the first interval."""
    t1_ms: int
    """End of the last one; between, every entry of all the above was changed."""
    before: str
    """Reference of the factor until then."""
    after: NewFactor


def changes(block: Block) -> Iterator[Change]:
    """What a block of kind "restatement" changes.

    Raises Malformed, LookupError, TypeError or ValueError for a block that is none.
    """
    meta = block.meta
    keys = list(
        zip(*(block.ints(name) for name in ("r", "lens", "account", "method", "class", "t0", "t1")), strict=True)
    )
    factors, kinds, flags = (block.ints(name) for name in ("factor", "kind", "flags"))
    for taken in range(0, block.rows, 2):
        booked = taken + 1
        if keys[taken] != keys[booked] or kinds[taken : booked + 1] != [RowKind.REVERSAL, RowKind.RESTATEMENT]:
            raise Malformed(f"row {taken}: a reversal and the restatement of the same entries must follow each other")
        r, lens, account, method, row_class, t0_ms, t1_ms = keys[booked]
        device, register, flow, _ = meta["registers"][r]
        yield Change(
            device=device,
            register=register,
            flow=flow,
            lens=meta["lenses"][lens],
            region=meta["regions"][lens],
            account=meta["accounts"][account],
            method=meta["methods"][method],
            row_class=row_class,
            t0_ms=t0_ms,
            t1_ms=t1_ms,
            before=meta["factors"][factors[taken]],
            after=NewFactor(
                ref=meta["factors"][factors[booked]],
                value_mg_per_kWh=meta["values"][factors[booked]],
                is_provisional=bool(flags[booked] & _PROVISIONAL),
            ),
        )
