"""Files of splats: `load` by content, `save` by ending; `export_verified` reads back what it wrote.

`load_pieces` and `export_pieces` do the same with scenes that need not fit into memory.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gsplat_core.io.export import export_pieces, export_verified
    from gsplat_core.io.format import DataWarning, Format
    from gsplat_core.io.registry import FORMATS, format_of, format_of_file, load, load_pieces, save

__all__ = [
    "FORMATS",
    "DataWarning",
    "Format",
    "export_pieces",
    "export_verified",
    "format_of",
    "format_of_file",
    "load",
    "load_pieces",
    "save",
]

_EXPORT = ("export_pieces", "export_verified")


def __getattr__(name: str) -> Any:
    """Imports them on first use, so that telling what a file is, or writing a JSON, loads no PyTorch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "export" if name in _EXPORT else "registry"  # which has all of `format`, too
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
