"""``gsplat.cuda._wrapper``, from which many programs import what ``gsplat`` has, too."""

from __future__ import annotations

from typing import Any

from gsplat_core.compat import gsplat_package


def __getattr__(name: str) -> Any:
    return getattr(gsplat_package, name)
