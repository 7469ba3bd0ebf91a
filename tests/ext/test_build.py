"""Building the core: without a compiler it fails and says what to do, unless it is not wanted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ext

ROOT = Path(ext.__file__).parents[1]


def build(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "setup.py", "build_ext", "--force"]
    command += ["--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "temp")]
    known = {name: value for name, value in os.environ.items() if name != "HUXI_PURE_PYTHON"}
    return subprocess.run(command, cwd=ROOT, env=known | environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_build_without_compiler_fails_with_a_remedy(tmp_path):
    done = build(tmp_path, CC=str(tmp_path / "no-compiler"))
    assert done.returncode != 0
    assert "huxi: the compiled core ext._core cannot be built" in done.stderr
    assert "HUXI_PURE_PYTHON=1" in done.stderr
    assert not (tmp_path / "lib").exists()


def test_a_pure_build_needs_no_compiler(tmp_path):
    done = build(tmp_path, CC=str(tmp_path / "no-compiler"), HUXI_PURE_PYTHON="1")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "lib").exists()


def test_the_program_needs_no_numpy():
    # It is there for the benchmarks only, and costs 13 MiB of memory.
    assert "numpy" not in (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")
    assert "numpy" in (ROOT / "requirements" / "dev.in").read_text(encoding="utf-8")
    loaded = "import sys, ext; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=False).returncode == 0
