"""Sums per day, register, lens and account, kept beside the blocks: to show a year is not to read it."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.store import cells
from gateway.store.errors import Damaged
from gateway.store.row_class import RowClass, RowKind
from sync.wire import Block

TotalKey = tuple[str, str, str, str, str]
"""Day, device, register, lens, account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTotal:
    """What one register did under one lens in one account on one day of the site."""

    day: str
    """YYYY-MM-DD in the site's time zone; a row belongs to the day in which it begins."""
    device: str
    register: str
    flow: str
    lens: str
    account: str
    energy_mWh: int
    emitted_ng: int
    baseline_ng: int | None
    """None as soon as one of the entries has no declared baseline: unknown is not zero."""
    missing_ms: int
    """Time without an amount."""
    rows: int
    """Ledger entries in the sums."""

    @property
    def key(self) -> TotalKey:
        """What there is one total of."""
        return (self.day, self.device, self.register, self.lens, self.account)

    def plus(self, other: "DayTotal") -> "DayTotal":
        """Both together; the keys must be equal."""
        return replace(
            self,
            energy_mWh=self.energy_mWh + other.energy_mWh,
            emitted_ng=self.emitted_ng + other.emitted_ng,
            baseline_ng=_baseline_of_both(self, other),
            missing_ms=self.missing_ms + other.missing_ms,
            rows=self.rows + other.rows,
        )


def add(conn: sqlite3.Connection, totals: Iterable[DayTotal]) -> None:
    """Adds to the stored sums, in the caller's transaction. Raises Damaged where they cannot be read."""
    days: defaultdict[str, list[DayTotal]] = defaultdict(list)
    for total in totals:
        days[total.day].append(total)
    for day, found in days.items():
        sums = {total.key: total for total in query(conn, day, day)}
        merge(found, sums)
        save(conn, day, sums.values())


def save(conn: sqlite3.Connection, day: str, totals: Iterable[DayTotal]) -> None:
    """Replaces the stored sums of a day."""
    row = conn.execute("SELECT body FROM day_total WHERE day = ?", (day,)).fetchone()
    before = row[0] if row is not None and isinstance(row[0], bytes) else b""
    body = cells.pack((_to_row(total) for total in sorted(totals, key=_order)), before)
    conn.execute(
        "INSERT INTO day_total (day, body) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET body = excluded.body",
        (day, body),
    )


def query(conn: sqlite3.Connection, first_day: str, last_day: str) -> list[DayTotal]:
    """The stored sums of the days (YYYY-MM-DD) from first to last, both included, under every lens.

    Raises Damaged for a day whose sums cannot be read.
    """
    rows = conn.execute("SELECT day, body FROM day_total WHERE day BETWEEN ? AND ? ORDER BY day", (first_day, last_day))
    return [total for day, body in rows for total in unpacked(day, body)]


def from_blocks(intervals: Block, entries: Block) -> list[DayTotal]:
    """The sums of a block of entries and the block of intervals that it was computed from.

    A missing row has no entry; its time counts in every account that its register goes to, until it is taken back.
    """
    days = _days(ZoneInfo(entries.meta["zone"]), intervals.ints("t0"))
    registers, energies = intervals.ints("r"), intervals.optional_ints("energy_mWh")
    sums: defaultdict[tuple[str, int, int, int], _Sums] = defaultdict(_Sums)
    for day, register, row_class, kind, t0_ms, t1_ms in zip(
        days, registers, *(intervals.ints(name) for name in ("class", "kind", "t0", "t1")), strict=True
    ):
        if row_class == RowClass.MISSING:
            missing_ms = t0_ms - t1_ms if kind == RowKind.REVERSAL else t1_ms - t0_ms
            for lens, account in {(lens, account) for lens, account, _ in entries.meta["lines"][register]}:
                sums[day, register, lens, account].missing_ms += missing_ms
    for row, lens, account, emitted_ng, baseline_ng in zip(
        entries.ints("i"),
        entries.ints("lens"),
        entries.ints("account"),
        entries.ints("emitted_ng"),
        entries.optional_ints("baseline_ng"),
        strict=True,
    ):
        sums[days[row], registers[row], lens, account].take(energies[row] or 0, emitted_ng, baseline_ng)
    return [_named(key, found, entries.meta) for key, found in sums.items()]


def from_restatement(block: Block) -> list[DayTotal]:
    """The sums of a block of kind "restatement": what its day gains by the newer factors."""
    sums: defaultdict[tuple[str, int, int, int], _Sums] = defaultdict(_Sums)
    day = block.meta["day"]
    for register, lens, account, energy_mWh, emitted_ng, baseline_ng in zip(
        *(block.ints(name) for name in ("r", "lens", "account", "energy_mWh", "emitted_ng")),
        block.optional_ints("baseline_ng"),
        strict=True,
    ):
        sums[day, register, lens, account].take(energy_mWh, emitted_ng, baseline_ng)
    return [_named(key, found, block.meta) for key, found in sums.items()]


def merge(totals: Iterable[DayTotal], into: dict[TotalKey, DayTotal]) -> None:
    """Adds sums to sums, by their keys."""
    for total in totals:
        before = into.get(total.key)
        into[total.key] = total if before is None else before.plus(total)


