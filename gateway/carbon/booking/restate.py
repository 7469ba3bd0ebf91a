"""Restate: the entries of a day brought to the factors that are known now, in a record of its own."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import NamedTuple, TypeVar

from gateway.carbon.errors import CarbonError
from gateway.carbon.factors.factor import Factor
from gateway.carbon.factors.factor_set import FactorSet
from gateway.carbon.intervals import UNIT
from gateway.store import outbox, totals
from gateway.store.audit.difference import difference, interval_place
from gateway.store.ledger.live_day import Cells, Group, LiveDay, revalued
from gateway.store.ledger.restatement import NewFactor
from gateway.store.record import RESTATEMENT, STREAM
from gateway.store.row_class import RowKind
from sync.wire import Block, Cell, encode_block

_Name = TypeVar("_Name", str, tuple[str, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done with a day."""

    factor_set: str
    """Only factors of this set come in."""
    run: str
    """Tells the restatements of one command from others."""
    reason: str
    """Why, in the words of whoever gave the order."""
    as_of_ms: int
    """The date of the booking: what was published by then counts."""


def restated(live: LiveDay, order: Order, factors: FactorSet) -> Block | None:
    """The record that brings the day's entries to `factors`; None when all have the right ones.

    Raises CarbonError where a factor is missing or not accepted, for entries that do not follow from their
    factor, and for a date before that of a booking.
    """
    if order.as_of_ms < live.booked_ms:
        raise CarbonError(
            f"{live.day} has entries that were booked after the time of this restatement; set the gateway's clock"
        )
    changes = [change for group in sorted(live.groups) for change in _changes(live, group, order, factors)]
    return _block(live, changes, order) if changes else None


def write(conn: sqlite3.Connection, block: Block) -> int:
    """Appends a restatement and adds it to the day totals, in the caller's transaction; returns its record."""
    body = encode_block(block.kind, block.meta, block.columns)
    seq = outbox.append(conn, STREAM, block.kind, min(block.ints("t0")), max(block.ints("t1")), body)
    totals.add(conn, totals.from_restatement(block))
    return seq


def recheck_restatement(live: LiveDay, stored: Block, factors: FactorSet) -> str | None:
    """Computes a restatement again from the day as it was before; says what differs, None when nothing does.

    The factors are those that the block names. Raises LookupError, TypeError or ValueError for a block that
    `write` cannot have written.
    """
    try:
        return difference(stored, recomputed_restatement(live, stored, factors), interval_place)
    except CarbonError as error:
        return str(error)


def recomputed_restatement(live: LiveDay, stored: Block, factors: FactorSet) -> Block:
    """The restatement as it follows from the day as it was before.

    Raises CarbonError when nothing follows, and what `recheck_restatement` raises.
    """
    meta = stored.meta
    # What was in force is known too: entries that kept their factor are looked up like the others.
    known = factors.only({*meta["factors"], *(group.factor for group in live.groups)})
    after = known.record(meta["factors"][stored.ints("factor")[1]])
    order = Order(factor_set=after.set_id, run=meta["run"], reason=meta["reason"], as_of_ms=meta["booked_ms"])
    computed = restated(live, order, known)
    if computed is None:
        raise CarbonError("nothing was to be restated")
    return computed


class _Change(NamedTuple):
    """Entries that go over to one factor."""

    group: Group
    before: Factor
    after: Factor
    taken: list[Cells]
    """As they are in force, by time."""
    booked: list[Cells]
    """As they are from now on."""


def _changes(live: LiveDay, group: Group, order: Order, factors: FactorSet) -> Iterator[_Change]:
    """Those of one group: one, or two on a day on which a data year begins."""
    borders_ms = [live.t0_ms, *factors.boundaries(group.region, live.t0_ms, live.t1_ms), live.t1_ms]
    for begin_ms, end_ms in pairwise(borders_ms):
        taken = sorted(cells for cells in live.groups[group] if begin_ms <= cells[0] < end_ms)
        if not taken:
            continue
        after = factors.lookup(group.region, group.lens, begin_ms, order.as_of_ms)
        if after.ref == group.factor or after.set_id != order.factor_set:
            continue
        before = factors.record(group.factor)
        _require_product(live, group, before, taken)
        try:
            booked = revalued(taken, _new(after))
        except ValueError as error:
            raise CarbonError(f"{group.device}/{group.register} on {live.day}: {error}; nothing is restated") from error
        yield _Change(group, before, after, taken, booked)


