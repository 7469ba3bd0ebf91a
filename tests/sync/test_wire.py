import gzip
import json
import lzma
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.errors import Malformed, TooLarge
from sync.messages import GENESIS, Batch, Record, chain
from sync.wire import (
    MAX_INFLATED_BYTES,
    MAX_PACKED_BYTES,
    MAX_RECORDS,
    canonical,
    decode_batch,
    decode_block,
    decode_blocks,
    encode_batch,
    encode_block,
    gzipped,
    inflate,
    tightly_gzipped,
    xzed,
)
from tests.scale import scaled

EXACT = 2**53 - 1
WIDE = 2**53 + 1

HEADER = {
    "v": 1,
    "gateway": "qiyang-01",
    "epoch": "00c0ffee00c0ffee",
    "stream": "ledger",
    "first_seq": 1,
    "count": 1,
    "hash_before": "00" * 32,
    "hash_after": "11" * 32,
}


def pack(*lines, header=HEADER):
    return gzip.compress(b"".join(line + b"\n" for line in (canonical(header), *lines)))


# batches


def test_a_batch_is_gzip_json_lines_with_the_bodies_byte_for_byte(make_batch):
    batch = make_batch([b'{"kind":"test"}', '{"kind":"test","n":"呼吸"}'.encode()], first_seq=7)
    header, first, second, end = gzip.decompress(encode_batch(batch)).split(b"\n")
    assert json.loads(header) == HEADER | {
        "first_seq": 7,
        "count": 2,
        "hash_before": GENESIS.hex(),
        "hash_after": batch.hash_after.hex(),
    }
    assert (first, second, end) == (batch.records[0].body, batch.records[1].body, b"")


def test_the_same_batch_gives_the_same_bytes(make_batch):
    assert encode_batch(make_batch()) == encode_batch(make_batch())


def test_a_body_with_a_newline_is_refused_before_it_breaks_the_framing(make_batch):
    with pytest.raises(ValueError, match="ledger/1 has a newline"):
        encode_batch(make_batch([b'{"kind":\n"test"}']))


names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
texts = st.text(st.characters(exclude_categories=["Cs"]))


@st.composite
def batches(draw):
    stream, first_seq = draw(names), draw(st.integers(1, EXACT))
    before = h = draw(st.binary(min_size=32, max_size=32))
    records = []
    for seq, (kind, text) in enumerate(draw(st.lists(st.tuples(names, texts), min_size=1, max_size=5)), first_seq):
        body = canonical({"kind": kind, "text": text})
        h = chain(h, seq, body)
        records.append(Record(stream=stream, seq=seq, kind=kind, body=body))
    return Batch(
        gateway=draw(names),
        epoch=f"{draw(st.integers(0, 2**64 - 1)):016x}",
        stream=stream,
        first_seq=first_seq,
        hash_before=before,
        hash_after=h,
        records=tuple(records),
    )


@pytest.mark.slow
@given(batches())
def test_batches_round_trip(batch):
    assert decode_batch(encode_batch(batch)) == batch


@given(st.binary(max_size=200))
def test_noise_is_malformed_and_nothing_worse(noise):
    with pytest.raises(Malformed):
        decode_batch(noise)
    with pytest.raises(Malformed):
        decode_batch(gzip.compress(noise))


@given(st.data(), batches())
def test_a_damaged_batch_never_passes_for_another(data, batch):
    packed = bytearray(encode_batch(batch))
    position = data.draw(st.integers(0, len(packed) - 1))
    packed[position] ^= data.draw(st.integers(1, 255))
    with suppress(Malformed):
        # some bytes of the gzip header (its clock, its system) carry nothing
        assert decode_batch(bytes(packed)) == batch


def test_every_truncation_is_malformed(make_batch):
    packed = encode_batch(make_batch([b'{"kind":"test"}'] * 3))
    for length in range(len(packed)):
        with pytest.raises(Malformed):
            decode_batch(packed[:length])


