"""The compiled core. Everything else about the distribution is in pyproject.toml.

HUXI_PURE_PYTHON=1 builds without it; otherwise a core that cannot be compiled fails the build.
"""

import os
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

FLAGS = ["-O3", "-ffp-contract=off"]


class BuildCore(build_ext):
    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except (BaseError, CCompilerError, OSError) as error:
            raise SystemExit(
                f"huxi: the compiled core {ext.name} cannot be built: {error}\n"
                "huxi: install a C compiler and the headers of Python on a 64-bit system (Debian: "
                "apt install gcc libc6-dev python3-dev), or set HUXI_PURE_PYTHON=1 to do without the core"
            ) from error


def extensions() -> list[Extension]:
    if os.environ.get("HUXI_PURE_PYTHON") == "1":
        return []
    from Cython.Build import cythonize  # not needed, and perhaps not there, without the core

    included = sorted(glob("ext/*.px[di]"))
    modules = [
        Extension(f"ext.{name}", [f"ext/{name}.pyx"], depends=included, extra_compile_args=FLAGS)
        for name in ("_core", "_decode")
    ]
    return cythonize(modules, build_dir="build/cython")


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildCore})
