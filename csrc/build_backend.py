"""The PEP 517 build backend: setuptools, plus one question answered late.

Compiling needs PyTorch's headers. Writing ``torch`` into ``build-system.requires`` would make every isolated
build download a PyTorch of its own, several gigabytes with CUDA, although any one new enough gives the
same library. So it is required only when the environment that the build is for has no usable PyTorch.
"""

from __future__ import annotations

from typing import Any

import build_ops
from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  (all hooks that need no change)


def _torch_requirement() -> list[str]:
    """The PyTorch that the project is tested with, from constraints.txt, unless one is there already."""
    if build_ops.find_torch() is not None:
        return []
    lines = (build_ops.ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line.startswith("torch==")]


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return build_meta.get_requires_for_build_wheel(config_settings) + _torch_requirement()


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    return build_meta.get_requires_for_build_editable(config_settings) + _torch_requirement()
