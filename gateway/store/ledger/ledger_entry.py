"""LedgerEntry: one line of the ledger, as the blocks of a record say it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.store.flag import flag_names
from gateway.store.ledger.entry_id import entry_id
from gateway.store.row_class import RowClass, RowKind
from gateway.store.totals import DayTotal
from sync.wire import Block

PRUNED: Final = "pruned"
"""Kind of a line that stands for entries of which only the sum is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Carbon of one interval of one register in one account, with the evidence it rests on; or a sum of such."""

    seq: int
    """Record of the ledger stream that holds it."""
    row: int
    """Its position in that record."""
    entry_id: str | None
    """None for a pruned sum."""
    kind: str
    """normal, reversal, restatement or pruned."""
    reverses: str | None
    """What a reversal takes back: the entry's id, or for a sum half of the hash over its interval entries."""
    run: str | None
    """What made a reversal or a restatement, None for a normal entry."""
    reason: str | None
    """Why it was made."""
    booked_ms: int
    device: str
    register: str
    flow: str
    epoch: int | None
    """Base of the counter, None for a sum over a day."""
    t0_ms: int
    t1_ms: int
    rows: int
    """Entries that it sums up: 1, or more for a sum over a day."""
    energy_mWh: int | None
    lo_mWh: int | None
    """Least and most energy of the doubtful readings it stands for, None when none is doubtful."""
    hi_mWh: int | None
    raw_begin: int | None
    """Counter at the begin, None for a register without one and for a sum."""
    raw_end: int | None
    lens: str
    account: str
    method: str | None
    """None for a pruned sum."""
    factor: str | None
    """Reference of the factor, None where the method needs none."""
    matched_mWh: int | None
    """Energy covered by a contract, None where none applies."""
    emitted_ng: int
    baseline_ng: int | None
    lo_ng: int | None
    """Least and most the amount can be, None where the factor leaves no doubt."""
    hi_ng: int | None
    row_class: RowClass | None
    """None for a pruned sum."""
    flags: list[str]


def of_entries(seq: int, intervals: Block, entries: Block) -> list[LedgerEntry]:
    """The lines of a record of entries and of the record of intervals that it was computed from.

    Raises Malformed, LookupError, TypeError or ValueError for blocks that are none.
    """
    meta, sources = entries.meta, _sources(intervals)
    bounds_ng = {row: (int(lo), int(hi)) for row, lo, hi in meta["bounds"]}
    numbers = zip(*(entries.ints(name) for name in ("i", "lens", "account", "method", "class", "flags")), strict=True)
    factors, baselines, emitted = *_optional(entries, "factor", "baseline_ng"), entries.ints("emitted_ng")
    matched = entries.optional_ints("matched_mWh") if "matched_mWh" in entries.columns else [None] * entries.rows
    found: list[LedgerEntry] = []
    for row, (i, lens, account, method, row_class, flags) in enumerate(numbers):
        source, factor = sources[i], factors[row]
        named = source.named | {
            "lens": meta["lenses"][lens],
            "account": meta["accounts"][account],
            "method": meta["methods"][method],
            "factor": None if factor is None else meta["factors"][factor],
        }
        reverses = source.takes_back and entry_id(**named, **source.takes_back, reverses=None)
        lo_ng, hi_ng = bounds_ng.get(row, (None, None))
        found.append(
            LedgerEntry(
                **named,
                **source.amounts,
                seq=seq,
                row=row,
                entry_id=entry_id(**named, kind=source.kind, reverses=reverses, run=source.run),
                kind=source.kind.name.lower(),
                reverses=reverses,
                run=source.run,
                reason=_why(intervals) if source.run else None,
                booked_ms=meta["booked_ms"],
                flow=source.flow,
                rows=1,
                matched_mWh=matched[row],
                emitted_ng=emitted[row],
                baseline_ng=baselines[row],
                lo_ng=lo_ng,
                hi_ng=hi_ng,
                row_class=RowClass(row_class),
                flags=flag_names(flags),
            )
        )
    return found


