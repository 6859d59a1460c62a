"""A copy of the checkout, in which mistakes are planted: the working tree stays as it is."""

from __future__ import annotations

import compileall
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from py_compile import PycInvalidationMode

from paths import ROOT

from mutations.mistake import Mistake

_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "runs", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis",
)  # fmt: skip


class Tree:
    """A copy of all that the tests need, in a folder that does not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=_LEFT_OUT)
        # Compiled files that know the text they belong to: two mistakes within a second have one time stamp.
        for part in ("gsplat_core", "trainers", "tests"):
            compileall.compile_dir(folder / part, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)

    @contextmanager
    def with_mistake(self, mistake: Mistake) -> Iterator[None]:
        path = self.folder / mistake.file
        text = path.read_text()
        path.write_text(mistake.applied(text))
        try:
            yield
        finally:
            path.write_text(text)
