"""Batches and blocks as bytes: gzip JSON Lines of canonical columnar JSON (docs/sync-contract.md)."""

import lzma
import re
import reprlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, Final

import orjson

from sync.errors import Malformed, TooLarge
from sync.messages import EPOCH, NAME, TOMBSTONE, Batch, Record, Tombstone

VERSION: Final = 1
MAX_PACKED_BYTES: Final = 1 << 20
"""Largest batch on the wire (gzip); also what common proxies let through."""
MAX_INFLATED_BYTES: Final = 4 << 20
"""Largest batch after inflating."""
MAX_RECORDS: Final = 4096
"""Most records in a batch."""
EXACT_LIMIT: Final = 1 << 53
"""JSON numbers are exact in every reader below this magnitude only."""
DECIMAL: Final = re.compile(r"0|-?[1-9][0-9]{0,39}")
"""How an amount is written that may be beyond that."""
DELTA: Final = ("t0", "t1")
"""Columns sent as first value and differences."""

_GZIP = 16 + zlib.MAX_WBITS
_XZ: Final = [{"id": lzma.FILTER_LZMA2, "preset": 4, "dict_size": 1 << 20, "pb": 0}]
_XZ_MAGIC = b"\xfd7zXZ\0"
_XZ_MEMORY_BYTES: Final = 32 << 20
_HEX_HASH = re.compile(r"[0-9a-f]{64}")
_DECIMALS = re.compile(r"(?:(?:0|-?[1-9][0-9]{0,39})\n)*")
_COMMAS = bytes.maketrans(b"[:", b",,")
_CELLS = {int, str, type(None)}
_HEADER = ("v", "gateway", "epoch", "stream", "first_seq", "count", "hash_before", "hash_after")

Cell = int | str | None
"""One value of a column."""


def encode_batch(batch: Batch, pack: Callable[[bytes], bytes] | None = None) -> bytes:
    """The batch as JSON Lines: the header, then each body byte for byte; packed by `pack`, by `gzipped` without it.

    Raises ValueError when a body holds a newline (it would not be canonical JSON).
    """
    header = {
        "v": VERSION,
        "gateway": batch.gateway,
        "epoch": batch.epoch,
        "stream": batch.stream,
        "first_seq": batch.first_seq,
        "count": len(batch.records),
        "hash_before": batch.hash_before.hex(),
        "hash_after": batch.hash_after.hex(),
    }
    for record in batch.records:
        if b"\n" in record.body:
            raise ValueError(f"record {record.stream}/{record.seq} has a newline in its body")
    lines = [canonical(header), *(record.body for record in batch.records), b""]
    return (pack or gzipped)(b"\n".join(lines))


def decode_batch(packed: bytes) -> Batch:
    """The batch in `packed`, in bounded memory whatever the bytes are. The chain is not judged here.

    Raises TooLarge beyond the limits above and Malformed for anything else that is not a batch.
    """
    return read_batch(packed)[0]


def read_batch(packed: bytes) -> tuple[Batch, list[dict[str, Any]]]:
    """As `decode_batch`, with each body as JSON beside it, for `decode_blocks`."""
    head, _, rest = inflate(packed).partition(b"\n")
    header = _read_header(head)
    count, first_seq, stream = header["count"], header["first_seq"], header["stream"]
    bodies = rest.split(b"\n", count)
    if len(bodies) != count + 1 or bodies.pop():
        raise Malformed(f"the header announces {count} records, one a line; the batch holds another number of lines")
    parsed = [_parse(body, f"record {seq}") for seq, body in enumerate(bodies, first_seq)]
    batch = Batch(
        gateway=header["gateway"],
        epoch=header["epoch"],
        stream=stream,
        first_seq=first_seq,
        hash_before=bytes.fromhex(header["hash_before"]),
        hash_after=bytes.fromhex(header["hash_after"]),
        records=tuple(_records(stream, first_seq, zip(bodies, parsed, strict=True))),
    )
    return batch, parsed


def _records(stream: str, seq: int, bodies: Iterable[tuple[bytes, dict[str, Any]]]) -> Iterator[Record]:
    """The records of a batch that begins at `seq`, from each body and what it is as JSON."""
    for body, value in bodies:
        kind = _kind_of(value, seq)
        stone = None
        if kind == TOMBSTONE:
            stone, last_seq = read_tombstone(body)
            if stone.first_seq != seq:
                raise Malformed(f"a tombstone begins at {stone.first_seq} where record {seq} is due")
            seq = last_seq
        yield Record(stream=stream, seq=seq, kind=kind, body=body, tombstone=stone)
        seq += 1


