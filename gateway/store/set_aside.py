"""Records that the receiver rejects: kept here as they are, sent as tombstones, their good rows as remainders."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from gateway.store import outbox
from gateway.store.errors import StoreError
from gateway.store.record import ENTRIES, INTERVALS, RESTATEMENT, read, readable
from gateway.store.record import STREAM as LEDGER
from sync.errors import Malformed
from sync.messages import Record, Tombstone
from sync.set_aside import QUARANTINED, REMAINDER, SPLIT, Sum, halves, stone, whole
from sync.wire import Block, decode_block, encode_block

MOST_A_DAY: Final = 1000
"""More in a day is no bad row but a receiver that takes nothing: then the stream is held instead."""

_DAY_MS: Final = 86_400_000


class SetAside(NamedTuple):
    """One record that the receiver rejected for good."""

    stream: str
    seq: int
    kind: str
    t_ms: int
    """When."""
    reason: str
    """The receiver's sentence."""


class Quarantine(NamedTuple):
    """The records that the receiver rejects and that cannot be divided any more."""

    records: int
    newest: Sequence[SetAside]


NOTHING: Final = Quarantine(0, ())
_SHOWN: Final = 20


def put(conn: sqlite3.Connection, stream: str, seq: int, detail: str, now_ms: int) -> bool:
    """Sets a record aside in the caller's transaction: it travels as a tombstone, its halves follow at the end.

    An alarm says so once nothing is left to divide. False, and nothing is done, beyond MOST_A_DAY. Raises StoreError
    when there is no such record.
    """
    (today,) = conn.execute("SELECT count(*) FROM set_aside WHERE t_ms > ?", (now_ms - _DAY_MS,)).fetchone()
    if today >= MOST_A_DAY:
        return False
    row = conn.execute(
        "SELECT kind, t0_ms, t1_ms, body FROM record WHERE stream = ? AND seq = ?", (stream, seq)
    ).fetchone()
    if row is None:
        raise StoreError(f"record {seq} of stream {stream} is missing; run `huxi ledger verify`")
    kind, t0_ms, t1_ms, body = row
    parts = halves(seq, body) if stream == LEDGER else None
    state = SPLIT if parts else QUARANTINED
    conn.execute("INSERT OR REPLACE INTO set_aside VALUES (?, ?, ?, ?, ?)", (stream, seq, now_ms, state, detail))
    for part in parts or ():
        outbox.append(conn, stream, REMAINDER, t0_ms, t1_ms, part)
    if parts is None and stream == LEDGER:  # an alarm about an alarm could go round for ever
        text = f"the receiver rejects record {seq} (kind {kind}) of stream {stream}, it is kept here: {detail}"
        meta = {"t_ms": now_ms, "what": "record_quarantined", "device": "", "text": text}
        outbox.append(conn, "events", "alarm", now_ms, now_ms, encode_block("alarm", meta, {}))
    return True


def quarantine(conn: sqlite3.Connection) -> Quarantine:
    """What is in quarantine."""
    (count,) = conn.execute("SELECT count(*) FROM set_aside WHERE state = ?", (QUARANTINED,)).fetchone()
    rows = conn.execute(
        "SELECT stream, seq, kind, t_ms, detail FROM set_aside JOIN record USING (stream, seq) "
        "WHERE state = ? ORDER BY t_ms DESC, seq DESC LIMIT ?",
        (QUARANTINED, _SHOWN),
    )
    return Quarantine(count, [SetAside(*row) for row in rows])


def as_sent(
    conn: sqlite3.Connection, stream: str, hash_before: bytes, rows: Iterable[tuple[Record, bytes]]
) -> Iterator[Record]:
    """Records, each with the hash after it, as they travel: tombstones where they were set aside."""
    found = list(rows)
    if not found:
        return
    aside = {
        seq: (state, detail)
        for seq, state, detail in conn.execute(
            "SELECT seq, state, detail FROM set_aside WHERE stream = ? AND seq BETWEEN ? AND ?",
            (stream, found[0][0].seq, found[-1][0].seq),
        )
    }
    for record, hash_after in found:
        if record.seq in aside:
            state, detail = aside[record.seq]
            span = Tombstone(first_seq=record.seq, hash_before=hash_before, hash_after=hash_after)
            sums = [] if state == SPLIT else list(_sums(conn, record))
            yield stone(stream, record.seq, span, reason=state, detail=detail, sums=sums)
        else:
            yield record
        hash_before = hash_after


def _sums(conn: sqlite3.Connection, record: Record) -> Iterator[Sum]:
    """What a record holds, of each register: what the receiver will never see."""
    if record.stream != LEDGER:
        return
    with readable(record.seq):
        try:
            block, _, _ = whole(decode_block(record.body))
        except Malformed:
            return  # foreign: nobody here knows what it holds
        if block.kind == INTERVALS:
            energies = block.optional_ints("energy_mWh")
            nothing = [None for _ in energies]
            yield from _added(block, block.ints("r"), energies, [("", "") for _ in energies], nothing, nothing)
        elif block.kind in (ENTRIES, RESTATEMENT):
            if block.kind == ENTRIES:
                source = read(conn, block.meta["intervals_seq"])
                r, energies = source.ints("r"), source.optional_ints("energy_mWh")
                registers, energies = [r[i] for i in block.ints("i")], [energies[i] for i in block.ints("i")]
            else:
                registers, energies = block.ints("r"), block.optional_ints("energy_mWh")
            meta = block.meta
            books = [
                (meta["lenses"][lens], meta["accounts"][account])
                for lens, account in zip(block.ints("lens"), block.ints("account"), strict=True)
            ]
            ng = (block.optional_ints("emitted_ng"), block.optional_ints("baseline_ng"))
            yield from _added(block, registers, energies, books, *ng)


def _added(
    block: Block,
    registers: Sequence[int],
    energies: Sequence[int | None],
    books: Sequence[tuple[str, str]],
    emitted: Sequence[int | None],
    baselines: Sequence[int | None],
) -> Iterator[Sum]:
    """The sums of rows, by register, lens and account; unknown baselines stay unknown."""
    sums: defaultdict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for r, energy_mWh, book, emitted_ng, baseline_ng in zip(
        registers, energies, books, emitted, baselines, strict=True
    ):
        found = sums[r, *book]
        for place, value in enumerate((1, energy_mWh or 0, emitted_ng or 0, baseline_ng or 0, baseline_ng is None)):
            found[place] += value
    for (r, lens, account), (rows, energy_mWh, emitted_ng, baseline_ng, unknown) in sorted(sums.items()):
        device, register, flow, _ = block.meta["registers"][r]
        yield {
            "device": device,
            "register": register,
            "flow": flow,
            "lens": lens,
            "account": account,
            "rows": rows,
            "energy_mWh": energy_mWh,
            "emitted_ng": str(emitted_ng),
            "baseline_ng": None if unknown else str(baseline_ng),
        }
