"""What the compiled library may refer to, and what it keeps of the code compiled for each instruction set."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from paths import ROOT

from gsplat_core.ops.library import PATH

pytestmark = pytest.mark.skipif(shutil.which("nm") is None, reason="nm (binutils) is not on this machine")

ISAS = ["generic", "avx2", "avx512"]


def nm(path: Path, *options: str) -> list[list[str]]:
    output = subprocess.run(["nm", *options, str(path)], capture_output=True, text=True, check=True).stdout
    return [line.split() for line in output.splitlines()]


def test_of_pytorch_only_c_shims_of_the_stable_abi_are_needed() -> None:
    include = Path(torch.__file__).parent / "include" / "torch" / "csrc"
    headers = [include / "stable" / "c" / "shim.h", *(include / "inductor" / "aoti_torch" / "c").glob("*.h")]
    declared = set(re.findall(r"\b(\w+)\(", "".join(header.read_text() for header in headers)))
    # Symbols of the C and C++ run time carry a version (GLIBC_2.14 ...); kind "w" may stay unresolved.
    needed = {name for kind, name in nm(PATH, "-D", "--undefined-only") if kind == "U" and "@" not in name}
    needed = {name for name in needed if not name.startswith(("__asan_", "__ubsan_"))}
    assert "torch_library_impl" in needed
    assert needed - declared == set()


def test_nothing_is_exported() -> None:
    assert nm(PATH, "-D", "--defined-only") == []


def test_shared_inline_functions_are_kept_in_their_least_demanding_form() -> None:
    """Of an inline function (of std, of ours) that several objects hold, the linker keeps the first copy.

    That copy must come from the object with the least instruction set of all that hold it. Otherwise the
    generic kernels would call, say, a std::vector function made of AVX-512 instructions.
    """
    build = ROOT / "build" / "release"
    if not (build / "build.ninja").exists():
        pytest.skip("the library was not built in this folder")
    link = re.search(r"^build \S+: link (.*?)(?: \||$)", (build / "build.ninja").read_text(), re.MULTILINE)
    assert link is not None
    objects = link[1].split()
    demands = [
        max((ISAS.index(part) for part in name.split(".") if part in ISAS), default=0) for name in objects
    ]
    assert demands == sorted(demands)
    holders: dict[str, list[int]] = {}
    for name, demand in zip(objects, demands, strict=True):
        for *_, kind, symbol in nm(build / name, "--defined-only"):
            if kind in "WVu":
                holders.setdefault(symbol, []).append(demand)
    assert holders
    wrong = {symbol: [ISAS[i] for i in isas] for symbol, isas in holders.items() if isas[0] != min(isas)}
    assert wrong == {}