def test_a_bomb_is_stopped_at_the_limit():
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    assert len(bomb) < MAX_PACKED_BYTES
    with pytest.raises(TooLarge, match=f"inflates to more than {MAX_INFLATED_BYTES}"):
        decode_batch(bomb)


def test_a_batch_of_exactly_the_inflated_limit_passes():
    frame = len(canonical(HEADER)) + 1 + len(b'{"kind":"test","x":""}\n')
    body = b'{"kind":"test","x":"' + b"a" * (MAX_INFLATED_BYTES - frame) + b'"}'
    assert decode_batch(pack(body)).records[0].body == body
    with pytest.raises(TooLarge):
        decode_batch(pack(body[:-2] + b'a"}'))


def test_packed_bytes_beyond_the_limit_are_not_even_inflated():
    with pytest.raises(TooLarge, match="packed"):
        decode_batch(bytes(MAX_PACKED_BYTES + 1))


def test_too_many_records():
    with pytest.raises(TooLarge, match=f"{MAX_RECORDS} are allowed"):
        decode_batch(pack(*[b'{"kind":"t"}'] * (MAX_RECORDS + 1), header=HEADER | {"count": MAX_RECORDS + 1}))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"v": 2}, "version 2"),
        ({"v": True}, "v must be a whole number"),
        ({"gateway": "a/b"}, "gateway"),
        ({"gateway": 7}, "gateway"),
        ({"epoch": "xyz"}, "epoch"),
        ({"stream": ""}, "stream"),
        ({"first_seq": 0}, "first_seq"),
        ({"first_seq": 1.0}, "first_seq"),
        ({"first_seq": 2**53}, "first_seq"),
        ({"count": 0}, "count"),
        ({"count": 2}, "announces 2 records"),
        ({"hash_before": "00"}, "hash_before"),
        ({"hash_after": "GG" * 32}, "hash_after"),
        ({"extra": 1}, "exactly the keys"),
    ],
)
def test_a_wrong_header_is_named(change, text):
    with pytest.raises(Malformed, match=text):
        decode_batch(pack(b'{"kind":"test"}', header=HEADER | change))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"kind":1}',
        b'{"kind":""}',
        b'{"kind":"a b"}',
        b"not json",
        b"\xff\xfe",
        '{"kind":"test"}'.encode("utf-16"),
        b"[" * 100_000,
    ],
)
def test_a_body_without_a_kind_is_malformed(body):
    with pytest.raises(Malformed):
        decode_batch(pack(body))


def test_bytes_after_the_end_are_malformed():
    with pytest.raises(Malformed, match="after the end"):
        decode_batch(pack(b'{"kind":"test"}') + b"more")
    with pytest.raises(Malformed, match="number of lines"):
        decode_batch(pack(b'{"kind":"test"}', b'{"kind":"test"}'))


# blocks


def test_a_block_as_bytes():
    body = encode_block(
        "intervals",
        {"registers": [["pv", "yield", "generation", "mWh"]]},
        {
            "t0": [1000, 2000],
            "t1": [2000, 3000],
            "energy_mWh": [5, None],
            "raw_end": [WIDE, None],
            "emitted_ng": [-WIDE, 0],
        },
    )
    assert body == (
        b'{"columns":{"emitted_ng":["-9007199254740993","0"],"energy_mWh":[5,null],'
        b'"raw_end":["9007199254740993",null],"t0":[1000,1000],"t1":[2000,1000]},"kind":"intervals",'
        b'"meta":{"registers":[["pv","yield","generation","mWh"]]}}'
    )


whole = st.integers(-EXACT, EXACT)
wide = st.none() | st.integers(-(10**40) + 1, 10**40 - 1)
times = st.integers(0, 2**50)


