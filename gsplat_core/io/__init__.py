"""Files of splats: `load` by content, `save` by ending; `export_verified` reads back what it wrote.

`load_pieces` and `export_pieces` do the same with scenes that need not fit into memory.
"""

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
