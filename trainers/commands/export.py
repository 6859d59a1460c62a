"""`gsplat-core export`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def export(
    source: Positional[Path],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FILE")],
) -> None:
    """Write the scene of a run or splat file in the format that the new file's ending names.

    The file is read back and compared with the scene before it takes its name.

    Args:
        source: run folder or splat file.
        output: file to write; its ending chooses the format.
    """
    from gsplat_core.io import export_verified
    from trainers.messages import warn
    from trainers.sources import load_scene

    gaussians = load_scene(source, warn).detached()
    export_verified(output, gaussians)
    print(
        f"wrote {output}: {gaussians.num:,} Gaussians, SH degree {gaussians.sh_degree}, "
        f"{output.stat().st_size / 2**20:.2f} MiB, read back and compared"
    )