def by_register(totals: Iterable[DayTotal]) -> list[DayTotal]:
    """Sums over all the days given, one for each register, lens and account; their `day` is empty."""
    sums: dict[TotalKey, DayTotal] = {}
    merge((replace(total, day="") for total in totals), sums)
    return list(sums.values())


def answer(sums: Iterable[DayTotal], *, lens: str, first: date, last: date, as_of: date | None) -> dict[str, Any]:
    """The sums under one lens over the days first to last, by register and account, as the API gives them."""
    return {
        "lens": lens,
        "as_of": as_of and as_of.isoformat(),
        "registers": [as_json(total) for total in by_register(total for total in sums if total.lens == lens)],
        "from": first.isoformat(),
        "to": last.isoformat(),
    }


def as_json(total: DayTotal) -> dict[str, Any]:
    """One sum as the API gives it; `_ng` as decimal strings."""
    return {
        "device": total.device,
        "register": total.register,
        "flow": total.flow,
        "account": total.account,
        "energy_mWh": total.energy_mWh,
        "emitted_ng": str(total.emitted_ng),
        "baseline_ng": None if total.baseline_ng is None else str(total.baseline_ng),
        "rows": total.rows,
        "missing_ms": total.missing_ms,
    }


def to_meta(total: DayTotal) -> dict[str, Any]:
    """One sum as the header of a pruned record keeps it."""
    return as_json(total) | {"day": total.day, "lens": total.lens}


def from_meta(kept: Mapping[str, Any]) -> DayTotal:
    """The mirror image of `to_meta`. Raises LookupError, TypeError or ValueError for anything else."""
    baseline_ng = kept["baseline_ng"]
    return DayTotal(
        **{name: kept[name] for name in ("day", "device", "register", "flow", "lens", "account")},
        **{name: kept[name] for name in ("energy_mWh", "missing_ms", "rows")},
        emitted_ng=int(kept["emitted_ng"]),
        baseline_ng=None if baseline_ng is None else int(baseline_ng),
    )


class _Sums:
    """Running sums of one key."""

    __slots__ = ("baseline_ng", "emitted_ng", "energy_mWh", "missing_ms", "rows")

    def __init__(self) -> None:
        self.energy_mWh = 0
        self.emitted_ng = 0
        self.baseline_ng: int | None = 0
        self.missing_ms = 0
        self.rows = 0

    def take(self, energy_mWh: int, emitted_ng: int, baseline_ng: int | None) -> None:
        self.energy_mWh += energy_mWh
        self.emitted_ng += emitted_ng
        if baseline_ng is None or self.baseline_ng is None:
            self.baseline_ng = None
        else:
            self.baseline_ng += baseline_ng
        self.rows += 1


def _named(key: tuple[str, int, int, int], sums: _Sums, meta: dict[str, Any]) -> DayTotal:
    day, position, lens, account = key
    device, register, flow, _ = meta["registers"][position]
    return DayTotal(
        day=day,
        device=device,
        register=register,
        flow=flow,
        lens=meta["lenses"][lens],
        account=meta["accounts"][account],
        energy_mWh=sums.energy_mWh,
        emitted_ng=sums.emitted_ng,
        baseline_ng=sums.baseline_ng if sums.rows else None,
        missing_ms=sums.missing_ms,
        rows=sums.rows,
    )


def _baseline_of_both(one: DayTotal, other: DayTotal) -> int | None:
    if not one.rows or not other.rows:  # nothing but missing time on one side: it says nothing about the baseline
        return one.baseline_ng if one.rows else other.baseline_ng
    if one.baseline_ng is None or other.baseline_ng is None:
        return None
    return one.baseline_ng + other.baseline_ng


def _days(zone: ZoneInfo, times_ms: Sequence[int]) -> list[str]:
    names = {
        t_ms: datetime.fromtimestamp(t_ms // 1000, UTC).astimezone(zone).date().isoformat() for t_ms in set(times_ms)
    }
    return [names[t_ms] for t_ms in times_ms]


def unpacked(day: str, body: bytes) -> list[DayTotal]:
    """The sums of a day from what is stored of them. Raises Damaged."""
    try:
        return sorted((_from_row(day, row) for row in cells.unpack(body)), key=_order)
    except cells.DAMAGE as error:
        raise Damaged(f"the totals of day {day} cannot be read ({error})") from None


def _order(total: DayTotal) -> TotalKey:
    return total.key


def _to_row(total: DayTotal) -> tuple[str, ...]:
    """Cells of text: amounts leave 64 bits within a year of a site."""
    names = (total.device, total.register, total.flow, total.lens, total.account)
    amounts = (total.energy_mWh, total.emitted_ng, total.missing_ms, total.rows)
    return (*names, *map(str, amounts), "" if total.baseline_ng is None else str(total.baseline_ng))


def _from_row(day: str, row: Sequence[str]) -> DayTotal:
    device, register, flow, lens, account, *amounts, baseline_ng = row
    energy_mWh, emitted_ng, missing_ms, rows = map(int, amounts)
    return DayTotal(
        day=day,
        device=device,
        register=register,
        flow=flow,
        lens=lens,
        account=account,
        energy_mWh=energy_mWh,
        emitted_ng=emitted_ng,
        baseline_ng=int(baseline_ng) if baseline_ng else None,
        missing_ms=missing_ms,
        rows=rows,
    )
