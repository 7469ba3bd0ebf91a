"""The choice between the twins, and that they look alike."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ext
from ext import _twin as twin

ROOT = Path(ext.__file__).parents[1]
PURE = os.environ.get("HUXI_PURE_PYTHON") == "1"
needs_core = pytest.mark.skipif(PURE, reason="HUXI_PURE_PYTHON=1 asks for no core")


def import_ext(before: str, pure: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; {before}; import ext; print(ext.IMPLEMENTATION)"
    environment = {"HUXI_PURE_PYTHON": pure, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_core
def test_the_compiled_core_is_there_and_chosen():
    assert ext.IMPLEMENTATION == "cython"
    assert ext.CounterTable.__module__ == "ext._core"


def test_the_plain_twin_is_chosen_when_asked_for():
    done = import_ext("pass", "1")
    assert (done.returncode, done.stdout) == (0, "python\n")


def test_a_missing_core_is_an_error_with_a_remedy():
    done = import_ext("sys.modules['ext._core'] = None", "")
    assert done.returncode != 0
    assert "ImportError: huxi's compiled core cannot be loaded" in done.stderr
    assert "run `make setup`, or set HUXI_PURE_PYTHON=1" in done.stderr


def test_a_missing_core_does_not_matter_to_the_plain_twin():
    assert import_ext("sys.modules['ext._core'] = None", "1").stdout == "python\n"


def parameters(function: object) -> list[tuple[str, object]]:
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


@needs_core
def test_names_and_signatures_are_the_same():
    from ext import _core as core

    for name in twin.__all__:
        ours, theirs = getattr(twin, name), getattr(core, name)
        if not inspect.isclass(ours):
            assert parameters(ours) == parameters(theirs), name
            continue
        methods = [n for n in vars(ours) if not n.startswith("_")]
        assert methods == [n for n in vars(theirs) if not n.startswith("_")], name
        for method in methods:
            assert parameters(getattr(ours, method)) == parameters(getattr(theirs, method)), method


def test_constructors_take_the_same_names(core):
    core.BlockDecoder(specs=[], count=3)
    core.CounterTable(specs=[])
    core.PowerTable(max_gap_ms=[])
    for wrong in (core.CounterTable, core.PowerTable, core.BlockDecoder):
        with pytest.raises(TypeError):
            wrong(other=[])


def test_the_facade_exports_what_it_says():
    assert sorted(ext.__all__) == sorted(set(ext.__all__))
    assert set(twin.__all__) < set(ext.__all__)
    for name in ext.__all__:
        assert hasattr(ext, name)