def of_restatement(seq: int, block: Block) -> list[LedgerEntry]:
    """The lines of a restatement record: sums over the entries of a day that went over to another factor.

    Raises Malformed, LookupError, TypeError or ValueError for a block that is none.
    """
    meta = block.meta
    numbers = zip(
        *(block.ints(name) for name in ("r", "lens", "account", "method", "class", "flags", "t0", "t1")),
        *(block.ints(name) for name in ("kind", "rows", "energy_mWh", "emitted_ng")),
        *_optional(block, "factor", "baseline_ng"),
        block.columns["hash"],
        strict=True,
    )
    found: list[LedgerEntry] = []
    for row, cells in enumerate(numbers):
        r, lens, account, method, row_class, flags, t0_ms, t1_ms, kind, rows, energy, emitted, factor, baseline, sha = (
            cells
        )
        device, register, flow, _ = meta["registers"][r]
        named: dict[str, Any] = {
            "device": device,
            "register": register,
            "epoch": None,
            "t0_ms": t0_ms,
            "t1_ms": t1_ms,
            "lens": meta["lenses"][lens],
            "account": meta["accounts"][account],
            "method": meta["methods"][method],
            "factor": None if factor is None else meta["factors"][factor],
        }
        reverses = str(sha)[:32] if kind == RowKind.REVERSAL else None
        found.append(
            LedgerEntry(
                **named,
                **_NO_EVIDENCE,
                seq=seq,
                row=row,
                entry_id=entry_id(**named, kind=RowKind(kind), reverses=reverses, run=meta["run"]),
                kind=RowKind(kind).name.lower(),
                reverses=reverses,
                run=meta["run"],
                reason=meta["reason"],
                booked_ms=meta["booked_ms"],
                flow=flow,
                rows=rows,
                energy_mWh=energy,
                emitted_ng=emitted,
                baseline_ng=baseline,
                row_class=RowClass(row_class),
                flags=flag_names(flags),
            )
        )
    return found


def of_sums(seq: int, t0_ms: int, t1_ms: int, booked_ms: int, sums: Iterable[DayTotal]) -> list[LedgerEntry]:
    """The lines of a pruned record: the sums that are left of its entries."""
    return [
        LedgerEntry(
            **_NO_EVIDENCE,
            seq=seq,
            row=row,
            entry_id=None,
            kind=PRUNED,
            reverses=None,
            run=None,
            reason=None,
            booked_ms=booked_ms,
            device=total.device,
            register=total.register,
            flow=total.flow,
            epoch=None,
            t0_ms=t0_ms,
            t1_ms=t1_ms,
            rows=total.rows,
            energy_mWh=total.energy_mWh,
            lens=total.lens,
            account=total.account,
            method=None,
            factor=None,
            emitted_ng=total.emitted_ng,
            baseline_ng=total.baseline_ng,
            row_class=None,
            flags=[],
        )
        for row, total in enumerate(sums)
    ]


_NO_EVIDENCE: Final[Mapping[str, Any]] = dict.fromkeys(
    ("lo_mWh", "hi_mWh", "raw_begin", "raw_end", "matched_mWh", "lo_ng", "hi_ng")
)


def _why(intervals: Block) -> str:
    """The reason of a correction, and what a person said about it."""
    return ": ".join(filter(None, (intervals.meta["reason"], intervals.meta.get("note"))))


class _Source(NamedTuple):
    """An interval as its entries need it."""

    named: dict[str, Any]
    """The part of an entry's name that it gives."""
    flow: str
    kind: RowKind
    run: str | None
    takes_back: dict[str, Any] | None
    """Kind and run of the row that a reversal takes back."""
    amounts: dict[str, int | None]


def _sources(intervals: Block) -> list[_Source]:
    meta = intervals.meta
    taken = {row: {"kind": RowKind(kind), "run": run} for row, kind, run in meta.get("reversed", ())}
    lo_mWh: dict[int, int] = {}
    hi_mWh: dict[int, int] = {}
    for row, _, _, lo, hi in meta["bounds"]:
        lo_mWh[row] = lo_mWh.get(row, 0) + int(lo)
        hi_mWh[row] = hi_mWh.get(row, 0) + int(hi)
    found: list[_Source] = []
    for row, (r, epoch, t0_ms, t1_ms, kind, energy, begin, end) in enumerate(
        zip(
            *(intervals.ints(name) for name in ("r", "epoch", "t0", "t1", "kind")),
            *_optional(intervals, "energy_mWh", "raw_begin", "raw_end"),
            strict=True,
        )
    ):
        device, register, flow, _ = meta["registers"][r]
        amounts = {"energy_mWh": energy, "raw_begin": begin, "raw_end": end}
        found.append(
            _Source(
                named={"device": device, "register": register, "epoch": epoch, "t0_ms": t0_ms, "t1_ms": t1_ms},
                flow=flow,
                kind=RowKind(kind),
                run=None if kind == RowKind.NORMAL else meta["run"],
                takes_back=taken.get(row),
                amounts=amounts | {"lo_mWh": lo_mWh.get(row), "hi_mWh": hi_mWh.get(row)},
            )
        )
    return found


def _optional(block: Block, *names: str) -> tuple[list[int | None], ...]:
    return tuple(block.optional_ints(name) for name in names)
