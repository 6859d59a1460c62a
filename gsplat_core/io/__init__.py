"""Files of splats: `load` by content, `save` by ending; `export_verified` reads back what it wrote."""

from gsplat_core.io.export import export_verified
from gsplat_core.io.format import DataWarning, Format
from gsplat_core.io.registry import FORMATS, format_of, format_of_file, load, save

__all__ = [
    "FORMATS",
    "DataWarning",
    "Format",
    "export_verified",
    "format_of",
    "format_of_file",
    "load",
    "save",
]