@given(st.lists(st.tuples(times, times, wide, wide, st.none() | whole | texts), max_size=20), texts, whole)
def test_blocks_round_trip(rows, text, number):
    names = ("t0", "t1", "baseline_ng", "raw_begin", "other")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    meta = {"text": text, "number": number, "nested": [{"deep": None, "flag": True}]}
    body = encode_block("test", meta, columns)
    block = decode_block(body)
    assert (block.kind, block.meta, block.columns, block.rows) == ("test", meta, columns, len(rows))
    assert b"\n" not in body
    assert canonical(json.loads(body)) == body


@pytest.mark.parametrize("name", ["emitted_ng", "baseline_ng", "raw_begin", "raw_end"])
@pytest.mark.parametrize("value", [WIDE, -WIDE, 2**63, 2**64 + 1, 10**40 - 1])
def test_wide_numbers_travel_as_text_and_come_back_exact(name, value):
    body = encode_block("test", {}, {name: [value]})
    assert json.loads(body)["columns"][name] == [str(value)]
    assert decode_block(body).ints(name) == [value]


@pytest.mark.parametrize("value", [2**53, WIDE, -(2**53)])
def test_a_number_that_would_be_rounded_somewhere_is_refused_not_rounded(value):
    for columns in ({"energy_mWh": [value]}, {"t0": [value]}):
        with pytest.raises(ValueError, match="2\\*\\*53"):
            encode_block("test", {}, columns)
    with pytest.raises(ValueError, match="2\\*\\*53"):
        encode_block("test", {"t_ms": value}, {})


@pytest.mark.parametrize(
    ("meta", "columns"),
    [
        ({}, {"a": [1.0]}),
        ({}, {"a": [True]}),
        ({}, {"t0": [None]}),
        ({}, {"t0": [1.5]}),
        ({}, {"raw_a": ["1"]}),
        ({}, {"a_ng": [1.0]}),
        ({}, {"a_ng": [10**40]}),
        ({}, {"a": [1], "b": [1, 2]}),
        ({"x": 0.5}, {}),
        ({"x": [float("nan")]}, {}),
        ({1: 2}, {}),
        ({"x": b"bytes"}, {}),
        ({"x": "\ud800"}, {}),
    ],
)
def test_what_cannot_travel_exactly_is_a_value_error(meta, columns):
    with pytest.raises(ValueError):
        encode_block("test", meta, columns)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"kind":"a","meta":{}}',
        b'{"columns":[],"kind":"a","meta":{}}',
        b'{"columns":{},"kind":"a","meta":{},"more":1}',
        b'{"columns":{}, "kind":"a","meta":{}}',
        b'{"kind":"a","columns":{},"meta":{}}',
        b'{"columns":{},"kind":"\\u0061","meta":{}}',
        b'{"columns":{},"kind":"a","meta":{"x":1,"x":1}}',
        b'{"columns":{},"kind":"a","meta":{"x":NaN}}',
        b'{"columns":{},"kind":"a","meta":{"x":1.0}}',
        b'{"columns":{},"kind":"a","meta":{"x":9007199254740993}}',
        b'{"columns":{},"kind":"a","meta":{"x":"\\ud800"}}',
        b'{"columns":{"a":1},"kind":"a","meta":{}}',
        b'{"columns":{"a":[true]},"kind":"a","meta":{}}',
        b'{"columns":{"a":[[]]},"kind":"a","meta":{}}',
        b'{"columns":{"a":[1],"b":[]},"kind":"a","meta":{}}',
        b'{"columns":{"a_ng":[1]},"kind":"a","meta":{}}',
        b'{"columns":{"a_ng":["01"]},"kind":"a","meta":{}}',
        b'{"columns":{"a_ng":["-0"]},"kind":"a","meta":{}}',
        b'{"columns":{"a_ng":["1e3"]},"kind":"a","meta":{}}',
        b'{"columns":{"t0":["1"]},"kind":"a","meta":{}}',
        b'{"columns":{"t0":[9007199254740991,1]},"kind":"a","meta":{}}',
    ],
)
def test_what_the_codec_cannot_have_written_is_malformed(body):
    with pytest.raises(Malformed):
        decode_block(body)


