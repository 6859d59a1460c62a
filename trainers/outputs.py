"""Files that a command is to write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gsplat_core.errors import UsageError


def must_not_be_source(output: Path, sources: Sequence[Path]) -> None:
    """Raises UsageError where a command would write over what it reads: the file itself, by this or another
    name of it, symbolic or hard; of a folder, any scene in it."""
    for source in sources:
        inside = [*source.glob("point_cloud.*"), source / "meta.json"] if source.is_dir() else []
        files = [source, *inside]
        if any(_same(output, file) for file in files):
            raise UsageError(f"{output} is the source; write another file.")


def _same(first: Path, second: Path) -> bool:
    with suppress(OSError):
        return os.path.samefile(first, second)
    return first.resolve() == second.resolve()
