"""How ``csrc/cuda`` is compiled, and whether it is.

The CUDA backend is built where it can be used: with a CUDA build of PyTorch and an ``nvcc``.
``GSPLAT_CUDA=1`` asks for it with a CPU build of PyTorch too, which gives one library for both, and is an
error where there is no ``nvcc``; ``GSPLAT_CUDA=0`` leaves it out. Further environment variables, with the
meaning that they have for PyTorch:

- ``CUDA_HOME``: the toolkit, if ``nvcc`` is not on the path or another one is meant;
- ``TORCH_CUDA_ARCH_LIST``: the architectures, such as ``8.6;9.0+PTX``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

# What a wheel for everyone should run on. Of these, those are built that the toolkit knows.
DEFAULT_ARCHITECTURES = "7.5;8.0;8.6;8.9;9.0;10.0;12.0+PTX"
TOOLKIT_MINIMUM = (12, 0)

# `constexpr` functions, such as those of raster/types.h, serve kernels too.
NVCC_FLAGS = ["-std=c++20", "-O3", "--expt-relaxed-constexpr", "-Xcompiler=-fPIC,-fvisibility=hidden"]

# Files that are compiled in a way of their own; the files say why.
_FAST_MATH = ["-use_fast_math"]
_FLAGS_OF = {
    "bin": ["-fmad=false"],
    "composite": _FAST_MATH,
    "composite_backward": _FAST_MATH,
    "composite_jvp": _FAST_MATH,
    "composite_moments": _FAST_MATH,
    "contributions": _FAST_MATH,
    "label_weights": _FAST_MATH,
    "sightings": _FAST_MATH,
    "sum_splats": _FAST_MATH,
    "voxelize": _FAST_MATH,
    "neighbors": ["-fmad=false"],
}


def nvcc_flags(source: Path) -> list[str]:
    """The flags of one ``.cu`` file, without those for architectures."""
    return [*NVCC_FLAGS, *_FLAGS_OF.get(source.stem, [])]


@dataclass(frozen=True)
class CudaBuild:
    """The compiler, its folders as flags, and the architectures, such as ``("90", True)`` for 9.0+PTX."""

    nvcc: Path
    version: tuple[int, int]
    includes: str
    library_folders: str
    architectures: tuple[tuple[str, bool], ...]

    @classmethod
    def wanted(cls, torch: Path) -> CudaBuild | None:
        """What to build for the PyTorch in a folder, told on the terminal; None: the CPU backend only."""
        choice = os.environ.get("GSPLAT_CUDA", "")
        if choice not in ("", "0", "1"):
            raise SystemExit(f"gsplat_core: GSPLAT_CUDA must be 0 or 1, got {choice!r}.")
        if choice == "0":
            return None
        nvcc, torch_has_cuda = find_nvcc(), is_cuda_build(torch)
        remedy = "Install the CUDA toolkit, or name its folder in CUDA_HOME."
        if nvcc is None:
            if choice == "1":
                raise SystemExit(
                    f"gsplat_core: GSPLAT_CUDA=1 asks for the CUDA backend, but there is no nvcc. {remedy}"
                )
            if torch_has_cuda:
                print(
                    "gsplat_core: PyTorch has CUDA, but there is no nvcc: building the CPU backend only. "
                    + remedy
                )
            return None
        if choice == "" and not torch_has_cuda:
            return None
        version = nvcc_version(nvcc)
        if version < TOOLKIT_MINIMUM:
            needed = ".".join(map(str, TOOLKIT_MINIMUM))
            raise SystemExit(
                f"gsplat_core: {nvcc} is older than CUDA {needed}. Name a newer toolkit in CUDA_HOME, or "
                "build without CUDA: GSPLAT_CUDA=0."
            )
        wanted = os.environ.get("TORCH_CUDA_ARCH_LIST") or DEFAULT_ARCHITECTURES
        build = cls(nvcc, version, *nvcc_folders(nvcc), architectures(wanted, known_architectures(nvcc)))
        print(f"gsplat_core: building the CPU and the CUDA backend ({build})")
        return build

    def command(self, compiler: str) -> str:
        """nvcc with the host compiler ``compiler``, for all architectures."""
        targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a, _ in self.architectures]
        targets += [f"-gencode=arch=compute_{a},code=compute_{a}" for a, ptx in self.architectures if ptx]
        host = compiler.split()[-1]  # of "ccache c++" the compiler itself
        return " ".join([str(self.nvcc), f"-ccbin {host}", *targets])

    @property
    def libraries(self) -> str:
        """What the library is linked with: the CUDA runtime becomes a part of it."""
        return f"{self.library_folders} -lcudart_static -lrt -lpthread -ldl"

    def __str__(self) -> str:
        targets = [f"{a[:-1]}.{a[-1]}" + ("+PTX" if ptx else "") for a, ptx in self.architectures]
        return f"CUDA {'.'.join(map(str, self.version))} for {' '.join(targets)}"


def find_nvcc() -> Path | None:
    """The CUDA compiler, None when there is none."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    if home:
        nvcc = Path(home) / "bin" / "nvcc"
        if not nvcc.exists():
            raise SystemExit(f"gsplat_core: CUDA_HOME names {home}, where there is no bin/nvcc.")
        return nvcc
    found = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    return Path(found) if found else None


