"""Compiles CUDA sources into libraries that run on the CPU.

A library is built once, and again when its sources, the emulation or the flags have changed: ninja decides,
and ccache helps where it is installed. Flavours:

- ``checked``: the checker sees every memory access;
- ``address``: under the address and undefined-behaviour sanitizers (``address_sanitizer.py`` starts Python).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cuda_on_cpu.translate import translate

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Kernels with other variants than ours (csrc/build_units.py) are another library.
BUILD = ROOT / "build" / ("recipes/cuda_on_cpu" if os.environ.get("GSPLAT_BUILD_OVERLAY") else "cuda_on_cpu")

_SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
_COMMON = "-std=c++20 -g1 -fPIC -fvisibility=hidden -Wall -Wextra"


@dataclass(frozen=True)
class Flavour:
    """Compiler flags of kernels, and of the host code and the runtime that go with them."""

    kernels: str
    host: str


FLAVOURS = {
    "checked": Flavour("-O1 -fsanitize=thread", ""),
    # As for the CPU's kernels (csrc/build_ops.py), without what the address sanitizer sees, too.
    "address": Flavour(f"-O1 {_SANITIZE} -fno-sanitize=null,alignment,object-size,vptr", _SANITIZE),
}


@dataclass(frozen=True)
class Source:
    """A ``.cu`` file to translate, or a ``.cpp`` file to compile as it is."""

    path: Path
    flags: str = ""
    suffix: str = ""  # of the object's name: a source may be compiled in several ways


def build(
    name: str,
    sources: Sequence[Source],
    flavour: str,
    includes: Sequence[Path],
    headers: Sequence[Path] = (),
    libraries: str = "",
) -> Path:
    """Brings the library ``name`` of one flavour up to date.

    Args:
        includes: folders of headers.
        headers: CUDA code below the last of these folders that sources include, which is translated as well.
        libraries: flags for the linker.

    Raises:
        RuntimeError: the compiler refused; the message has what it said.
    """
    flags = FLAVOURS[flavour]
    folder = BUILD / name / flavour
    for header in headers:
        _translate(header, folder / "translated" / header.relative_to(includes[-1]))
    folders = [folder / "translated", HERE / "include", *includes]
    objects: list[tuple[str, Path, str]] = []
    for source in sources:
        if source.path.suffix == ".cu":
            # Under its own name, which debug information gives now and then in place of that after #line.
            translated = folder / "translated" / source.path.name
            _translate(source.path, translated)
            compiled = f"{source.path.stem}{source.suffix}.o"
            objects.append((compiled, translated, f"-x c++ {flags.kernels} {source.flags}"))
        else:
            objects.append((f"{source.path.stem}.host.o", source.path, f"-O1 {flags.host} {source.flags}"))
    # Of an inline function that several objects hold, such as those of std::string, the linker keeps the
    # first copy. The runtime comes first: it must not be instrumented. Nor may other libraries find copies.
    runtime = _runtime(flags.host)
    (folder / "exports.map").write_text("{ local: _Z*; };\n")
    names = " ".join(map(str, [runtime, *(compiled for compiled, _, _ in objects)]))
    link = [
        "rule link",
        f"  command = {_compiler()} -shared -Wl,-z,defs -Wl,--version-script=exports.map {flags.host} $in"
        f" {libraries} -ldl -o $out",
        f"build lib{name}.so: link {names}",
    ]
    _run_ninja(folder, [*_compile_rules(objects, folders), *link])
    return folder / f"lib{name}.so"


def _runtime(host_flags: str) -> Path:
    """The emulation itself, the same for all libraries."""
    folder = BUILD / "runtime" / ("address" if host_flags else "normal")
    source_folder = HERE / "runtime"
    # One unit of translation: headers take most of the compiler's time.
    unit = "".join(f'#include "{path}"\n' for path in sorted(source_folder.rglob("*.cpp")))
    _write(folder / "runtime.cpp", unit)
    objects = [("runtime.o", folder / "runtime.cpp", f"-O2 {host_flags}")]
    _run_ninja(folder, _compile_rules(objects, [HERE / "include", source_folder]))
    return folder / "runtime.o"


def _compile_rules(objects: Sequence[tuple[str, Path, str]], includes: Sequence[Path]) -> list[str]:
    """Ninja's rules for objects, each from a source with flags."""
    folders = " ".join(f"-I{path}" for path in includes)
    lines = [
        "rule compile",
        f"  command = {_compiler()} -MMD -MF $out.d {_COMMON} $flags {folders} -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
    ]
    for name, source, flags in objects:
        lines += [f"build {name}: compile {source}", f"  flags = {flags}"]
    return lines


def _run_ninja(folder: Path, lines: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ninja", "-C", str(folder), "--quiet"]
    command += ["-j", os.environ.get("MAX_JOBS", str(os.cpu_count() or 1))]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "build.ninja").write_text("\n".join(lines) + "\n")
        # A sanitizer that is loaded ahead of Python is none of the compiler's business.
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        raise RuntimeError(f"compiling for the CPU in {folder} failed:\n{result.stdout}{result.stderr}")


def _compiler() -> str:
    compiler = os.environ.get("CXX", "c++")
    return f"ccache {compiler}" if shutil.which("ccache") and "ccache" not in compiler else compiler


def _translate(source: Path, target: Path) -> None:
    text = translate(source.read_text(), source)
    if source.suffix == ".cuh":
        text = "#pragma once\n" + text
    _write(target, text)


def _write(path: Path, text: str) -> None:
    """Writes a file, unless it is so already: what has not changed is not compiled again."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
