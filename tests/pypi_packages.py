"""Programs from PyPI; their versions are those of requirements.txt.

They have a folder of their own, so that what they need (another NumPy, say) does not meet what the tests run
in, and run in processes of their own. The tests skip where there is no build of them for this Python.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import package_cache

PACKAGES = Path(__file__).parent / "interop" / "requirements.txt"


@dataclass(frozen=True)
class PyPI:
    """An installation of the packages."""

    folder: Path

    def script(self, text: str, *arguments: object) -> str:
        """Runs a program that can import the packages; what it prints."""
        # Their just-in-time compiler would take seconds for what the interpreter does at once.
        environment = os.environ | {"PYTHONPATH": str(self.folder), "NUMBA_DISABLE_JIT": "1"}
        path = package_cache.script(self.folder, text, ".py")
        return package_cache.output_of([sys.executable, path, *arguments], self.folder, environment)


def installed() -> PyPI:
    """The packages, installed if they are not yet; skips the calling test where that cannot be done."""
    tag = f"pypi-{sys.version_info.major}.{sys.version_info.minor}"
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install"]
    options = ["--only-binary", ":all:", "--target", ".", "-r", PACKAGES.name]
    return PyPI(package_cache.installed(tag, PACKAGES, [*pip, *options]))