def test_depth_ends_in_malformed_wherever_the_stack_ends():
    outcomes = set()
    for depth in (1, *range(800, 1010), 100_000):
        body = b'{"columns":{},"kind":"a","meta":{"x":' + b"[" * depth + b"]" * depth + b"}}"
        try:
            outcomes.add(decode_block(body).kind)
        except Malformed:
            outcomes.add("malformed")
    assert outcomes == {"a", "malformed"}


def test_columns_are_asked_for_by_type():
    block = decode_block(encode_block("test", {}, {"n": [1, None], "s": ["a", "b"], "m": [1, 2]}))
    assert block.ints("m") == [1, 2]
    assert block.optional_ints("n") == [1, None]
    with pytest.raises(Malformed, match="column n of kind test must not hold null"):
        block.ints("n")
    with pytest.raises(Malformed, match="column s of kind test must hold whole numbers"):
        block.ints("s")
    with pytest.raises(Malformed, match="kind test needs a column z"):
        block.ints("z")


@pytest.mark.parametrize("pack", [gzipped, tightly_gzipped, xzed])
def test_every_coding_comes_back(make_batch, pack):
    batch = make_batch([b'{"kind":"test","n":%d}' % n for n in range(50)])
    assert decode_batch(encode_batch(batch, pack)) == batch


@pytest.mark.parametrize("pack", [gzipped, xzed])
def test_bombs_of_every_coding_are_refused_in_bounded_memory(pack):
    with pytest.raises(TooLarge, match="inflates to more"):
        inflate(pack(b" " * (MAX_INFLATED_BYTES + 1)))


def test_an_xz_stream_that_wants_much_memory_is_refused():
    greedy = lzma.compress(b"text", filters=[{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 28}])
    with pytest.raises(Malformed, match="not xz"):
        inflate(greedy)


@pytest.mark.parametrize("cut", [6, 20, -1])
def test_an_xz_stream_that_is_cut_off_is_refused(cut):
    with pytest.raises(Malformed, match="cut off"):
        inflate(xzed(b"text" * 100)[:cut])


@pytest.mark.parametrize("text", [",.5", ":.", "a,e", "[e1", "1,5e3", "0.5", "e", "呼,.吸"])
def test_words_that_look_like_fractions_are_words(text):
    meta = {"note": text, "list": [text, [text]], text: 1}
    block = decode_block(encode_block("test", meta, {"s": [text, None], "n": [1, 2**53 - 1]}))
    assert (block.meta, block.columns) == (meta, {"s": [text, None], "n": [1, 2**53 - 1]})


@settings(max_examples=scaled(200, 20_000), deadline=None)
@given(
    json_value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    )
)
def test_canonical_is_what_the_standard_library_writes(json_value):
    """Bodies of earlier versions keep their bytes, and so their hashes."""
    plain = json.dumps(json_value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        expected = plain.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError, match="cannot be written"):
            canonical(json_value)
    else:
        assert canonical(json_value) == expected


def test_blocks_read_together_are_what_each_is_alone():
    bodies = [
        encode_block("a", {"n": n}, {"t0": [n, n + 5], "emitted_ng": [None, 2**70 + n], "s": ["x", n]})
        for n in range(5)
    ]
    bodies.insert(2, encode_block("a", {}, {"t0": [7]}))
    bodies.insert(4, encode_block("b", {}, {}))
    found = decode_blocks(bodies, [json.loads(body) for body in bodies])
    assert [places for places, _ in found] == [[0, 1, 3, 5, 6], [2], [4]]
    for places, blocks in found:
        alone = [decode_block(bodies[place]) for place in places]
        assert blocks.metas == [block.meta for block in alone]
        assert blocks.counts == [block.rows for block in alone]
        for name, values in blocks.columns.items():
            wanted = [value for block in alone for value in block.columns[name]]
            assert [int(v) if v and name == "emitted_ng" else v for v in values] == wanted
