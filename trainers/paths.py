"""Paths that the user names, looked at before anything that takes seconds to import."""

from __future__ import annotations

from pathlib import Path

from gsplat_core.errors import DataError


def must_exist(*paths: Path | None) -> None:
    """Raises DataError where there is nothing: whatever else would be said of such a path misleads."""
    for path in paths:
        if path is not None and not path.exists():
            raise DataError(path, "there is no such file or folder", remedy="Check the path.")
