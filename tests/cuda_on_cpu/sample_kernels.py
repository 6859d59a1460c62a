"""The library of kernels that test the emulation itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cuda_on_cpu.build import BUILD, Source, build
from cuda_on_cpu.library import Library

KERNELS = Path(__file__).with_name("kernels")


def names(folder: str) -> list[str]:
    """The kernels of a folder, which are named as their files."""
    return sorted(path.stem for path in (KERNELS / folder).glob("*.cu"))


@cache
def library_path(flavour: str) -> Path:
    """All in one library and one unit of translation: headers take most of the compiler's time."""
    files = sorted(KERNELS.glob("*/*.cu"))
    unit = "#include <cooperative_groups.h>\n#include <cub/cub.cuh>\n#include <harness.h>\n"
    for path in files:
        unit += f'namespace in_{path.stem} {{\n#include "{path.relative_to(KERNELS)}"\n}}\n'
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "test_kernels.cu").write_text(unit)
    return build("test_kernels", [Source(BUILD / "test_kernels.cu")], flavour, [KERNELS], headers=files)


@cache
def library() -> Library:
    return Library(library_path("checked"))
