"""Lines of keys in a TOML text, against what tomllib reads from it."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from drivers.toml_lines import key_lines

VALUES = [
    "1",
    "-0x1F",
    "1979-05-27 07:32:00",
    "nan",
    '"# no comment [x] {y} \\" z"',
    "'C:\\temp # [x]'",
    '"""two\nlines \\""" and ""quotes"" """',
    '"""ends with quotes"""""',
    "'''raw\n\n''three'' # lines'''",
    "'''ends with one''''",
    '""',
    '""""""',
    "[]",
    "[1, 2]",
    '[\n  "a",  # one\n  # two\n  ["b", "]"],\n]',
    "{}",
    '{ x = 1, y.z = "}", "q u" = [\n 1,\n 2] }',
    "[{ a = 1 },\n { a = [2] }]",
]
NAMES = st.sampled_from(["a", "b-1", "2", '"q.d"', "'l it'", '"\\u00e9 # ["', "a.b", ' a . "c" '])
GAPS = st.sampled_from(["", "\n", "# [comment] = 'x\n", '   \t# "\n\n', "\r\n"])


@st.composite
def documents(draw: st.DrawFn) -> str:
    """TOML texts with every way to write a table, a key and a value, one table after another."""
    parts = []
    for number in range(draw(st.integers(1, 4))):
        header = draw(st.sampled_from(["[t{n}]", "[[list]]", "[ list . sub{n} ]", '[t{n}."x.y"]', "[[list.deep]]"]))
        parts.append((header if parts else "[[list]]").format(n=number) + draw(st.sampled_from(["", " # [no]"])))
        names = draw(st.lists(NAMES, max_size=3))
        parts += [draw(GAPS) + f"{name} = {draw(st.sampled_from(VALUES))}" for name in names]
    return draw(GAPS) + "\n".join(parts) + draw(GAPS)


def paths(node: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return {path} | {found for key, item in items for found in paths(item, (*path, key))}


@given(documents())
def test_every_path_of_the_document_has_a_line_and_nothing_else(text):
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        reject()  # the same key twice
    lines = key_lines(text)
    assert set(lines) == paths(document) - {()}
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@given(st.lists(st.sampled_from(VALUES), min_size=1), GAPS)
def test_a_key_stands_where_its_marker_is(values, gap):
    text = "".join(f"{gap}key{number} = {value}\n" for number, value in enumerate(values))
    lines = key_lines(text)
    for number in range(len(values)):
        start = text.index(f"key{number} =")
        assert lines[f"key{number}",] == text.count("\n", 0, start) + 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 1),
        (("a", "b", "c"), 1),
        (("point",), 3),
        (("point", 0), 3),
        (("point", 0, "name"), 4),
        (("point", 0, "counter", "flow"), 6),
        (("point", 1), 8),
        (("point", 1, "valid", 1), 11),
        (("point", 1, "counter", "flow"), 13),
    ],
)
def test_lines_of_a_profile(path, line):
    text = """\
a.b.c = 1

[[point]]
name = "x"
[point.counter]
flow = "import"

[[point]]
valid = [
  1,
  2,
]
counter = { flow = "export" }
"""
    assert key_lines(text)[path] == line
