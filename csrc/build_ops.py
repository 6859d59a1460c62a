"""Compiles ``csrc`` into one shared library of PyTorch operators. Used by ``setup.py``; also a command.

    python csrc/build_ops.py              builds build/release/_ops.abi3.so
    python csrc/build_ops.py sanitize     the same with the address and undefined-behaviour sanitizers, into
                                          build/sanitize; run it with GSPLAT_LIBRARY (see `make sanitize`)
    python csrc/build_ops.py recipes      quickly compiled, not quick, into build/recipes: for the examples of
                                          CONTRIBUTING.md, which `make recipes` lays over csrc

What makes one library enough:

- It only calls the C shims of PyTorch's stable ABI (``torch/csrc/stable``), so it serves every PyTorch from
  2.10 on, and every Python. The build takes PyTorch's headers and links ``libtorch_cpu``; it runs neither.
- The kernels of ``csrc/cpu/kernels`` are compiled once per instruction set and chosen at run time, so it runs
  on every CPU of its architecture; those that depend on a response, once per response as well
  (``build_units.py``).
- The CUDA kernels of ``csrc/cuda``, if they are built (see ``build_cuda.py``), come with a CUDA runtime of
  their own, so the library also works with a PyTorch and on a machine without CUDA.

Ninja drives the compiler: a second build compiles what changed. Headers of PyTorch and of the compiler take
longer to parse than most sources to compile, so they are precompiled (``csrc/precompiled``).

Environment: ``CXX`` is the compiler (default ``c++``), ``MAX_JOBS`` the number of compilers at a time
(default: one per core), ``GSPLAT_BUILD_ISAS`` the instruction sets to build for besides ``generic``, such as
``avx512`` (default: all; fewer while you work on a kernel), ``GSPLAT_BUILD_OVERLAY`` folders of headers ahead
of ours; see also ``build_cuda.py``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from build_cuda import CudaBuild, nvcc_flags
from build_units import CSRC, INCLUDES, kernel_units

ROOT = CSRC.parent
LIBRARY_NAME = "_ops.abi3.so"

# The oldest PyTorch whose stable ABI has everything we call.
TORCH_MINIMUM = (2, 10)
TORCH_TARGET = f"0x{TORCH_MINIMUM[0]:02x}{TORCH_MINIMUM[1]:02x}000000000000"

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

# Operators check arguments, allocate and call kernels: many templates, and no loop that takes time.
GLUE_FLAGS = {"release": ["-Os"], "sanitize": [], "recipes": []}

# Each flavour has its folder under build/ and its extra flags.
FLAVOURS = {
    "release": [],
    # GCC would take minutes to inline all checks into the unrolled kernels, so they are function calls, and
    # variables used after their scope are not looked for.
    "sanitize": [
        "-O1",
        "-g1",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined",
        "--param asan-instrumentation-with-call-threshold=0",
        "-fno-sanitize-address-use-after-scope",
    ],
    "recipes": ["-O1"],
}

# Flags of the kernels on top of those of a flavour. Whether each pointer is null or in line is half of what
# the undefined-behaviour sanitizer adds to them, and a minute of compilation for the largest: the address
# sanitizer sees null pointers, too, and vectors that must be aligned trap by themselves.
KERNEL_FLAGS = {"release": [], "sanitize": ["-fno-sanitize=null,alignment,object-size,vptr"], "recipes": []}

# Instruction sets per architecture, least first; csrc/cpu/isa.cpp uses the last that the running CPU has.
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
            # GCC 12 warns about its own intrinsics, which leave unused lanes undefined on purpose.
            "-Wno-uninitialized",
            "-Wno-maybe-uninitialized",
        ],
    },
}.get(platform.machine(), {"generic": []})


def build(flavour: str = "release") -> Path:
    """Brings the library of one flavour up to date and returns its path."""
    torch = require_torch()
    compiler = find_compiler()
    cuda = CudaBuild.wanted(torch) if flavour == "release" else None
    folder = ROOT / "build" / flavour
    folder.mkdir(parents=True, exist_ok=True)
    from_nothing, before = not (folder / ".ninja_log").exists(), cpu_seconds_of_children()
    (folder / "build.ninja").write_text(ninja_file(flavour, torch, compiler, cuda, folder))
    # The operators register themselves while the library loads, so it exports nothing. Hidden copies of
    # inline functions can neither replace those of other libraries in the process nor be replaced by them.
    write_once(folder / "exports.map", "{ local: *; };\n")
    jobs = os.environ.get("MAX_JOBS", str(os.cpu_count() or 1))
    command = [sys.executable, "-m", "ninja", "-C", str(folder), "-j", jobs]
    if subprocess.run(command).returncode != 0:
        raise SystemExit(
            f"gsplat_core: compiling csrc failed; the compiler's messages are above ({compiler})."
        )
    if from_nothing:
        # What tools/build_report.py compares with its budget.
        spent = cpu_seconds_of_children() - before
        cost = {"cpu_seconds": spent, "isas": list(wanted_isas()), "cuda": cuda is not None}
        (folder / "cost.json").write_text(json.dumps(cost))
    return folder / LIBRARY_NAME


def cpu_seconds_of_children() -> float:
    """What the processes that this one has waited for have used, with all of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ninja_file(flavour: str, torch: Path, compiler: str, cuda: CudaBuild | None, folder: Path) -> str:
    """The build as ninja reads it: every source once, every kernel once per instruction set, one link."""
    extra = FLAVOURS[flavour]
    includes = " ".join(f"-I{folder}" for folder in INCLUDES)
    compile_flags = " ".join([*COMMON_FLAGS, *extra, f"-isystem {torch / 'include'}", includes])
    if sys.platform == "darwin":
        shared, libraries = ["-dynamiclib", "-Wl,-undefined,error"], "-ltorch_cpu"
    else:
        shared = ["-shared", "-Wl,-z,defs", "-Wl,--version-script=exports.map"]
        # libtorch_cpu happens to export pieces of libstdc++; ours come from libstdc++ itself.
        libraries = "-lstdc++ -ltorch_cpu"
        if flavour == "release":
            shared.append("-Wl,--strip-all")  # an eighth of the library's size
    # No run-time path to libtorch_cpu: `import torch` has loaded it before anything asks for our library.
    link_flags = " ".join([*shared, *extra, f"-L{torch / 'lib'}"])
    lines = [
        "rule compile",
        f"  command = {compiler} -MMD -MF $out.d {compile_flags} $flags -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "  description = compile $out",
        "rule precompile",
        # Headers of the system count (-MD, not -MMD): with another PyTorch, sources are compiled again.
        f"  command = {compiler} -MD -MF $out.d {compile_flags} $flags -x c++-header $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "  description = precompile $out",
        "rule link",
        f"  command = {compiler} {link_flags} $in $libraries -o $out",
        "  description = link $out",
    ]
    objects = []
    if cuda is not None:
        libraries += " " + cuda.libraries
        lines += [
            "rule compile_cuda",
            f"  command = {cuda.command(compiler)} -MMD -MF $out.d {includes} $flags -c $in -o $out",
            "  depfile = $out.d",
            "  deps = gcc",
            "  description = compile $out",
        ]

    # The sanitizers' build goes without, so that a source that misses an include is noticed; and so do
    # wrappers of the compiler such as ccache, which look at what the preprocessor makes of a source.
    precompiles = flavour == "release" and len(compiler.split()) == 1

    def precompile(header: str, name: str, flags: list[str]) -> str:
        """The name under which sources with these flags find what precompiled/HEADER.h includes."""
        if not precompiles:
            return ""
        # GCC and Clang take NAME.h.gch for NAME.h where it fits the flags; where not, GCC includes NAME.h.
        write_once(folder / f"{name}.h", f'#include "precompiled/{header}.h"\n')
        lines.append(f"build {name}.h.gch: precompile {name}.h")
        lines.append(f"  flags = {' '.join(flags)}")
        return f"{name}.h"

    def compile_one(source: Path, flags: list[str], suffix: str = "", included: str = "") -> None:
        name = str(source.relative_to(CSRC).with_suffix("")).replace("/", "_")
        objects.append(f"{name}{suffix}.o")
        rule = "compile_cuda" if source.suffix == ".cu" else "compile"
        lines.append(f"build {objects[-1]}: {rule} {source}" + (f" | {included}.gch" if included else ""))
        lines.append(f"  flags = {' '.join([*flags, *([f'-include {included}'] if included else [])])}")

    def compile_kernels(isa: str) -> None:
        of_isa = [f"-DGSPLAT_ISA={isa}", f"-DGSPLAT_ISA_{isa.upper()}=1", *isas[isa], *KERNEL_FLAGS[flavour]]
        included = precompile("kernels", f"kernels.{isa}", isas[isa])
        for unit in kernel_units("cpu/kernels", "cpp"):
            compile_one(unit.source, [*of_isa, *unit.flags], f"{unit.suffix}.{isa}", included)

    isas = wanted_isas()
    has_isa = [f"-DGSPLAT_HAS_{isa.upper()}=1" for isa in isas]
    about = [f"""'-DGSPLAT_VERSION="{read_version()}"' '-DGSPLAT_CUDA="{cuda or "none"}"'"""]
    # The order matters. Of an inline function that several objects hold, the linker keeps the first copy.
    # Objects of lesser instruction sets come first, so no shared function is kept in a form that an older CPU
    # cannot run; and the operators, which are not optimised for speed, after those that are.
    for source in sorted(CSRC.glob("cpu/*.cpp")):
        compile_one(source, has_isa)
    compile_kernels("generic")
    glue = GLUE_FLAGS[flavour]
    included = precompile("ops", "ops", glue)
    for source in sorted(CSRC.glob("ops/*.cpp")):
        compile_one(source, [*glue, *has_isa, *(about if source.name == "runtime.cpp" else [])], "", included)
    if cuda is not None:
        for source in sorted(CSRC.glob("ops/cuda/*.cpp")):
            compile_one(source, [*glue, cuda.includes], "", included)
        for unit in kernel_units("cuda", "cu"):
            compile_one(unit.source, [*nvcc_flags(unit.source), *unit.flags], unit.suffix)
    for isa in isas:
        if isa != "generic":
            compile_kernels(isa)
    lines.append(f"build {LIBRARY_NAME}: link {' '.join(objects)} | exports.map")
    lines.append(f"  libraries = {libraries}")
    return "\n".join(lines) + "\n"