def read_tombstone(body: bytes) -> tuple[Tombstone, int]:
    """What a tombstone stands for, and the last record of that. Raises Malformed."""
    meta = decode_block(body).meta
    first_seq, last_seq, *hashes = (meta.get(key) for key in ("first_seq", "last_seq", "hash_before", "hash_after"))
    if type(first_seq) is not int or type(last_seq) is not int or not 1 <= first_seq <= last_seq:
        raise Malformed("a tombstone needs meta.first_seq and meta.last_seq, whole numbers from 1 on, in this order")
    if not all(isinstance(found, str) and _HEX_HASH.fullmatch(found) for found in hashes):
        raise Malformed(f"a tombstone needs meta.hash_before and meta.hash_after, which match {_HEX_HASH.pattern}")
    before, after = (bytes.fromhex(str(found)) for found in hashes)
    return Tombstone(first_seq=first_seq, hash_before=before, hash_after=after), last_seq


def gzipped(text: bytes) -> bytes:
    """`text` in one gzip stream, with little work."""
    return _gzip(text, 3)


def tightly_gzipped(text: bytes) -> bytes:
    """`text` in one gzip stream a quarter smaller, with three times the work."""
    return _gzip(text, 9)


def _gzip(text: bytes, level: int) -> bytes:
    # Nearly all of a batch is digits: short matches among them cost more than they save.
    packer = zlib.compressobj(level, zlib.DEFLATED, _GZIP, 9, zlib.Z_FILTERED)
    return packer.compress(text) + packer.flush()


def xzed(text: bytes) -> bytes:
    """`text` in one xz stream, smaller by another fifth, with ten times the work."""
    return lzma.compress(text, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=_XZ)


def inflate(packed: bytes) -> bytes:
    """The text in one gzip or xz stream, in bounded memory. Raises TooLarge and Malformed."""
    if len(packed) > MAX_PACKED_BYTES:
        raise TooLarge(f"the batch has {len(packed)} bytes packed; {MAX_PACKED_BYTES} are allowed")
    is_xz = packed.startswith(_XZ_MAGIC)
    inflater = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES) if is_xz else zlib.decompressobj(_GZIP)
    try:
        text = inflater.decompress(packed, MAX_INFLATED_BYTES + 1)
    except (zlib.error, lzma.LZMAError) as error:
        raise Malformed(f"the batch is not {'xz' if is_xz else 'gzip'}: {error}") from None
    if len(text) > MAX_INFLATED_BYTES:
        raise TooLarge(f"the batch inflates to more than {MAX_INFLATED_BYTES} bytes")
    if not inflater.eof:
        raise Malformed("the batch is cut off: its packed stream has no end")
    if inflater.unused_data:
        raise Malformed("the batch has bytes after the end of its packed stream")
    return text


def _read_header(line: bytes) -> dict[str, Any]:
    header = _parse(line, "the header line")
    if set(header) != set(_HEADER):
        raise Malformed(f"the header must have exactly the keys {', '.join(_HEADER)}")
    for key in ("v", "first_seq", "count"):
        if type(header[key]) is not int or not 1 <= header[key] < EXACT_LIMIT:
            raise Malformed(f"the header's {key} must be a whole number from 1 on")
    if header["v"] != VERSION:
        raise Malformed(f"the batch is of version {header['v']}; this side knows version {VERSION}")
    for key, pattern in (
        ("gateway", NAME),
        ("epoch", EPOCH),
        ("stream", NAME),
        ("hash_before", _HEX_HASH),
        ("hash_after", _HEX_HASH),
    ):
        if not isinstance(header[key], str) or not pattern.fullmatch(header[key]):
            raise Malformed(f"the header's {key} must match {pattern.pattern}")
    if header["count"] > MAX_RECORDS:
        raise TooLarge(f"the batch has {header['count']} records; {MAX_RECORDS} are allowed")
    return header


