"""Packages the operators that ``csrc/build_ops.py`` compiles; everything else is in ``pyproject.toml``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent / "csrc"))
import build_ops


class BuildOps(build_ext):
    """Compiles with ninja instead of setuptools and puts the library where setuptools expects it."""

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(build_ops.build(), target)


setup(
    ext_modules=[Extension("gsplat_core._ops", sources=[], py_limited_api=True)],
    cmdclass={"build_ext": BuildOps},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
