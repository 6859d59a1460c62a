"""Loads the compiled operators into ``torch.ops.gsplat_core``."""

from __future__ import annotations

import os
from pathlib import Path

import torch

# GSPLAT_LIBRARY names another build of the same operators, such as the one with sanitizers (`make sanitize`).
PATH = Path(os.environ.get("GSPLAT_LIBRARY") or Path(__file__).resolve().parent.parent / "_ops.abi3.so")


def _load() -> None:
    if not PATH.exists():
        raise ImportError(
            f"gsplat_core's compiled operators are missing: {PATH}. Build them with `pip install .` "
            "(or `make build` in a checkout)."
        )
    torch.ops.load_library(str(PATH))


_load()
