"""Compiles kernels for one architecture and disassembles them, with the toolkit of ``requirements.txt``."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CSRC = ROOT / "csrc"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = ROOT / "build" / "cuda_toolkit"

sys.path.insert(0, str(CSRC))
import build_cuda  # noqa: E402
from build_units import Unit, kernel_units  # noqa: E402, F401


class ToolkitMissingError(Exception):
    """The toolkit is not there and cannot be installed."""


@dataclass(frozen=True)
class Kernel:
    """One instance of a kernel, compiled for one architecture.

    Attributes:
        name: with its template arguments and without its namespaces, such as ``composite_tiles<3>``.
        shared: bytes of static shared memory.
        spills: bytes of registers stored to and loaded from memory.
        listing: the lines of its code in the assembler language of the GPU.
    """

    name: str
    registers: int
    shared: int
    spills: int
    most_threads: int
    listing: tuple[str, ...]


def install() -> Path:
    """The folder of the toolkit's ``bin``; installs the toolkit below ``build/`` if it is not there yet."""
    installed = FOLDER / "requirements.txt"
    if not installed.exists() or installed.read_text() != REQUIREMENTS.read_text():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        command = [*pip, "--upgrade", "--target", str(FOLDER), "--requirement", str(REQUIREMENTS)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise ToolkitMissingError(result.stderr.strip())
        installed.write_text(REQUIREMENTS.read_text())
    return FOLDER / "nvidia" / "cu13" / "bin"


def compile_kernels(unit: Unit, architecture: str, binaries: Path) -> list[Kernel]:
    """All kernels of a translation unit that are ours."""
    include = binaries.parent / "include" / "cccl"
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "kernels.cubin"
        command = [binaries / "nvcc", "-cubin", f"-arch=sm_{architecture}", "-Xptxas=-v", f"-I{CSRC}"]
        command += [
            f"-I{include}",
            *build_cuda.nvcc_flags(unit.source),
            *unit.flags,
            unit.source,
            "-o",
            binary,
        ]
        messages = _run(command).splitlines()
        listing = _run([binaries / "nvdisasm", "-c", binary]).splitlines()
        details = _run([binaries / "nvdisasm", binary]).splitlines()
    code, threads = _sections(listing), _most_threads(details)
    kernels = []
    for symbol, (registers, shared, spills) in _resources(messages).items():
        name = _name(symbol)
        if name is not None:
            kernel = Kernel(name, registers, shared, spills, threads.get(symbol, 1024), tuple(code[symbol]))
            kernels.append(kernel)
    return kernels


def _run(command: Sequence[object]) -> str:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def _resources(messages: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """(registers, shared bytes, spilled bytes) by symbol, from what ``ptxas -v`` says."""
    found: dict[str, tuple[int, int, int]] = {}
    symbol, spills = "", 0
    for line in messages:
        if entry := re.search(r"Compiling entry function '(\w+)'", line):
            symbol, spills = entry[1], 0
        elif spill := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spills = int(spill[1]) + int(spill[2])
        elif used := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            found[symbol] = (int(used[1]), int(shared[1]) if shared else 0, spills)
    return found


def _sections(listing: Sequence[str]) -> dict[str, list[str]]:
    """The lines of code by symbol."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in listing:
        if start := re.match(r"\.text\.(\w+):", line):
            current = sections.setdefault(start[1], [])
        else:
            current.append(line)
    return sections


def _most_threads(details: Sequence[str]) -> dict[str, int]:
    """The bound on the threads of a block by symbol, of the kernels that have one."""
    bounds: dict[str, int] = {}
    symbol, waiting = "", False
    for line in details:
        if section := re.match(r"\s*\.section\s+\.nv\.info\.(\w+)", line):
            symbol = section[1]
        elif "EIATTR_" in line:
            waiting = "EIATTR_MAX_THREADS" in line
        elif waiting and (word := re.search(r"\.word\s+0x([0-9a-f]+)", line)):
            bounds[symbol], waiting = int(word[1], 16), False
    return bounds


def _name(symbol: str) -> str | None:
    """``kernel<3>`` from a mangled name; None for kernels of libraries."""
    readable = subprocess.run(["c++filt", symbol], capture_output=True, text=True).stdout.strip()
    readable = readable.replace("(anonymous namespace)::", "")
    found = re.match(r"(?:void )?gsplat::cuda::(?:\w+::)?(\w+(?:<.*>)?)\(", readable)
    return re.sub(r"\(\w[\w: ]*\)|\w+::", "", found[1]) if found else None
