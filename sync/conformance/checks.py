"""The checks, one function a clause of docs/sync-contract.md; each begins with an epoch of its own."""

import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

from sync.conformance.probe import STREAM, Stream, Wrong, broken, expect, repacked, unpacked
from sync.set_aside import halves
from sync.wire import (
    DECIMAL,
    MAX_INFLATED_BYTES,
    MAX_PACKED_BYTES,
    MAX_RECORDS,
    encode_batch,
    encode_block,
    gzipped,
    xzed,
)

Check = Callable[[Stream], Awaitable[None]]

WIDE_NG: Final = 2**53 + 1
REGISTERS: Final = [["conform-meter", "import_energy", "import", "mWh"]]


async def token(stream: Stream) -> None:
    """401 without the token of the gateway in the address"""
    batch = stream.fill(1).batch(1, 1)
    expect(await stream.post(batch, token=""), 401)
    expect(await stream.post(batch, token="x" * 40), 401)
    expect(await stream.get(f"streams/{STREAM}", token="x" * 40), 401)
    answer = await stream.post(batch, gateway=f"{stream.gateway}.other"[-64:])
    if answer.status not in (401, 403):
        raise Wrong(f"the token of {stream.gateway} is good for another gateway too ({answer.status})")


async def token_first(stream: Stream) -> None:
    """the token is judged before the batch"""
    expect(await stream.post(b"no batch at all", token="x" * 40), 401)


async def acknowledge(stream: Stream) -> None:
    """200 and acked_through once the batch is held"""
    stream.fill(5)
    await stream.acked(stream.batch(1, 3))
    await stream.stands_at(3)
    await stream.acked(stream.batch(4, 5))
    await stream.stands_at(5)


async def same_again(stream: Stream) -> None:
    """the same batch again: the same answer, nothing changes"""
    batch = stream.fill(4).batch(1, 4)
    for _ in range(3):
        await stream.acked(batch)
    await stream.stands_at(4)


async def overlap(stream: Stream) -> None:
    """a batch that overlaps what is held adds what is new"""
    stream.fill(9)
    await stream.acked(stream.batch(1, 5))
    await stream.acked(stream.batch(3, 9))
    await stream.acked(stream.batch(2, 4))
    await stream.stands_at(9)


async def byte_for_byte(stream: Stream) -> None:
    """bodies are hashed as they came, never written anew"""
    stream.add(b'{ "kind": "conform",  "b": 1.50, "a": "\\u00e9" }', '{"kind":"conform","text":"呼吸"}'.encode())
    await stream.acked(stream.batch(1, 2))
    await stream.stands_at(2)


async def codings(stream: Stream) -> None:
    """xz batches are taken where the receiver says that it takes them"""
    answer = await stream.get(f"streams/{STREAM}")
    if "xz" in answer.headers.get("Accept-Encoding", ""):
        batch = stream.fill(3).batch(1, 3)
        expect(await stream.post(encode_batch(batch, xzed), coding="xz"), 200)
        await stream.stands_at(3)


async def malformed(stream: Stream) -> None:
    """400 for what is not a batch"""
    batch = stream.fill(3).batch(1, 3)
    good, text = encode_batch(batch), unpacked(batch)
    for what, content in (
        ("bytes that are not gzip", b"no batch"),
        ("a gzip stream that is cut off", good[:-9]),
        ("bytes after the gzip stream", good + b"more"),
        ("a batch without its last line", gzipped(text[: text[:-1].rindex(b"\n") + 1])),
        ("a batch with one line more", gzipped(text + b'{"kind":"conform"}\n')),
        ("a header with a key more", repacked(batch, more=1)),
        ("version 2", repacked(batch, v=2)),
        ("a count that is text", repacked(batch, count="3")),
        ("an epoch in upper case", repacked(batch, epoch="00C0FFEE00C0FFEE")),
        ("first_seq 0", repacked(batch, first_seq=0)),
        ("a record without kind", gzipped(text.replace(b'"kind"', b'"type"'))),
        ("another stream than in the address", repacked(batch, stream="events")),
        ("another gateway than in the address", repacked(batch, gateway="somebody-else")),
    ):
        answer = await stream.post(content)
        try:
            expect(answer, 400)
        except Wrong as wrong:
            raise Wrong(f"{what}: {wrong}") from None


async def too_large(stream: Stream) -> None:
    """413 beyond the limits, without inflating to the end"""
    noise = gzipped(os.urandom(MAX_PACKED_BYTES + 1000))
    bomb = gzipped(b" " * (MAX_INFLATED_BYTES + 1))
    crowd = stream.fill(MAX_RECORDS + 1).batch(1, MAX_RECORDS + 1)
    for what, content in (("packed bytes", noise), ("inflated bytes", bomb), ("records", encode_batch(crowd))):
        try:
            expect(await stream.post(content), 413)
        except Wrong as wrong:
            raise Wrong(f"too many {what}: {wrong}") from None


async def chain(stream: Stream) -> None:
    """422 when hash_after is not the hash over the records, and nothing is stored"""
    stream.fill(6)
    await stream.acked(stream.batch(1, 3))
    expect(await stream.post(broken(stream.batch(4, 6))), 422)
    await stream.stands_at(3)


async def chain_before_gap(stream: Stream) -> None:
    """the chain of a batch is judged before its place"""
    stream.fill(6)
    await stream.acked(stream.batch(1, 2))
    expect(await stream.post(broken(stream.batch(5, 6))), 422)


