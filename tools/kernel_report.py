"""What the CUDA kernels do to one image, forward and backward, counted while they are executed on the CPU.

    python tools/kernel_report.py                      the reference frame: random splats, 960 x 540
    python tools/kernel_report.py --scene scene.ply    a trained scene, seen from its orbit
    python tools/kernel_report.py --profile            lanes per warp instruction and sectors as well
    python tools/kernel_report.py --check              the reference frame against its ceilings, and an error
                                                       if a figure exceeds one
    python tools/kernel_report.py --update             write the present figures as ceilings

Bytes are those of plain accesses, without those of CUB; atomic operations are counted apart, each of one
lane. A "slot" is a lane of a warp that evaluates pairs of a pixel and a splat, used or not. The model
multiplies what was counted with the instructions that nvcc makes of the compositing loops (ceilings.json,
sm_90).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from cuda_on_cpu.operators import emulated
from static_report import ceilings

from gsplat_core import io, primitive
from gsplat_core.ops.variants import GAUSSIAN, NO_CARRIERS
from gsplat_core.render.scene import render as render_scene
from gsplat_core.render.settings import USUAL
from trainers.benchmark.splats import random_splats
from trainers.camera_paths import default_lens, orbit_of_gaussians

SPLAT_BYTES = 9 * 4  # mean, conic root, opacity and colour: what compositing must know of a splat
PIXEL_BYTES = 4 * 4  # colour and alpha
MEGABYTE = 1e6
REFERENCE_FRAME = "reference frame"  # its group of ceilings

Counters = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Pass:
    """What the kernels of the forward or the backward pass did."""

    name: str
    intersections: int
    counters: Counters


def main(
    scene: Path | None = None,
    gaussians: int = 150_000,
    width: int = 960,
    height: int = 540,
    median_sigma: float = 1.5,
    profile: bool = False,
    checker: bool = True,
    seed: int = 0,
    check: bool = False,
    update: bool = False,
) -> None:
    """Count what the CUDA kernels do.

    Args:
        scene: a file of Gaussians; without, random splats that are projected already.
        gaussians, median_sigma: how many random splats, and their size in pixels.
        width, height: of the image in pixels.
        profile: count lanes per memory instruction and sectors of 32 bytes.
        checker: look for races and the like, and count bytes; without, it takes a third of the time.
        seed: of the order of threads; 0 is in order.
        check: compare the reference frame with its ceilings, and nothing else.
        update: make the figures of the reference frame its ceilings.
    """
    torch.set_num_threads(1)
    if check or update:
        sys.exit(compare_reference_frame(update))
    passes: list[Pass] = []
    with emulated(seed=seed, check=checker, profile=profile) as library:
        library.take_counters()
        steps = (
            composite_random_splats(gaussians, width, height, median_sigma)
            if scene is None
            else render(scene, width, height)
        )
        for name, intersections in steps:
            passes.append(Pass(name, intersections, library.take_counters()))
    everything = {kernel: counted for part in passes for kernel, counted in part.counters.items()}
    print_kernels(everything)
    pixels = width * height
    print(f"\n{passes[0].intersections:,} intersections of splats and tiles, {pixels:,} pixels")
    if checker:
        for part in passes:
            print_traffic(part, pixels)
    for kernel, figures in compositing(everything, pixels).items():
        print(kernel)
        print("\n".join(f"  {value:.2f} {quantity}" for quantity, value in figures.items()))


def compare_reference_frame(update: bool) -> int:
    """Whether the reference frame costs more than it may, told on the terminal."""
    with emulated(check=False) as library:
        library.take_counters()
        list(composite_random_splats(150_000, 960, 540, 1.5))
        figures = {REFERENCE_FRAME: compositing(library.take_counters(), 960 * 540)}
    if update:
        ceilings.write(figures)
    problems = ceilings.compare(figures, ceilings.read())
    print("\n".join(problems) or "The reference frame costs no more than its ceilings.")
    return 1 if problems else 0


def composite_random_splats(
    num: int, width: int, height: int, median_sigma: float
) -> Iterator[tuple[str, int]]:
    """Bins and composites; after each pass its name and the number of intersections."""
    s = random_splats(num, width, height, median_sigma)
    ops = torch.ops.gsplat_core
    drawing = (width, height, USUAL.numbers())
    lists = ops.bin_splats(s.means2d, s.shapes, s.depths, s.opacities, s.radii, *drawing)
    splats = (s.shapes, s.opacities, s.colors, None, *lists, *drawing, *GAUSSIAN)
    image, alphas, *_ = ops.composite(s.means2d, *splats, *NO_CARRIERS)
    yield "forward", int(lists[1].numel())
    upstream = (torch.ones_like(image), torch.ones_like(alphas))
    ops.composite_backward(s.means2d, *splats, image, alphas, *upstream)
    yield "backward", int(lists[1].numel())


def render(path: Path, width: int, height: int) -> Iterator[tuple[str, int]]:
    """Renders a scene from a view of its orbit and differentiates the image, likewise."""
    gaussians = io.load(path)
    lens = default_lens(width, height)
    camera = orbit_of_gaussians(gaussians, up=(0.0, -1.0, 0.0)).cameras(lens, 8)[0]
    seen = primitive.evaluate(gaussians)
    for leaf in (seen.means, seen.quats, seen.scales, seen.opacities, *seen.colors):
        leaf.requires_grad_()
    rendered = render_scene(seen, camera, USUAL.as_trained(gaussians.metadata))
    yield "forward", int(rendered.meta["flatten_ids"].numel())
    rendered.colors.sum().backward()
    yield "backward", int(rendered.meta["flatten_ids"].numel())


def print_kernels(counters: Counters) -> None:
    """One line for every kernel."""
    columns: dict[str, Any] = {
        "threads": lambda c: f"{c['threads']:,}",
        "barriers": lambda c: f"{c['barriers']:,}",
        "warp ops": lambda c: f"{c['warp_collectives']:,}",
        "global atomics": lambda c: f"{c['global_atomics']:,}",
        "loads MB": lambda c: f"{c['global_load_bytes'] / MEGABYTE:.2f}",
        "stores MB": lambda c: f"{c['global_store_bytes'] / MEGABYTE:.2f}",
        "sectors MB": lambda c: f"{c['global_sectors'] * 32 / MEGABYTE:.2f}",
        "shared loads MB": lambda c: f"{c['shared_load_bytes'] / MEGABYTE:.2f}",
        "shared per block": lambda c: f"{c['shared_bytes']:,}",
        "active lanes": lambda c: lanes_per_instruction(c["memory_instructions"]),
    }
    rows = [["kernel", *columns]]
    rows += [[name, *(show(c) for show in columns.values())] for name, c in sorted(counters.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells))


def print_traffic(part: Pass, pixels: int) -> None:
    """Bytes against the least possible: each splat read once per tile that it touches, each pixel written
    once, or, backward, its values and their gradients read once."""
    counted = part.counters.values()
    moved = sum(c["global_load_bytes"] + c["global_store_bytes"] for c in counted)
    atomic = 4 * sum(c["global_atomics"] for c in counted)
    of_a_pixel = PIXEL_BYTES * (1 if part.name == "forward" else 2)
    least = SPLAT_BYTES * part.intersections + of_a_pixel * pixels
    print(
        f"{part.name}: all kernels moved {moved / MEGABYTE:.1f} MB, {moved / pixels:.0f} bytes per pixel, "
        f"{moved / least:.2f} times the least possible ({least / MEGABYTE:.1f} MB), "
        f"and {atomic / MEGABYTE:.1f} MB atomically"
    )


def lanes_per_instruction(turns: list[int]) -> str:
    lanes, warps = turns
    return f"{lanes / warps:.1f}" if warps else "-"


def compositing(counters: Counters, pixels: int) -> dict[str, dict[str, float]]:
    """Figures of the loops over pixels and splats, by kernel: those that have ceilings."""
    compiled = ceilings.read()["90"]
    figures = {}
    for kernel, counted in sorted(counters.items()):
        if "visits" not in counted["events"]:
            continue
        (_, rows), (_, visits) = counted["events"]["pairs"], counted["events"]["visits"]
        of_kernel = {"slots per pixel": 32 * rows / pixels}
        loop = compiled.get(kernel, {})
        if "per row" in loop:
            modelled = visits * loop["per visit"] + rows * loop["per row"]
            of_kernel["million warp instructions"] = modelled / 1e6
        if counted["global_atomics"]:
            of_kernel["atomics per visit"] = counted["global_atomics"] / visits
        figures[kernel] = {quantity: round(value, 2) for quantity, value in of_kernel.items()}
    return figures


if __name__ == "__main__":
    tyro.cli(main)
