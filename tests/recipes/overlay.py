"""``csrc`` with the examples: their headers, and the list of variants with the line of each.

Nothing of ``csrc`` is copied or changed: these folders are ahead of it where the compiler looks for headers.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from paths import ROOT

sys.path.insert(0, str(ROOT / "csrc"))
from build_units import CSRC

HERE = Path(__file__).resolve().parent
HEADERS = HERE / "csrc"

# What CONTRIBUTING.md says to add to each list of csrc/raster/variants.h.
LINES = {
    "GSPLAT_CAMERAS": "V(radial, Radial)",
    "GSPLAT_RESPONSES": "V(cauchy, CauchyResponse __VA_OPT__(, ) __VA_ARGS__)",
    "GSPLAT_PAYLOADS": "V(sensitivity, Sensitivity)",
}


def variants_with(lines: dict[str, str]) -> str:
    """The text of ``csrc/raster/variants.h`` with a line more at the end of each of these lists.

    Raises:
        ValueError: it has no such list.
    """
    text = (CSRC / "raster" / "variants.h").read_text()
    for name, line in lines.items():
        # A macro goes on as long as its lines end with a backslash.
        found = re.search(rf"^#define {name}\(V.*\n(?:(?<=\\\n).*\n)*", text, re.MULTILINE)
        if found is None:
            raise ValueError(f"csrc/raster/variants.h has no list {name}")
        text = f"{text[: found.end() - 1]} \\\n  {line}{text[found.end() - 1 :]}"
    return text


def folders(where: Path) -> str:
    """Makes the overlay; the value of GSPLAT_BUILD_OVERLAY that takes it."""
    header = where / "raster" / "variants.h"
    header.parent.mkdir(parents=True, exist_ok=True)
    text = variants_with(LINES)
    if not header.exists() or header.read_text() != text:  # what has not changed is not compiled again
        header.write_text(text)
    return os.pathsep.join(map(str, (where, HEADERS)))