def _new(factor: Factor) -> NewFactor:
    return NewFactor(ref=factor.ref, value_mg_per_kWh=factor.value_mg_per_kWh, is_provisional=factor.provisional)


def _require_product(live: LiveDay, group: Group, factor: Factor, found: Sequence[Cells]) -> None:
    energy_mWh = sum(energy - matched for _, _, _, energy, matched, _, _, _ in found)
    carbon_ng = sum(emitted + (baseline or 0) for _, _, _, _, _, emitted, baseline, _ in found)
    if carbon_ng != energy_mWh * factor.value_mg_per_kWh:
        raise CarbonError(
            f"the entries of {group.device}/{group.register} on {live.day} do not follow from factor {factor.ref}; "
            "run `huxi ledger verify`"
        )


def _block(live: LiveDay, changes: Sequence[_Change], order: Order) -> Block:
    groups = [change.group for change in changes]
    registers = _numbers((group.device, group.register, group.flow) for group in groups)
    lenses = _numbers((group.lens, group.region) for group in groups)
    accounts, methods = (_numbers(group.account for group in groups), _numbers(group.method for group in groups))
    values = {factor.ref: factor.value_mg_per_kWh for change in changes for factor in (change.before, change.after)}
    factors = _numbers(values)
    rows = [
        {
            "r": registers[group.device, group.register, group.flow],
            "lens": lenses[group.lens, group.region],
            "account": accounts[group.account],
            "method": methods[group.method],
            "factor": factors[factor.ref],
            "class": group.row_class,
            **_sums(kind, cells),
        }
        for group, before, after, taken, booked in changes
        for kind, factor, cells in ((RowKind.REVERSAL, before, taken), (RowKind.RESTATEMENT, after, booked))
    ]
    return Block(
        kind=RESTATEMENT,
        meta={
            "registers": [[*name, UNIT] for name in registers],
            "lenses": [lens for lens, _ in lenses],
            "regions": [region for _, region in lenses],
            "accounts": [*accounts],
            "methods": [*methods],
            "factors": [*factors],
            "values": [values[ref] for ref in factors],
            "zone": live.zone,
            "booked_ms": order.as_of_ms,
            "run": order.run,
            "reason": order.reason,
            "day": live.day.isoformat(),
        },
        columns={name: [row[name] for row in rows] for name in rows[0]},
    )


def _sums(kind: RowKind, found: Sequence[Cells]) -> dict[str, Cell]:
    """What a row says of its interval entries; their amounts are negated in a reversal."""
    sign = -1 if kind == RowKind.REVERSAL else 1
    t0s, t1s, _, energies, _, emitted, baselines, flags = zip(*found, strict=True)
    return {
        "flags": reduce(or_, flags),
        "t0": t0s[0],
        "t1": t1s[-1],
        "kind": int(kind),
        "rows": len(found),
        "energy_mWh": sign * sum(energies),
        "emitted_ng": sign * sum(emitted),
        "baseline_ng": None if baselines[0] is None else sign * sum(baselines),
        "hash": _hash(sign, found),
    }


def _hash(sign: int, found: Sequence[Cells]) -> str:
    """SHA-256 over one line for each interval entry, as docs/sync-contract.md defines it."""
    lines = (
        f"{t0_ms},{t1_ms},{epoch},{sign * energy_mWh},{sign * matched_mWh},{sign * emitted_ng},"
        f"{'' if baseline_ng is None else sign * baseline_ng}\n"
        for t0_ms, t1_ms, epoch, energy_mWh, matched_mWh, emitted_ng, baseline_ng, _ in found
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _numbers(names: Iterable[_Name]) -> dict[_Name, int]:
    """Each name once, in order, with its position."""
    return {name: at for at, name in enumerate(sorted(set(names)))}
