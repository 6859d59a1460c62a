"""Compiles the operators of the CPU for aarch64 into a program that needs no PyTorch (``server.cpp``).

Ninja compiles what has changed, and ccache helps where it is installed. To be built in two minutes of
processor time, the program has the responses of ``RESPONSES`` alone, and is optimised a little.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from paths import ROOT

HERE = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
sys.path.insert(0, str(CSRC))
import build_ops  # noqa: E402
from build_units import kernel_units  # noqa: E402

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
RESPONSES = ("gaussian", "surfel")


def missing() -> str:
    """Says what this machine lacks, and how to get it; empty where it has all."""
    lacking = [program for program in (COMPILER, EMULATOR) if shutil.which(program) is None]
    return f"no {lacking[0]} here: `apt install g++-aarch64-linux-gnu qemu-user`" if lacking else ""


def build() -> Path:
    """Brings the program up to date and returns its path.

    Raises:
        RuntimeError: the compiler refused; the message has what it said.
    """
    folder = ROOT / "build" / "aarch64"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _write(folder / "overlay" / "raster" / "variants.h", _variants())
        _write(folder / "build.ninja", _ninja_file(folder))
        command = [sys.executable, "-m", "ninja", "-C", str(folder), "--quiet"]
        command += ["-j", os.environ.get("MAX_JOBS", str(os.cpu_count() or 1))]
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        raise RuntimeError(f"compiling for aarch64 in {folder} failed:\n{result.stdout}{result.stderr}")
    return folder / "server"


def _variants() -> str:
    """``raster/variants.h`` with the responses that are built."""
    lines = (CSRC / "raster" / "variants.h").read_text().splitlines()
    kept: list[str] = []
    listing = False
    for line in lines:
        listing = listing or line.startswith("#define GSPLAT_RESPONSES(")
        name = line.strip().removeprefix("V(").split(",")[0]
        if listing and line.strip().startswith("V(") and name not in RESPONSES:
            line = "\\" if line.endswith("\\") else ""
        listing = listing and line.endswith("\\")
        kept.append(line)
    return "\n".join(kept) + "\n"


def _ninja_file(folder: Path) -> str:
    includes = " ".join(f"-I{path}" for path in (folder / "overlay", CSRC, HERE))
    torch_headers = f"-isystem {Path(torch.__file__).parent / 'include'}"
    # Products are rounded before they are added, as by x86's 128-bit vectors: results can be the same bytes.
    # Warnings are those of the build itself.
    left_out = {"-O3", "-Wall", "-Wextra"}
    common = " ".join(flag for flag in build_ops.COMMON_FLAGS if flag not in left_out) + " -ffp-contract=off"
    compiler = f"ccache {COMPILER}" if shutil.which("ccache") else COMPILER
    lines = [
        "rule compile",
        f"  command = {compiler} -MMD -MF $out.d {common} {includes} {torch_headers} $flags -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "rule link",
        f"  command = {COMPILER} -static $in -o $out",
    ]
    objects = []

    def compile_one(source: Path, flags: str, suffix: str = "") -> None:
        name = "_".join(source.relative_to(ROOT).with_suffix("").parts)
        objects.append(f"{name}{suffix}.o")
        lines.extend([f"build {objects[-1]}: compile {source}", f"  flags = {flags}"])

    for source in sorted(CSRC.glob("cpu/*.cpp")):
        compile_one(source, "-O1")
    for unit in kernel_units("cpu/kernels", "cpp"):
        if unit.suffix and unit.suffix.removeprefix(".") not in RESPONSES:
            continue
        isa = "-DGSPLAT_ISA=generic -DGSPLAT_ISA_GENERIC=1"
        compile_one(unit.source, f"-O1 {isa} {' '.join(unit.flags)}", unit.suffix)
    about = """'-DGSPLAT_VERSION="aarch64"' '-DGSPLAT_CUDA="none"'"""
    for source in [*sorted(CSRC.glob("ops/*.cpp")), *sorted(HERE.glob("*.cpp"))]:
        compile_one(source, about if source.name == "runtime.cpp" else "")
    lines.append(f"build server: link {' '.join(objects)}")
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    """Writes a file, unless it is so already: what has not changed is not compiled again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


if __name__ == "__main__":
    # Ahead of the tests, none of which has to wait for the compiler then.
    print(missing() or build())
