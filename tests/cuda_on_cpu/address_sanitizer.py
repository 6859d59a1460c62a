"""Python processes in which libraries of the flavour ``address`` can be loaded."""

from __future__ import annotations

import os
import subprocess


def environment() -> dict[str, str]:
    """Python is built without the sanitizer, so its library is loaded ahead of everything. What Python and
    PyTorch keep until the process ends is no leak of ours."""
    compiler = os.environ.get("CXX", "c++").split()
    libraries = [
        subprocess.run([*compiler, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    return os.environ | {"LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"}
