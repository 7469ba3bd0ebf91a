"""The rows inside the record kinds that the receiver knows; pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from sync.errors import Malformed
from sync.wire import Block

_T = TypeVar("_T")


class IntervalRow(NamedTuple):
    """Energy of one register over [t0, t1); after the register in the order of the table."""

    register: tuple[str, str, str]
    """(device, register, flow)."""
    register_epoch: int
    t0_ms: int
    t1_ms: int
    energy_mWh: int | None
    """None: missing."""
    raw_begin: str | None
    raw_end: str | None
    quality: int
    """Primary class, a small number."""
    flags: int
    kind: int
    """0 normal, 1 reversal, 2 restatement."""


class EntryRow(NamedTuple):
    """Carbon of one interval under one lens; after the row number in the order of the table."""

    interval_row: int
    """Row in the intervals record the block names."""
    lens: str
    account: str
    method: str
    factor: str | None
    emitted_ng: str
    baseline_ng: str | None
    quality: int
    flags: int


class RestatementRow(NamedTuple):
    """Sum over the entries of a day that went over to another factor; from the lens on in the order of the table."""

    day: str
    register: tuple[str, str, str]
    lens: str
    account: str
    method: str
    factor: str
    t0_ms: int
    t1_ms: int
    kind: int
    """1: what is taken back, 2: what stands instead."""
    rows: int
    energy_mWh: int
    quality: int
    flags: int
    emitted_ng: str
    baseline_ng: str | None
    hash: str


def interval_rows(block: Block) -> list[IntervalRow]:
    """Rows of a block of kind "intervals". Raises Malformed."""
    registers = [_register(item) for item in _list(block, "registers")]
    return [
        IntervalRow(
            register=_pick(registers, r, "registers"),
            register_epoch=epoch,
            t0_ms=t0_ms,
            t1_ms=t1_ms,
            energy_mWh=energy_mWh,
            raw_begin=_decimal(raw_begin),
            raw_end=_decimal(raw_end),
            quality=quality,
            flags=flags,
            kind=kind,
        )
        for r, epoch, t0_ms, t1_ms, energy_mWh, raw_begin, raw_end, quality, flags, kind in zip(
            block.ints("r"),
            block.ints("epoch"),
            block.ints("t0"),
            block.ints("t1"),
            block.optional_ints("energy_mWh"),
            block.optional_ints("raw_begin"),
            block.optional_ints("raw_end"),
            block.ints("class"),
            block.ints("flags"),
            block.ints("kind"),
            strict=True,
        )
    ]


def entry_rows(block: Block) -> list[EntryRow]:
    """Rows of a block of kind "entries". Raises Malformed."""
    lenses, accounts, methods, factors = (_names(block, key) for key in ("lenses", "accounts", "methods", "factors"))
    return [
        EntryRow(
            interval_row=i,
            lens=_pick(lenses, lens, "lenses"),
            account=_pick(accounts, account, "accounts"),
            method=_pick(methods, method, "methods"),
            factor=None if factor is None else _pick(factors, factor, "factors"),
            emitted_ng=str(emitted_ng),
            baseline_ng=_decimal(baseline_ng),
            quality=quality,
            flags=flags,
        )
        for i, lens, account, method, factor, emitted_ng, baseline_ng, quality, flags in zip(
            block.ints("i"),
            block.ints("lens"),
            block.ints("account"),
            block.ints("method"),
            block.optional_ints("factor"),
            block.ints("emitted_ng"),
            block.optional_ints("baseline_ng"),
            block.ints("class"),
            block.ints("flags"),
            strict=True,
        )
    ]


def restatement_rows(block: Block) -> list[RestatementRow]:
    """Rows of a block of kind "restatement". Raises Malformed."""
    registers = [_register(item) for item in _list(block, "registers")]
    lenses, accounts, methods, factors = (_names(block, key) for key in ("lenses", "accounts", "methods", "factors"))
    day = block.meta.get("day")
    if not isinstance(day, str):
        raise Malformed("kind restatement needs meta.day, YYYY-MM-DD")
    names = ("r", "lens", "account", "method", "factor", "t0", "t1", "kind", "rows", "energy_mWh", "class", "flags")
    numbers = zip(*(block.ints(name) for name in names), strict=True)
    amounts = zip(block.ints("emitted_ng"), block.optional_ints("baseline_ng"), _texts(block, "hash"), strict=True)
    return [
        RestatementRow(
            day=day,
            register=_pick(registers, r, "registers"),
            lens=_pick(lenses, lens, "lenses"),
            account=_pick(accounts, account, "accounts"),
            method=_pick(methods, method, "methods"),
            factor=_pick(factors, factor, "factors"),
            t0_ms=t0_ms,
            t1_ms=t1_ms,
            kind=kind,
            rows=rows,
            energy_mWh=energy_mWh,
            quality=quality,
            flags=flags,
            emitted_ng=str(emitted_ng),
            baseline_ng=_decimal(baseline_ng),
            hash=sha256,
        )
        for (
            (r, lens, account, method, factor, t0_ms, t1_ms, kind, rows, energy_mWh, quality, flags),
            (emitted_ng, baseline_ng, sha256),
        ) in zip(numbers, amounts, strict=True)
    ]


class TombstoneSum(NamedTuple):
    """What entries and restatements that never come would have added."""

    register: tuple[str, str, str]
    lens: str
    account: str
    rows: int
    energy_mWh: int
    emitted_ng: int
    baseline_ng: int | None


def tombstone_sums(meta: Mapping[str, Any]) -> list[TombstoneSum] | None:
    """The sums in the meta of a tombstone; None when nobody knows them. Raises Malformed."""
    if meta.get("sums") is None:
        return None
    try:
        return [
            TombstoneSum(
                register=(str(found["device"]), str(found["register"]), str(found["flow"])),
                lens=str(found["lens"]),
                account=str(found["account"]),
                rows=int(found["rows"]),
                energy_mWh=int(found["energy_mWh"]),
                emitted_ng=int(found["emitted_ng"]),
                baseline_ng=None if found["baseline_ng"] is None else int(found["baseline_ng"]),
            )
            for found in meta["sums"]
        ]
    except (LookupError, TypeError, ValueError) as error:
        raise Malformed(f"meta.sums of kind tombstone cannot be read ({error!r})") from None


def intervals_seq(block: Block) -> int:
    """The record whose rows the entries of `block` belong to. Raises Malformed."""
    seq = block.meta.get("intervals_seq")
    if type(seq) is not int:
        raise Malformed("kind entries needs meta.intervals_seq, a record number")
    return seq


def _texts(block: Block, name: str) -> list[str]:
    values = [value for value in block.columns.get(name, ()) if isinstance(value, str)]
    if len(values) != block.rows:
        raise Malformed(f"column {name} of kind {block.kind} must hold text")
    return values


def _list(block: Block, key: str) -> list[Any]:
    value = block.meta.get(key)
    if not isinstance(value, list):
        raise Malformed(f"kind {block.kind} needs meta.{key}, a list")
    return value


def _names(block: Block, key: str) -> list[str]:
    names = _list(block, key)
    if not all(isinstance(name, str) for name in names):
        raise Malformed(f"meta.{key} of kind {block.kind} must hold text")
    return names


def _register(item: object) -> tuple[str, str, str]:
    match item:
        case [str(device), str(register), str(flow), "mWh"]:
            return device, register, flow
    raise Malformed('meta.registers of kind intervals must hold [device, register, flow, "mWh"]')


def _pick(items: Sequence[_T], index: int, key: str) -> _T:
    if not 0 <= index < len(items):
        raise Malformed(f"index {index} is outside meta.{key}, which has {len(items)} items")
    return items[index]


def _decimal(value: int | None) -> str | None:
    return None if value is None else str(value)
