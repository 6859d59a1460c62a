"""`gsplat-core doctor`"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import gsplat_core
from gsplat_core.errors import StaleLibraryError
from gsplat_core.memory import memory_bytes
from gsplat_core.strict_json import json_text
from trainers.machine import cores, cpu_name
from trainers.messages import say

PACKAGES: tuple[str, ...] = (
    "torch",
    "numpy",
    "pillow",
    "imageio",
    "imageio-ffmpeg",
    "matplotlib",
    "rich",
    "tyro",
    "safetensors",
)
if sys.version_info < (3, 14):
    PACKAGES += ("backports.zstd",)
GIB = 2**30
LITTLE_DISK = 2 * GIB
LITTLE_MEMORY = 2 * GIB


class Problem(NamedTuple):
    """Something that does not work or could work better, and what to do about it."""

    problem: str
    remedy: str
    serious: bool = False


def doctor(json: bool = False) -> int:
    """What is installed, what this machine can do, what is missing and how to mend it.

    Exits with 1 when something is missing that training needs.

    Args:
        json: print JSON for scripts instead.
    """
    facts, problems = examine()
    if json:
        print(json_text({**facts, "problems": [problem._asdict() for problem in problems]}))
    else:
        _print(facts, problems)
    return int(any(problem.serious for problem in problems))


def examine() -> tuple[dict[str, Any], list[Problem]]:
    """The facts as JSON values, and what is wrong."""
    problems: list[Problem] = []
    facts = {
        "version": gsplat_core.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "packages": _packages(problems),
        "library": _library(problems),
        "backend": _backend(problems),
        "renders": _renders(problems),
        "threads": _threads(problems),
        "memory": _memory(problems),
        "disk": _disk(problems),
        "ffmpeg": _ffmpeg(problems),
    }
    return facts, problems


def _packages(problems: list[Problem]) -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
            problems.append(Problem(f"the package {name} is missing", f"pip install {name}", serious=True))
    return versions


def _library(problems: list[Problem]) -> dict[str, str] | None:
    """How the compiled operators were built; None when they cannot be loaded."""
    rebuild = "pip install --force-reinstall --no-deps gsplat-core (in a checkout: make build)"
    try:
        import torch

        from gsplat_core.ops import library
    except (ImportError, OSError) as error:
        problems.append(Problem(f"the compiled operators cannot be loaded: {error}", rebuild, serious=True))
        return None
    facts = {"path": str(library.PATH)}
    facts.update(line.split(": ", 1) for line in torch.ops.gsplat_core.build_info().splitlines())
    if facts["version"] != gsplat_core.__version__:
        message = f"the compiled operators are of version {facts['version']}, not {gsplat_core.__version__}"
        problems.append(Problem(message, rebuild, serious=True))
    if facts["flavour"] != "release":
        message = f"the {facts['flavour']} build of the operators is in use, which is slow"
        problems.append(Problem(message, "unset GSPLAT_LIBRARY"))
    return facts


def _backend(problems: list[Problem]) -> dict[str, Any] | None:
    """What runs take place on; None when the operators cannot be loaded."""
    try:
        import torch

        from gsplat_core.ops import library  # noqa: F401  (registers the operators)
    except (ImportError, OSError):
        return None
    available = torch.ops.gsplat_core.available_isas().split()
    try:
        used = torch.ops.gsplat_core.isa()
    except RuntimeError as error:
        problems.append(Problem(str(error).splitlines()[0], "unset GSPLAT_ISA", serious=True))
        return None
    facts: dict[str, Any] = {
        "used": "cpu",
        "cpu": cpu_name(),
        "instruction_set": used,
        "instruction_sets": available,
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }
    if used != available[-1]:
        message = f"kernels run with {used} although this CPU has {available[-1]}"
        problems.append(Problem(message, "unset GSPLAT_ISA"))
    if facts["gpus"]:
        problems.append(Problem("the GPU is not used: this version has the CPU backend only", "none needed"))
    return facts


def _renders(problems: list[Problem]) -> bool:
    """Whether one Gaussian comes out as it must: as opaque in the pixel at its centre as it was given."""
    try:
        import torch

        from gsplat_core.primitive import Evaluated
        from gsplat_core.render.cameras import Cameras
        from gsplat_core.render.scene import render

        gaussian = Evaluated(
            means=torch.tensor([[0.0, 0.0, 2.0]]),
            quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
            scales=torch.full((1, 3), 0.1),
            opacities=torch.tensor([0.75]),
            colors=torch.ones(1, 3),
        )
        K = torch.tensor([[50.0, 0.0, 0.5], [0.0, 50.0, 0.5], [0.0, 0.0, 1.0]])
        alphas = render(gaussian, Cameras(torch.eye(4)[None], K[None], width=1, height=1)).alphas
        right = abs(alphas.item() - 0.75) < 1e-5
        outcome = f"a Gaussian of opacity 0.75 came out with {alphas.item():.5f}"
    except (ImportError, OSError, RuntimeError, StaleLibraryError) as error:
        right, outcome = False, f"rendering failed: {str(error).splitlines()[0]}"
    if not right:
        problems.append(Problem(outcome, "report this with the output of `gsplat-core doctor --json`", True))
    return right


def _threads(problems: list[Problem]) -> dict[str, Any] | None:
    try:
        import torch
    except ImportError:
        return None
    facts: dict[str, Any] = {
        "used": torch.get_num_threads(),
        "cores": cores(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }
    if facts["used"] > facts["cores"]:
        message = (
            f"{facts['used']} threads share {facts['cores']} cores, which is slower than one thread per core"
        )
        problems.append(Problem(message, f"export OMP_NUM_THREADS={facts['cores']}"))
    elif facts["used"] < facts["cores"] and facts["OMP_NUM_THREADS"]:
        message = f"OMP_NUM_THREADS limits runs to {facts['used']} of {facts['cores']} cores"
        problems.append(Problem(message, "unset OMP_NUM_THREADS"))
    return facts


def _memory(problems: list[Problem]) -> dict[str, int | None]:
    total, free = memory_bytes()
    if free is not None and free < LITTLE_MEMORY:
        problems.append(
            Problem(f"only {free / GIB:.1f} GiB of memory are free", "close programs, or use --downscale")
        )
    return {"total_bytes": total, "free_bytes": free}


def _disk(problems: list[Problem]) -> dict[str, Any]:
    free = shutil.disk_usage(Path.cwd()).free
    if free < LITTLE_DISK:
        message = f"only {free / GIB:.1f} GiB are free on the disk of this folder"
        problems.append(Problem(message, "choose a run folder (-o) on another disk"))
    return {"folder": str(Path.cwd()), "free_bytes": free}


def _ffmpeg(problems: list[Problem]) -> str | None:
    """The ffmpeg program that writes videos; None when there is none."""
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        remedy = "pip install imageio-ffmpeg, or install ffmpeg and put it on PATH"
        problems.append(Problem(f"no ffmpeg, so `render` can write images but no video ({error})", remedy))
        return None


def _print(facts: dict[str, Any], problems: list[Problem]) -> None:
    packages, library, backend = facts["packages"], facts["library"], facts["backend"]
    rows = [
        ("gsplat-core", facts["version"]),
        ("Python", facts["python"]),
        ("packages", ", ".join(f"{name} {version or 'MISSING'}" for name, version in packages.items())),
    ]
    if library:
        built = f"{library['flavour']} build, {library['compiler']}, for PyTorch >= {library['torch ABI']}"
        rows.append(("operators", f"{built}\n{library['path']}"))
    if backend:
        rows.append(("backend", f"{backend['used']}: {backend['cpu']}"))
        available = ", ".join(backend["instruction_sets"])
        rows.append(("instruction set", f"{backend['instruction_set']} (available: {available})"))
        rows.append(("GPUs", ", ".join(backend["gpus"]) or "none visible to PyTorch"))
    rows.append(("test image", "right" if facts["renders"] else "WRONG"))
    if facts["threads"]:
        rows.append(("threads", f"{facts['threads']['used']} on {facts['threads']['cores']} cores"))
    memory = facts["memory"]
    free = "" if memory["free_bytes"] is None else f"{memory['free_bytes'] / GIB:.1f} GiB free of "
    rows.append(("memory", f"{free}{memory['total_bytes'] / GIB:.1f} GiB"))
    rows.append(("disk", f"{facts['disk']['free_bytes'] / GIB:.1f} GiB free in {facts['disk']['folder']}"))
    rows.append(("ffmpeg", facts["ffmpeg"] or "none"))
    # Without rich: this command must work when packages are missing, that among them.
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        first, *more = text.splitlines()
        say(f"{name:{width}}  {first}", *(f"{'':{width}}  {line}" for line in more))
    say("")
    for problem in problems:
        say(f"{'PROBLEM' if problem.serious else 'note'}: {problem.problem}.", f"  remedy: {problem.remedy}")
    if not problems:
        say("Everything is in order.")