def write_once(path: Path, text: str) -> None:
    """Writes a file, unless it is so already: what has not changed is not compiled again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def wanted_isas() -> dict[str, list[str]]:
    """The instruction sets to build for and their flags."""
    names = os.environ.get("GSPLAT_BUILD_ISAS")
    if not names:
        return ISA_FLAGS
    wanted = {"generic", *names.split(",")}
    if unknown := sorted(wanted - ISA_FLAGS.keys()):
        raise SystemExit(
            f"gsplat_core: GSPLAT_BUILD_ISAS names {unknown[0]!r}; here there are {', '.join(ISA_FLAGS)}."
        )
    return {name: flags for name, flags in ISA_FLAGS.items() if name in wanted}


def read_version() -> str:
    """The version of the package, which is written in gsplat_core/__init__.py and nowhere else."""
    text = (ROOT / "gsplat_core" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("gsplat_core/__init__.py has no line `__version__ = ...`")
    return found[1]


def find_torch() -> Path | None:
    """The folder of a PyTorch that is new enough, None when there is none.

    Looks where this Python imports from and then in the environment that it belongs to: pip's isolated builds
    hide the packages of that environment from ``import``, but its PyTorch has the headers just as well. That
    spares an isolated build the download of a second PyTorch.
    """
    spec = find_spec("torch")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [] if spec else [])]
    folders += [Path(sysconfig.get_path(kind)) / "torch" for kind in ("purelib", "platlib")]
    for folder in folders:
        if (folder / "include" / "torch" / "csrc" / "stable").is_dir() and torch_version(
            folder
        ) >= TORCH_MINIMUM:
            return folder
    return None


def torch_version(folder: Path) -> tuple[int, int]:
    """(major, minor) of the PyTorch in a folder, read without importing it; (0, 0) when it does not say."""
    try:
        found = re.search(r"__version__ = '(\d+)\.(\d+)", (folder / "version.py").read_text())
    except OSError:
        found = None
    return (int(found[1]), int(found[2])) if found else (0, 0)


def require_torch() -> Path:
    folder = find_torch()
    if folder is None:
        needed = ".".join(map(str, TORCH_MINIMUM))
        raise SystemExit(
            f"gsplat_core: compiling needs the headers of PyTorch {needed} or newer and found none beside "
            f"{sys.executable}. Install it first (`pip install torch`), or build with pip's isolation, which "
            "fetches it."
        )
    return folder


def find_compiler() -> str:
    """The C++ compiler command, after checking that it exists and knows C++20."""
    if sys.platform == "win32":
        raise SystemExit(
            "gsplat_core: Windows is not supported yet; it builds under WSL (Windows Subsystem for Linux)."
        )
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler.split()[0]) is None:
        raise SystemExit(
            f"gsplat_core: no C++ compiler: the command {compiler!r} does not exist. Install one (Debian and "
            "Ubuntu: `apt install g++`; Fedora: `dnf install gcc-c++`; macOS: `xcode-select --install`) or "
            "name yours in CXX."
        )
    probe = [*compiler.split(), "-std=c++20", "-fsyntax-only", "-x", "c++", "-"]
    result = subprocess.run(probe, input="#include <concepts>\n", capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(
            f"gsplat_core: the C++ compiler {compiler!r} cannot compile C++20 (GCC 10 and Clang 13 can). "
            f"Name a newer one in CXX. It said:\n{result.stderr.strip()}"
        )
    return compiler


if __name__ == "__main__":
    print(build(sys.argv[1] if len(sys.argv) > 1 else "release"))
