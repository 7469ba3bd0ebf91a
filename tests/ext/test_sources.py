"""The compiled carbon part has no floating type. Its sources are read: the C made of them proves nothing,
since Cython's own boilerplate has doubles in it."""

import re
from pathlib import Path

import pytest

import ext

FOLDER = Path(ext.__file__).parent
DECODING = "_decode.pyx"  # values for display
CARBON = sorted(p.name for p in FOLDER.iterdir() if p.suffix in {".pyx", ".pxd", ".pxi"} and p.name != DECODING)
FLOATING = re.compile(r"\b(float|double|libc\.math|pow|as_doubles|as_floats|\d+\.\d|\d+e-?\d+)\b|(?<!/)/(?!/)")


def code(name: str) -> str:
    """The source without comments, texts and the like."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    text = re.sub(r'"""(?!\n    typedef).*?"""', "", text, flags=re.DOTALL)
    return re.sub(r'#.*|f?"[^"\n]*"', "", text)


def test_the_carbon_part_is_where_it_is_thought_to_be():
    assert {"_core.pyx", "_counter.pxi", "_judgement.pxi", "_power.pxi", "_arithmetic.pxi"} <= set(CARBON)


@pytest.mark.parametrize("name", CARBON)
def test_no_floating_type_in_the_carbon_part(name):
    assert FLOATING.findall(code(name)) == []


@pytest.mark.parametrize("line", ["cdef double x", "x = <float>y", "x = a / b", "from libc.math cimport x", "x = 1.5"])
def test_the_search_finds_what_it_looks_for(line):
    assert FLOATING.search(line)


@pytest.mark.parametrize("name", [*CARBON, DECODING])
def test_no_type_whose_size_depends_on_the_machine(name):
    # `long long` only where Cython is told of the 128-bit type.
    found = re.findall(r"(?<!ctypedef long )(?<!ctypedef )\blong\b|\bcdef char\b", code(name))
    assert found == []


def test_the_build_keeps_to_strict_arithmetic():
    setup = (FOLDER.parent / "setup.py").read_text(encoding="utf-8")
    assert "-ffp-contract=off" in setup
    assert "fast-math" not in setup
