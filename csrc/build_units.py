"""Which translation units the kernels have: what is compiled once for each response of ``raster/variants.h``.

A kernel of ``cpu/kernels/response`` or ``cuda/response`` is one source and as many objects as there are
responses, so that a new response needs no copy of it, and a change of one response compiles nothing else.

GSPLAT_BUILD_OVERLAY in the environment names folders of headers that stand ahead of ``csrc``: a build with
more variants than ours has their headers and its own ``raster/variants.h`` there (``tests/recipes``).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

CSRC = Path(__file__).resolve().parent
OVERLAY = tuple(
    Path(folder).resolve()
    for folder in os.environ.get("GSPLAT_BUILD_OVERLAY", "").split(os.pathsep)
    if folder
)
INCLUDES = (*OVERLAY, CSRC)
"""Where headers are looked for, in this order."""
VARIANTS = next(path for folder in INCLUDES if (path := folder / "raster" / "variants.h").exists())


@dataclass(frozen=True)
class Unit:
    """A source, the flags that choose its variant, and what its object is called besides the source."""

    source: Path
    flags: tuple[str, ...] = ()
    suffix: str = ""


def responses(variants: Path = VARIANTS) -> dict[str, str]:
    """The struct of each response by its name."""
    listed = re.search(r"#define GSPLAT_RESPONSES\(V.*?\)((?:.*\\\n)*.*\n)", variants.read_text())
    found = dict(re.findall(r"\bV\((\w+), (\w+)", listed[1])) if listed else {}
    if not found:
        raise SystemExit(f"{variants} has no list GSPLAT_RESPONSES of lines `V(name, Type ...)`.")
    return found


def kernel_units(folder: str, ending: str) -> list[Unit]:
    """Those of all sources ``csrc/FOLDER/*.ENDING``, and of those of its folder ``response`` for each
    response."""
    units = [Unit(source) for source in sorted(CSRC.glob(f"{folder}/*.{ending}"))]
    for source in sorted(CSRC.glob(f"{folder}/response/*.{ending}")):
        units += [
            Unit(source, (f"-DGSPLAT_RESPONSE={name}", f"-DGSPLAT_RESPONSE_TYPE={struct}"), f".{name}")
            for name, struct in responses().items()
        ]
    return units
