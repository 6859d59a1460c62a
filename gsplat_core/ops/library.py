"""Loads the compiled operators into ``torch.ops.gsplat_core``."""

from __future__ import annotations

from pathlib import Path

import torch

PATH = Path(__file__).resolve().parent.parent / "_ops.abi3.so"


def _load() -> None:
    if not PATH.exists():
        raise ImportError(
            f"gsplat_core's compiled operators are missing: {PATH}. Build them with `pip install .` "
            "(or `make build` in a checkout)."
        )
    torch.ops.load_library(str(PATH))


_load()