def _kind_of(value: dict[str, Any], seq: int) -> str:
    kind = value.get("kind")
    if not isinstance(kind, str) or not NAME.fullmatch(kind):
        raise Malformed(f"record {seq} must name its kind, a string that matches {NAME.pattern}")
    return kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Columns of equal length, decoded."""

    kind: str
    """What they are of: "intervals", "entries", "alarm" and whatever comes later."""
    columns: dict[str, list[Cell]]
    """By name."""

    @property
    def rows(self) -> int:
        """Number of rows (0 without columns)."""
        return len(next(iter(self.columns.values()), ()))

    def ints(self, name: str) -> list[int]:
        """Column `name`. Raises Malformed when it is missing or holds anything but whole numbers."""
        values = self.columns.get(name)
        if values is None or not set(map(type, values)) <= {int}:
            self.optional_ints(name)
            raise Malformed(f"column {name} of kind {self.kind} must not hold null")
        return values  # type: ignore[return-value]  # just shown to hold nothing else

    def optional_ints(self, name: str) -> list[int | None]:
        """Column `name`, nulls as None. Raises Malformed when it is missing or holds text."""
        if name not in self.columns:
            raise Malformed(f"kind {self.kind} needs a column {name}")
        values = self.columns[name]
        if str in set(map(type, values)):
            raise Malformed(f"column {name} of kind {self.kind} must hold whole numbers")
        return values  # type: ignore[return-value]  # just shown to hold no str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Columns):
    """One columnar block: the body of a record, decoded. `_ng` and `raw_` columns hold ints again."""

    meta: dict[str, Any]
    """What is said once for the whole block: JSON values without floats."""


def encode_block(kind: str, meta: Mapping[str, Any], columns: Mapping[str, Sequence[Cell]]) -> bytes:
    """A block as canonical JSON: {"columns": …, "kind": kind, "meta": meta}.

    Columns are equally long. `t0` and `t1` hold ints and leave as differences; `*_ng` and `raw_*` hold ints
    (at most 40 digits) or None and leave as decimal strings; all others hold ints, str or None. `meta` holds
    JSON values without floats. Ints that leave as numbers are below 2**53 in magnitude. Raises ValueError,
    naming the place, for anything else.
    """
    if len({len(values) for values in columns.values()}) > 1:
        raise ValueError(f"columns of kind {kind} differ in length")
    coded = {name: _encode_column(name, values) for name, values in columns.items()}
    body = {"columns": coded, "kind": kind, "meta": meta}
    _require_exact(body, kind)
    return canonical(body)


def decode_block(body: bytes) -> Block:
    """The mirror image of `encode_block`. Raises Malformed for bytes that `encode_block` cannot have made."""
    ((_, blocks),) = decode_blocks([body], [_parse(body, "the block")])
    columns = {name: _ints(values) if _is_wide(name) else values for name, values in blocks.columns.items()}
    return Block(kind=blocks.kind, meta=blocks.metas[0], columns=columns)


def _ints(decimals: list[Cell]) -> list[Cell]:
    return [None if value is None else int(value) for value in decimals]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks(Columns):
    """Blocks of one kind with the same columns, read together: their columns lie end to end.

    `_ng` and `raw_` columns hold the decimal strings that came, judged.
    """

    metas: list[dict[str, Any]]
    """What each says once."""
    counts: list[int]
    """How many rows each has."""

    def decimals(self, name: str) -> list[str]:
        """A column of decimal strings. Raises Malformed when it is missing or holds null."""
        values = self.optional_decimals(name)
        if None in values:
            raise Malformed(f"column {name} of kind {self.kind} must not hold null")
        return values  # type: ignore[return-value]  # just shown to hold no None

    def optional_decimals(self, name: str) -> list[str | None]:
        """A column of decimal strings, nulls as None. Raises Malformed when it is missing."""
        if name not in self.columns:
            raise Malformed(f"kind {self.kind} needs a column {name}")
        return self.columns[name]  # type: ignore[return-value]  # was judged by its name


def decode_blocks(bodies: Sequence[bytes], parsed: Sequence[dict[str, Any]]) -> list[tuple[list[int], Blocks]]:
    """Many bodies at once, which takes a fraction of the time: those that are alike, with their places in `bodies`.

    `parsed` is what they are as JSON. Raises Malformed, without saying for which of them, when there is one that
    `decode_block` refuses.
    """
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, block in enumerate(parsed):
        kind, meta, coded = block.get("kind"), block.get("meta"), block.get("columns")
        if len(block) != 3 or not isinstance(kind, str) or not isinstance(meta, dict) or not isinstance(coded, dict):
            raise Malformed('a block has exactly "columns" (object), "kind" (string) and "meta" (object)')
        alike.setdefault((kind, *coded), []).append(place)
    try:
        return [
            (places, _together(kind, names, [parsed[place] for place in places], [bodies[place] for place in places]))
            for (kind, *names), places in alike.items()
        ]
    except ValueError as error:
        raise Malformed(str(error)) from None
    except RecursionError:
        raise Malformed("a block is nested too deeply") from None


def _together(kind: str, names: list[str], blocks: list[dict[str, Any]], bodies: list[bytes]) -> Blocks:
    text = b"[" + b",".join(bodies) + b"]"
    if not _is_surely_canonical(blocks, text):
        for block in blocks:
            _require_exact(block, kind)
        if canonical(blocks) != text:
            raise ValueError(f"kind {kind} is not canonical JSON (sorted keys, no spaces, UTF-8)")
    columns: dict[str, list[Cell]] = {}
    counts = None
    for name in names:
        parts = [block["columns"][name] for block in blocks]
        columns[name] = _decode_column(name, parts)
        if counts not in (None, lengths := list(map(len, parts))):
            raise ValueError(f"columns of kind {kind} differ in length")
        counts = lengths
    metas = [block["meta"] for block in blocks]
    return Blocks(kind=kind, metas=metas, columns=columns, counts=counts or [0] * len(blocks))


def _is_surely_canonical(blocks: list[dict[str, Any]], text: bytes) -> bool:
    """False unless the text is what `canonical` makes of it, with numbers that every JSON reader keeps."""
    try:
        if orjson.dumps(blocks, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER) != text:
            return False
    except orjson.JSONEncodeError:  # one of 2**53 or more
        return False
    # Without its digits, a fraction begins with its point or its e. A word may look so: then we are not sure.
    bare = text.translate(_COMMAS, b"-0123456789")
    return b",." not in bare and b",e" not in bare


def canonical(value: object) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8 without needless escapes: one value, one run of bytes."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"this cannot be written as JSON: {error}") from None


def _parse(text: bytes, what: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Malformed(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not a JSON object")
    return value


def _is_wide(name: str) -> bool:
    return name.endswith("_ng") or name.startswith("raw_")


def _encode_column(name: str, values: Sequence[Cell]) -> list[Cell]:
    if name in DELTA:
        times = [_exact(name, value) for value in values]
        return [*times[:1], *(after - before for before, after in pairwise(times))]
    if _is_wide(name):
        return [None if value is None else _to_decimal(name, value) for value in values]
    return [_cell(name, value) for value in values]


def _decode_column(name: str, parts: list[Any]) -> list[Cell]:
    """A column that lies in parts. Judged as a whole, and by cell only to say which one is wrong."""
    if set(map(type, parts)) != {list}:
        raise ValueError(f"column {name} is not a list")
    values = list(chain.from_iterable(parts))
    types = set(map(type, values))
    if name in DELTA:
        if types <= {int}:
            values = list(chain.from_iterable(map(accumulate, parts)))
        return values if types <= {int} and _in_range(values) else [_exact(name, value) for value in values]
    if _is_wide(name):
        if types <= {str, type(None)}:
            texts = values if types <= {str} else [value for value in values if value is not None]
            text = "\n".join([*texts, ""])
            if text.count("\n") == len(texts) and _DECIMALS.fullmatch(text):
                return values
        return [None if value is None else _decimal(name, value) for value in values]
    return values if types <= _CELLS else [_cell(name, value) for value in values]


def _in_range(values: list[int]) -> bool:
    return not values or -EXACT_LIMIT < min(values) <= max(values) < EXACT_LIMIT


def _cell(name: str, value: object) -> Cell:
    if value is None or isinstance(value, str):
        return value
    return _whole(name, value)


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"column {name} holds {reprlib.repr(value)}, which is not a whole number")
    return value


def _exact(name: str, value: object) -> int:
    t = _whole(name, value)
    if not -EXACT_LIMIT < t < EXACT_LIMIT:
        raise ValueError(f"column {name} holds {t}, which is beyond 2**53")
    return t


def _to_decimal(name: str, value: object) -> str:
    text = str(_whole(name, value))
    if not DECIMAL.fullmatch(text):
        raise ValueError(f"column {name} holds a number of more than 40 digits")
    return text


def _decimal(name: str, value: object) -> str:
    if not isinstance(value, str) or not DECIMAL.fullmatch(value):
        raise ValueError(f"column {name} holds {reprlib.repr(value)}, which is not a decimal string")
    return value


def _require_exact(value: object, place: str) -> None:
    """Raises ValueError, naming the place, where some JSON reader could read another value than was meant."""
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{place} has the key {reprlib.repr(key)}, which is not text")
            _require_exact(part, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        # Nearly all parts are cells of columns: those are judged together, without a call for each.
        types = set(map(type, value))
        if types <= _CELLS and _in_range([part for part in value if type(part) is int]):
            return
        for part in value:
            if part is not None and type(part) is not str:
                _require_exact(part, place)
    elif isinstance(value, int):
        if not -EXACT_LIMIT < value < EXACT_LIMIT:
            raise ValueError(
                f"{place} holds {reprlib.repr(value)}, which is beyond 2**53 and not exact as a JSON number"
            )
    elif value is not None and not isinstance(value, str):
        raise ValueError(f"{place} holds {reprlib.repr(value)}, which JSON readers do not keep exactly")
