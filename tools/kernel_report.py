"""What the CUDA kernels do to one image, forward and backward, counted while they are executed on the CPU.

    python tools/kernel_report.py                      the reference frame: random splats, 960 x 540
    python tools/kernel_report.py --scene scene.ply    a trained scene, seen from its orbit
    python tools/kernel_report.py --profile            lanes per warp instruction and sectors as well

Bytes are those of plain accesses; atomic operations are counted apart, each of one lane. A "slot" is a lane
of a warp that evaluates pairs of a pixel and a splat, whether its own is used or not. The model multiplies
what was counted with the instructions that nvcc makes of the compositing loops (ceilings.json, sm_90).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
import tyro

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from cuda_on_cpu.operators import emulated

import gsplat_core
from gsplat_core import io
from trainers.benchmark.splats import random_splats
from trainers.camera_paths import default_lens, orbit_of_gaussians

CEILINGS = Path(__file__).resolve().parent / "static_report" / "ceilings.json"
TILE_SIZE = 16
SPLAT_BYTES = 9 * 4  # mean, conic root, opacity and colour: what compositing must know of a splat
MEGABYTE = 1e6

Counters = dict[str, dict[str, Any]]


def main(
    scene: Path | None = None,
    gaussians: int = 150_000,
    width: int = 960,
    height: int = 540,
    median_sigma: float = 1.5,
    profile: bool = False,
    check: bool = True,
    seed: int = 0,
) -> None:
    """Count what the CUDA kernels do.

    Args:
        scene: a file of Gaussians; without, random splats that are projected already.
        gaussians, median_sigma: how many random splats, and their size in pixels.
        width, height: of the image in pixels.
        profile: count lanes per memory instruction and sectors of 32 bytes.
        check: look for races and the like, and count bytes; without, it takes a third of the time.
        seed: of the order of threads; 0 is in order.
    """
    torch.set_num_threads(1)
    with emulated(seed=seed, check=check, profile=profile) as library:
        library.take_counters()
        if scene is None:
            intersections = composite_random_splats(gaussians, width, height, median_sigma)
        else:
            intersections = render(scene, width, height)
        counters = library.take_counters()
    print_kernels(counters, width * height)
    print_compositing(counters, width * height, intersections)


def composite_random_splats(num: int, width: int, height: int, median_sigma: float) -> int:
    """Bins and composites, forward and backward; returns the number of intersections."""
    s = random_splats(num, width, height, median_sigma)
    ops = torch.ops.gsplat_core
    lists = ops.bin_splats(s.means2d, s.conic_roots, s.depths, s.opacities, s.radii, width, height, TILE_SIZE)
    size = (width, height, TILE_SIZE, 0.99)
    splats = (s.conic_roots, s.opacities, s.colors, None, *lists, *size)
    image, alphas, _ = ops.composite(s.means2d, None, None, *splats)
    upstream = (torch.ones_like(image), torch.ones_like(alphas))
    ops.composite_backward(s.means2d, *splats, image, alphas, *upstream, None, False)
    return int(lists[1].numel())


def render(path: Path, width: int, height: int) -> int:
    """Renders a scene from a view of its orbit and differentiates the image."""
    gaussians = io.load(path)
    lens = default_lens(width, height)
    camera = orbit_of_gaussians(gaussians, up=(0.0, -1.0, 0.0)).cameras(lens, 8)[0]
    leaves = gaussians.activated()
    for leaf in leaves.values():
        if isinstance(leaf, torch.Tensor):
            leaf.requires_grad_()
    matrices = {"viewmats": camera.viewmat, "Ks": camera.K}
    cameras = {name: torch.tensor(matrix).float()[None] for name, matrix in matrices.items()}
    image, _, meta = gsplat_core.rasterization(**leaves, **cameras, width=width, height=height, sh_degree=3)
    image.sum().backward()
    return int(meta["flatten_ids"].numel())


def print_kernels(counters: Counters, pixels: int) -> None:
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
    moved = sum(c["global_load_bytes"] + c["global_store_bytes"] for c in counters.values())
    print(f"\nall kernels moved {moved / MEGABYTE:.1f} MB, {moved / pixels:.0f} bytes per pixel")


def compiled_name(kernel: str) -> str:
    """The name as nvcc's symbols have it, where enumerators are numbers."""
    for number, enumerator in enumerate(("none", "absolute", "absolute_and_statistics")):
        kernel = re.sub(rf"\b{enumerator}\b", str(number), kernel)
    return kernel


def lanes_per_instruction(turns: list[int]) -> str:
    lanes, warps = turns
    return f"{lanes / warps:.1f}" if warps else "-"


def print_compositing(counters: Counters, pixels: int, intersections: int) -> None:
    """Slots, model of the time, and traffic against the least possible: each splat read once per tile that it
    touches, and the output written."""
    static = json.loads(CEILINGS.read_text())["90"] if CEILINGS.exists() else {}
    print(f"\n{intersections:,} intersections of splats and tiles, {pixels:,} pixels")
    for kernel, counted in sorted(counters.items()):
        if "visits" not in counted["events"]:
            continue
        (_, rows), (_, visits) = counted["events"]["pairs"], counted["events"]["visits"]
        print(kernel)
        print(f"  {32 * rows / pixels:.1f} slots per pixel; {rows / visits:.2f} rows of pixels per visit")
        loop = static.get(compiled_name(kernel), {})
        if "per row" in loop:
            modelled = visits * loop["per visit"] + rows * loop["per row"]
            print(f"  modelled: {modelled / 1e6:.1f} M warp instructions in the loop")
        if counted["global_load_bytes"]:
            moved = counted["global_load_bytes"] + counted["global_store_bytes"]
            least = intersections * SPLAT_BYTES + counted["global_store_bytes"]
            print(f"  moved {moved / MEGABYTE:.1f} MB; {moved / least:.2f} times the least possible")
        if counted["global_atomics"]:
            print(f"  {counted['global_atomics'] / visits:.2f} global atomics per visit")


if __name__ == "__main__":
    tyro.cli(main)
