"""Builds the rasterizer's operators ahead of time, against PyTorch's stable ABI.

One shared library, ``gsplat_core/_ops.abi3.so``, serves every PyTorch from 2.10 on: it only calls the C
shims of ``torch/csrc/stable``. The SIMD kernels of ``csrc/cpu/kernels`` are compiled once per instruction
set into the same library, and the right one is chosen at run time, so a wheel runs on any CPU of its
architecture. Ninja drives the compiler, so a second build only compiles what changed.

Environment:
    GSPLAT_SANITIZE=1   build with the address and undefined-behaviour sanitizers
    MAX_JOBS            compile jobs at a time (default: the number of cores)
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import torch
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from torch.utils.cpp_extension import include_paths, library_paths

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"

# The oldest PyTorch whose stable ABI has everything we call (0x020a = 2.10).
TORCH_TARGET = "0x020a000000000000"

COMMON_FLAGS = [
    "-std=c++20",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    # Kernels never look at errno or at floating-point traps; without these the compiler may not vectorise
    # sqrt or turn a branch into a select. Infinities and NaN keep their meaning (no -ffast-math).
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
    "-Wextra",
    f"-DTORCH_TARGET_VERSION={TORCH_TARGET}",
    "-DUSE_CUDA=0",
]

# Instruction sets per architecture; the last one that the running CPU has is used (csrc/cpu/isa.cpp).
ISA_FLAGS = {
    "x86_64": {
        "generic": [],
        "avx2": ["-mavx2", "-mfma"],
        "avx512": [
            "-mavx512f",
            "-mavx512dq",
            "-mavx512bw",
            "-mavx512vl",
            "-mavx2",
            "-mfma",
            "-mprefer-vector-width=512",
        ],
    },
}.get(platform.machine(), {"generic": []})


def sanitizer_flags() -> list[str]:
    if os.environ.get("GSPLAT_SANITIZE") != "1":
        return []
    return ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g", "-fno-omit-frame-pointer"]


class NinjaBuild(build_ext):
    """Compiles ``csrc`` with ninja: every source once, every SIMD kernel once per instruction set."""

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        flavour = "sanitize" if sanitizer_flags() else "release"
        build = Path(self.build_temp).resolve() / flavour
        build.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        (build / "build.ninja").write_text(self._ninja_file(target))
        jobs = os.environ.get("MAX_JOBS", str(os.cpu_count() or 1))
        subprocess.run([sys.executable, "-m", "ninja", "-C", str(build), "-j", jobs], check=True)

    def _ninja_file(self, target: Path) -> str:
        includes = [f"-isystem {path}" for path in include_paths()] + [f"-I{CSRC}"]
        compile_flags = " ".join(COMMON_FLAGS + sanitizer_flags() + includes)
        # No run-time path: `import torch` has loaded libtorch_cpu before anything asks for our library.
        library_dirs = [f"-L{path}" for path in library_paths()]
        link_flags = " ".join(["-shared", *sanitizer_flags(), *library_dirs])
        lines = [
            f"cxx = {os.environ.get('CXX', 'c++')}",
            "rule compile",
            f"  command = $cxx -MMD -MF $out.d {compile_flags} $flags -c $in -o $out",
            "  depfile = $out.d",
            "  deps = gcc",
            "  description = compile $in $isa",
            "rule link",
            f"  command = $cxx {link_flags} $in -ltorch_cpu -o $out",
            "  description = link $out",
        ]
        objects = []

        def compile_one(source: Path, isa: str, flags: list[str]) -> None:
            relative = source.relative_to(CSRC)
            obj = f"{relative.with_suffix('')}{'.' + isa if isa else ''}.o".replace("/", "_")
            objects.append(obj)
            lines.append(f"build {obj}: compile {source}")
            lines.append(f"  flags = {' '.join(flags)}")
            lines.append(f"  isa = {isa}")

        for source in sorted([*CSRC.glob("ops/*.cpp"), *CSRC.glob("cpu/*.cpp")]):
            compile_one(source, "", [f"-DGSPLAT_HAS_{isa.upper()}=1" for isa in ISA_FLAGS])
        for source in sorted(CSRC.glob("cpu/kernels/*.cpp")):
            for isa, flags in ISA_FLAGS.items():
                compile_one(source, isa, [f"-DGSPLAT_ISA={isa}", f"-DGSPLAT_ISA_{isa.upper()}=1", *flags])
        lines.append(f"build {target}: link {' '.join(objects)}")
        return "\n".join(lines) + "\n"


setup(
    ext_modules=[Extension("gsplat_core._ops", sources=[], py_limited_api=True)],
    cmdclass={"build_ext": NinjaBuild},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