def nvcc_version(nvcc: Path) -> tuple[int, int]:
    """(major, minor) of the toolkit."""
    found = re.search(r"release (\d+)\.(\d+)", _ask(nvcc, "--version"))
    if found is None:
        raise SystemExit(f"gsplat_core: {nvcc} does not tell its version.")
    return int(found[1]), int(found[2])


def nvcc_folders(nvcc: Path) -> tuple[str, str]:
    """The flags with which nvcc finds its headers and its libraries, for the C++ compiler to do the same."""
    plan = _ask(nvcc, "--dryrun", "-c", "-x", "cu", os.devnull)
    includes, libraries = (
        re.search(rf"^#\$ {name}=(.*)$", plan, re.MULTILINE) for name in ("INCLUDES", "LIBRARIES")
    )
    if includes is None or libraries is None:
        raise SystemExit(f"gsplat_core: {nvcc} does not tell where its headers and libraries are.")
    return includes[1].strip(), libraries[1].strip()


def known_architectures(nvcc: Path) -> set[str]:
    """The architectures that it compiles for, such as ``90``."""
    return set(re.findall(r"compute_(\w+)", _ask(nvcc, "--list-gpu-arch")))


def is_cuda_build(torch: Path) -> bool:
    """Whether the PyTorch in a folder is one for CUDA."""
    return re.search(r"^cuda\b.*= '", (torch / "version.py").read_text(), re.MULTILINE) is not None


def architectures(wanted: str, known: set[str]) -> tuple[tuple[str, bool], ...]:
    """Reads a list such as ``8.6;9.0+PTX``. Of the default, what the toolkit does not know is left out."""
    chosen: list[tuple[str, bool]] = []
    for text in re.split(r"[;,\s]+", wanted.strip()):
        found = re.fullmatch(r"(\d+)\.(\d)([a-z]?)(\+PTX)?", text)
        if found is None:
            raise SystemExit(
                f"gsplat_core: TORCH_CUDA_ARCH_LIST has {text!r}; it takes architectures such as 8.6, 9.0 or "
                "12.0+PTX."
            )
        name, ptx = found[1] + found[2] + found[3], found[4] is not None
        if name in known:
            chosen.append((name, ptx))
        elif wanted != DEFAULT_ARCHITECTURES:
            raise SystemExit(
                f"gsplat_core: TORCH_CUDA_ARCH_LIST has {text}, which this CUDA toolkit cannot compile for."
            )
    if not chosen:
        raise SystemExit("gsplat_core: no architecture to compile for; name some in TORCH_CUDA_ARCH_LIST.")
    if wanted == DEFAULT_ARCHITECTURES:
        # Newer GPUs than the toolkit knows translate the newest of these themselves.
        chosen[-1] = (chosen[-1][0], True)
    return tuple(chosen)


def _ask(nvcc: Path, *question: str) -> str:
    result = subprocess.run([str(nvcc), *question], capture_output=True, text=True, check=True)
    return result.stdout + result.stderr