async def gap(stream: Stream) -> None:
    """409 gap with the number that is expected, and nothing is stored"""
    stream.fill(9)
    await stream.acked(stream.batch(1, 3))
    answer = await stream.post(stream.batch(6, 9))
    expect(answer, 409, "gap")
    if answer.json.get("expected") != 4:
        raise Wrong(f'"expected" is {answer.json.get("expected")!r}, not 4')
    await stream.stands_at(3)


async def fork(stream: Stream) -> None:
    """409 fork for other content under the same numbers, and nothing is stored"""
    stream.fill(5)
    await stream.acked(stream.batch(1, 5))
    other = Stream(stream.client, stream.gateway, stream._token).fill(8, "other")
    other.epoch = stream.epoch
    for first, last in ((1, 5), (1, 8), (2, 3), (6, 8)):
        answer = await stream.post(other.batch(first, last))
        try:
            expect(answer, 409, "fork")
        except Wrong as wrong:
            raise Wrong(f"records {first} to {last} of another history: {wrong}") from None
    await stream.stands_at(5)


async def epochs(stream: Stream) -> None:
    """a new epoch starts at 1 and leaves the old one as it was"""
    await stream.acked(stream.fill(4).batch(1, 4))
    newer = Stream(stream.client, stream.gateway, stream._token).fill(2, "newer")
    await newer.acked(newer.batch(1, 2))
    await newer.stands_at(2)
    await stream.acked(stream.batch(2, 4))
    await newer.stands_at(2)


async def totals(stream: Stream) -> None:
    """totals are exact sums as decimal strings, beyond 2^53, nothing twice"""
    before = await _sums(stream)
    stream.add(_intervals(), _entries(1))
    for _ in range(2):
        await stream.acked(stream.batch(1, 2))
    await _grown(stream, before)


async def tombstones(stream: Stream) -> None:
    """a tombstone carries the chain over what never travels"""
    stream.fill(12)
    await stream.acked(stream.with_tombstone(1, 6, gone=(3, 5)))
    await stream.stands_at(6)
    await stream.acked(stream.with_tombstone(1, 5, gone=(3, 5)))  # ignored at or below the mark
    await stream.acked(stream.batch(7, 8))
    await stream.acked(stream.with_tombstone(7, 10, gone=(7, 10)))  # of which the receiver holds a part
    await stream.acked(stream.batch(11, 12))
    await stream.stands_at(12)


async def tombstone_chain(stream: Stream) -> None:
    """422 for a tombstone that does not begin where the chain is"""
    stream.fill(6)
    text = unpacked(stream.with_tombstone(1, 6, gone=(3, 5)))
    expect(await stream.post(gzipped(text.replace(stream.hash_hex(2).encode(), b"0" * 64))), 422)


async def remainders(stream: Stream) -> None:
    """remainders are rows of the record they come from"""
    before = await _sums(stream)
    parts = halves(1, _intervals())
    assert parts is not None
    stream.add(_intervals(), *parts, _entries(1))
    await stream.acked(stream.with_tombstone(1, 4, gone=(1, 1)))
    await _grown(stream, before)


CHECKS: Final[tuple[Check, ...]] = (
    token,
    token_first,
    codings,
    malformed,
    too_large,
    chain,
    chain_before_gap,
    gap,
    fork,
    acknowledge,
    same_again,
    overlap,
    byte_for_byte,
    epochs,
    tombstones,
    tombstone_chain,
    remainders,
    totals,
)


def _intervals() -> bytes:
    return encode_block(
        "intervals",
        {"registers": REGISTERS, "bounds": [], "gaps": []},
        {
            "r": [0, 0],
            "epoch": [1, 1],
            "t0": [0, 300_000],
            "t1": [300_000, 600_000],
            "energy_mWh": [1_500_000, None],
            "raw_begin": [2**64 - 2, None],
            "raw_end": [2**64 - 1, None],
            "class": [0, 4],
            "flags": [0, 0],
            "kind": [0, 0],
        },
    )


def _entries(intervals_seq: int) -> bytes:
    meta = {
        "registers": REGISTERS,
        "lenses": ["location"],
        "accounts": ["inventory"],
        "methods": ["electricity.grid-average/1"],
        "factors": ["conform/XX/2022/location@1"],
        "regions": ["XX"],
        "lines": [[[0, 0, 0]]],
        "bounds": [],
        "contracts": [],
        "zone": "UTC",
        "booked_ms": 0,
        "intervals_seq": intervals_seq,
    }
    columns = {name: [0] for name in ("i", "lens", "account", "method", "factor", "class", "flags")}
    return encode_block("entries", meta, columns | {"emitted_ng": [WIDE_NG], "baseline_ng": [None]})


async def _sums(stream: Stream) -> tuple[int, int, int]:
    """Energy, emissions and rows of the kit's register so far."""
    answer = await stream.get("totals")
    expect(answer, 200)
    registers = answer.json.get("registers")
    if not isinstance(registers, list):
        raise Wrong('totals have no list "registers"')
    found: dict[str, Any] = next((each for each in registers if each.get("device") == "conform-meter"), {})
    amounts = {name: found.get(name, "0") for name in ("energy_mWh", "emitted_ng")}
    for name, amount in amounts.items():
        if not isinstance(amount, str) or not DECIMAL.fullmatch(amount):
            raise Wrong(f"{name} is {amount!r}, which is not a decimal string")
    return int(amounts["energy_mWh"]), int(amounts["emitted_ng"]), found.get("rows", 0)


async def _grown(stream: Stream, before: tuple[int, int, int]) -> None:
    energy_mWh, emitted_ng, rows = before
    expected = (energy_mWh + 1_500_000, emitted_ng + WIDE_NG, rows + 2)
    found = await _sums(stream)
    if found != expected:
        raise Wrong(f"energy_mWh, emitted_ng and rows are {found}, not {expected}")
