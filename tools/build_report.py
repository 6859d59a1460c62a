"""What the build costs: processor time from nothing, after a change of one response, and the library's size.

    python tools/build_report.py                    the figures of the last build from nothing
    python tools/build_report.py --check            and an error if one exceeds its budget
    python tools/build_report.py --from-nothing     builds anew, in a folder of its own

Seconds depend on the machine and on what else it does. So a fixed source is compiled in the same run, as many
times at once as there are compilers in a build, and all seconds are stated as those of the machine on which
that takes `REFERENCE`: what is compared with a budget is work in units of that source's. Neither the
checkout's files nor what it has built are changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "csrc"))
import build_ops  # noqa: E402
from build_units import responses  # noqa: E402

RELEASE = ROOT / "build" / "release"
COMPILERS = 2
"""At a time, which the budget of a change is for."""

# It uses what the compilers' vendors wrote, and nothing of this project.
FIXED_SOURCE = """
#include <map>
#include <regex>
#include <string>
bool known(const std::string& text) { return std::map<std::string, int>{{text, 1}}.count(text) > 0; }
bool matches(const std::string& text) { return std::regex_match(text, std::regex("(a|b)*c")); }
"""
REFERENCE = 4.2
"""Processor seconds of the fixed source, with -O3, on two cores of a Xeon with AVX-512 and GCC 12."""


@dataclass(frozen=True)
class Figure:
    """A figure, and the most that it may be."""

    name: str
    value: float
    budget: float
    unit: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.1f} {self.unit}, at most {self.budget:g}"


def main(check: bool = False, from_nothing: bool = False, response: str = "generalized") -> None:
    """Report on the build of the CPU's library.

    Args:
        check: end with an error if a figure exceeds its budget.
        from_nothing: build anew, even where it is known what the last build from nothing cost.
        response: whose header is taken as changed.
    """
    if response not in responses():
        raise SystemExit(f"there is no response {response!r}, only {', '.join(responses())}")
    speed = REFERENCE / calibrate()
    spent = None if from_nothing else recorded()
    if spent is None:
        spent = build_from_nothing()
    objects, of_change, wall = rebuild(response)
    figures = [
        # Five responses, each composited in two orders, and six cameras with two footprints.
        Figure("build from nothing", speed * spent, 600, "s of processor time"),
        Figure("library", library_size() / 1e6, 10.5, "MB"),
        Figure(f"after a change of {response}.h", speed * of_change / COMPILERS, 24, "s"),
    ]
    table = Table("", "figure", "budget", title=f"this machine has {speed:.2f} of the reference's speed")
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:.1f} {figure.unit}", f"{figure.budget:g}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"As measured here: {spent:.0f} s, and {of_change:.1f} s ({wall:.1f} s on the clock) for "
        f"{len(objects)} objects."
    )
    problems = [str(figure) for figure in figures if figure.value > figure.budget]
    problems += [
        f"{response}.h is a part of {name}, which is not its own" for name in foreign(objects, response)
    ]
    print("\n".join(problems) or "No figure exceeds its budget.")
    if check and problems:
        sys.exit(1)


def calibrate() -> float:
    """Processor seconds of compiling the fixed source."""
    compiler = build_ops.find_compiler().split()[-1]  # of "ccache c++" the compiler itself
    command = [compiler, "-std=c++20", "-O3", "-x", "c++", "-c", "-", "-o", os.devnull]

    def compile_once(_: int) -> float:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        assert process.stdin is not None
        with process.stdin as source:
            source.write(FIXED_SOURCE)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{compiler} could not compile the source that others are compared with")
        return used.ru_utime + used.ru_stime

    jobs = os.cpu_count() or 1
    with ThreadPoolExecutor(jobs) as pool:
        return statistics.median(pool.map(compile_once, range(2 * jobs)))


def recorded() -> float | None:
    """Processor seconds of the last build from nothing, None where it is unknown or was of something else."""
    path = RELEASE / "cost.json"
    if not path.exists():
        return None
    cost = json.loads(path.read_text())
    everything = not cost["cuda"] and set(cost["isas"]) == set(build_ops.ISA_FLAGS)
    return float(cost["cpu_seconds"]) if everything else None


def build_from_nothing() -> float:
    """Processor seconds of a build in a copy of csrc."""
    with folder_beside_the_build() as copy:
        shutil.copytree(ROOT / "csrc", copy / "csrc", ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "gsplat_core").mkdir()
        shutil.copy(ROOT / "gsplat_core" / "__init__.py", copy / "gsplat_core")
        environment = {**os.environ, "GSPLAT_CUDA": "0", "GSPLAT_BUILD_ISAS": "", "GSPLAT_BUILD_OVERLAY": ""}
        command = [sys.executable, str(copy / "csrc" / "build_ops.py")]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        cost = json.loads((copy / "build" / "release" / "cost.json").read_text())
    return float(cost["cpu_seconds"])


def rebuild(response: str) -> tuple[list[str], float, float]:
    """What is built after a change of a response's header, in a copy of the build folder: the objects,
    processor seconds, and seconds on the clock."""
    build_ops.build()
    header = build_ops.CSRC / "math" / "response" / f"{response}.h"
    listed = subprocess.run(ninja(RELEASE, "-t", "deps"), capture_output=True, text=True, check=True).stdout
    objects = objects_with(header, listed)
    with folder_beside_the_build() as copy:
        for path in RELEASE.iterdir():
            if path.name in objects or path.name == build_ops.LIBRARY_NAME:
                continue
            # What is not written again needs no copy.
            (os.link if path.suffix in (".o", ".gch") else shutil.copy2)(path, copy / path.name)
        before, start = build_ops.cpu_seconds_of_children(), time.perf_counter()
        subprocess.run(ninja(copy, "--quiet", "-j", str(COMPILERS)), check=True)
        spent = build_ops.cpu_seconds_of_children() - before
        return objects, spent, time.perf_counter() - start


def objects_with(header: Path, listed: str) -> list[str]:
    """The objects that include a header, out of what `ninja -t deps` says."""
    blocks = re.split(r"\n(?=\S)", listed)
    return [block.split(":")[0] for block in blocks if f"\n    {header}\n" in f"{block}\n"]


def foreign(objects: list[str], response: str) -> list[str]:
    """The objects that are none of this response's; those of the Gaussian serve others too."""
    return [] if response == "gaussian" else [name for name in objects if f".{response}." not in name]


def library_size() -> int:
    return (RELEASE / build_ops.LIBRARY_NAME).stat().st_size


def ninja(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ninja", "-C", str(folder), *arguments]


@contextmanager
def folder_beside_the_build() -> Iterator[Path]:
    """A folder for a while, on the file system of the build folder."""
    RELEASE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="report-", dir=RELEASE.parent) as folder:
        yield Path(folder)


if __name__ == "__main__":
    tyro.cli(main)
