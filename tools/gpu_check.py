"""Everything about the CUDA backend that can only be checked where there is a GPU, in one table.

    GSPLAT_CUDA=1 make build        (or `pip install .` with a CUDA build of PyTorch)
    python tools/gpu_check.py

- parity: the tests that compare renderers with the float64 reference, on the GPU;
- kernels: milliseconds of every stage on the reference scene of `gsplat-core bench`, by the GPU's own clock,
  and the same stage on the CPU for comparison;
- graph: the sequence without synchronisation, captured in a CUDA graph and replayed;
- training: the sample scene of data/, trained on the GPU with the preset `tiny`, by each optimizer.

The exit code tells whether all checks passed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from gsplat_core import losses, optim
from gsplat_core.ops.gauss_newton import GEOMETRY, MOMENTS, PAIRS
from gsplat_core.ops.variants import GAUSSIAN, NO_CARRIERS
from gsplat_core.render import stages
from gsplat_core.render.settings import USUAL
from trainers.benchmark.splats import random_splats

ROOT = Path(__file__).resolve().parent.parent
PARITY_TESTS = [
    "tests/test_rasterizer.py", "tests/test_contributions.py", "tests/test_forward_mode.py", "tests/ops",
    "tests/second_order", "tests/test_losses.py", "tests/test_optim.py", "tests/densify/test_mcmc.py",
    "tests/compress/test_plas.py",
]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    check: str
    result: str
    passed: bool = True


def main(gaussians: int = 150_000, width: int = 960, height: int = 540, repeats: int = 20) -> None:
    """Check the CUDA backend.

    Args:
        gaussians, width, height: of the scene whose stages are timed.
        repeats: times are medians of so many runs.
    """
    if not torch.cuda.is_available():
        raise SystemExit("gpu_check: PyTorch sees no GPU")
    if not torch._C._dispatch_has_kernel_for_dispatch_key("gsplat_core::composite", "CUDA"):
        raise SystemExit("gpu_check: this build has no CUDA backend; build it with GSPLAT_CUDA=1")
    rows = [Row("device", torch.cuda.get_device_name())]
    for line in torch.ops.gsplat_core.build_info().splitlines():
        if line.startswith(("version", "CUDA")):
            rows.append(Row(*line.split(": ", 1)))
    for check in (parity, lambda: kernels(gaussians, width, height, repeats), graph, training):
        rows += check()
    for row in rows:
        print(f"{row.check:<44} {row.result:<28} {'' if row.passed else 'FAILED'}".rstrip())
    sys.exit(0 if all(row.passed for row in rows) else 1)


def parity() -> Iterator[Row]:
    """The test suite's comparisons; a test that needs a GPU runs where there is one."""
    on_gpu = ["-k", "cuda and not cuda-on-cpu"]
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", *on_gpu, *PARITY_TESTS]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    summary = result.stdout.strip().splitlines()[-1] if result.stdout.strip() else result.stderr[-200:]
    yield Row("parity with the reference", summary, result.returncode == 0)


def kernels(gaussians: int, width: int, height: int, repeats: int) -> Iterator[Row]:
    """Times of the stages on both devices."""
    for stage, on_cpu, on_gpu in zip(
        STAGES,
        stage_times("cpu", gaussians, width, height, 3),
        stage_times("cuda", gaussians, width, height, repeats),
        strict=True,
    ):
        yield Row(f"{stage} ms", f"{on_gpu:.3f}   (CPU {on_cpu:.1f}, {on_cpu / on_gpu:.0f} x)")


STAGES = (
    "project, 3D Gaussians", "project backward", "spherical harmonics", "spherical harmonics backward",
    "bin", "composite", "composite backward", "L1 + SSIM with gradient", "Adam, 59 numbers per Gaussian",
    "project, forward mode", "spherical harmonics, forward mode", "composite, forward mode",
    "moments of all splats", "blocks of all Gaussians", "factors of the blocks", "solution with the factors",
    "3 nearest neighbours", "nearest of 256 centroids, 45 numbers", "means of 256 clusters, 45 numbers",
    "sorted grid of 128 x 128, 14 numbers",
)  # fmt: skip


def stage_times(device: str, gaussians: int, width: int, height: int, repeats: int) -> list[float]:
    """Milliseconds of each stage, in the order of STAGES."""
    g = torch.Generator().manual_seed(0)
    ops = torch.ops.gsplat_core

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=g).to(device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g).to(device)

    def timed(function: Callable[[], object]) -> float:
        return milliseconds(function, device, repeats)

    means = normal(1, gaussians, 3) + torch.tensor([0.0, 0.0, 6.0], device=device)
    viewmats = torch.eye(4, device=device)[None, None]
    focal = 0.8 * width
    Ks = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], device=device)[None, None]
    scene = (means, normal(1, gaussians, 4), 0.01 * uniform(1, gaussians, 3), None, uniform(1, gaussians))
    drawing = (width, height, USUAL.numbers())
    cameras = (viewmats, Ks, None, "pinhole", *drawing)
    splats = ops.project(*scene, *cameras)
    v_splats = [torch.ones_like(s) for s in splats[:4]]
    sh = (uniform(1, gaussians, 1, 3), uniform(1, gaussians, 15, 3))
    colors = ops.spherical_harmonics(3, means, viewmats, *sh, splats[4])
    v_colors = torch.ones_like(colors)

    s = random_splats(gaussians, width, height)
    shapes = [x.to(device) for x in (s.means2d, s.shapes, s.depths, s.opacities, s.radii)]
    lists = ops.bin_splats(*shapes, *drawing)
    blended = (shapes[0], shapes[1], shapes[3], s.colors.to(device), None, *lists, *drawing, *GAUSSIAN)
    image, alphas, *_ = ops.composite(*blended, *NO_CARRIERS)
    upstream = (image, alphas, torch.ones_like(image), torch.ones_like(alphas))
    target = uniform(1, height, width, 3)
    parameter = torch.nn.Parameter(normal(gaussians, 59))
    parameter.grad = normal(gaussians, 59)
    adam = optim.Adam([parameter])
    # The tangents are the values themselves: their size does not matter to the kernels.
    moving = (*scene, viewmats, Ks, None)
    t_splats = (shapes[0], shapes[1], shapes[3], s.colors.to(device))
    moments = uniform(1, 1, gaussians, MOMENTS)
    seen = (3, *sh, splats[4], colors, moments)
    blocks = uniform(gaussians, PAIRS)
    numbers = 100 * torch.ones(gaussians, GEOMETRY, device=device)
    factors = ops.factor_blocks(blocks, numbers)
    vectors, picture = normal(gaussians, 45), uniform(128, 128, 14)
    labels, _ = ops.nearest_centroids(vectors, vectors[:256])
    return [
        timed(lambda: ops.project(*scene, *cameras)),
        timed(lambda: ops.project_backward(*scene, *cameras, splats[4], *v_splats, False)),
        timed(lambda: ops.spherical_harmonics(3, means, viewmats, *sh, splats[4])),
        timed(
            lambda: ops.spherical_harmonics_backward(
                3, means, viewmats, *sh, splats[4], colors, v_colors, False
            )
        ),
        timed(lambda: ops.bin_splats(*shapes, *drawing)),
        timed(lambda: ops.composite(*blended, *NO_CARRIERS)),
        timed(lambda: ops.composite_backward(*blended, *upstream)),
        timed(lambda: ops.l1_ssim(image, target, 0.2, False, True)),
        timed(adam.step),
        timed(lambda: ops.project_jvp(*scene, *cameras, splats[4], *moving)),
        timed(
            lambda: ops.spherical_harmonics_jvp(
                3, means, viewmats, *sh, splats[4], colors, means, viewmats, *sh
            )
        ),
        timed(lambda: ops.composite_jvp(*blended, *t_splats, None, None, None)),
        timed(lambda: ops.composite_moments(*blended[:-4], image, target)),
        timed(lambda: ops.gauss_newton_blocks(*scene[:3], *scene[4:], *cameras, *seen)),
        timed(lambda: ops.factor_blocks(blocks, numbers)),
        timed(lambda: ops.solve_blocks(factors, numbers)),
        timed(lambda: ops.knn(means[0], 3)),
        timed(lambda: ops.nearest_centroids(vectors, vectors[:256])),
        timed(lambda: ops.cluster_means(vectors, labels, 256)),
        timed(lambda: ops.grid_sort(picture, 0, 4.0, 0.5, 0.01)),
    ]


def milliseconds(function: Callable[[], object], device: str, repeats: int) -> float:
    """The median time of a call, after two to warm up."""
    for _ in range(2):
        function()
    times = []
    for _ in range(repeats):
        if device == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            function()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end))
        else:
            begin = time.perf_counter()
            function()
            times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


def graph() -> Iterator[Row]:
    """A forward and backward pass captured once and replayed gives what calling it gives."""
    s = random_splats(5000, 320, 240)
    splats = stages.Splats(*(x.cuda()[None] for x in (s.means2d, s.shapes, s.depths, s.opacities, s.radii)))
    colors = s.colors.cuda()[None].requires_grad_()
    target = torch.rand(1, 240, 320, 3, device="cuda")

    def render() -> tuple[Tensor, Tensor]:
        tiles, totals = stages.bin_splats_bounded(splats, 320, 240, max_intersections=100_000)
        image = stages.composite(splats, colors, None, tiles, 320, 240).colors
        loss = losses.l1_dssim(image[0, 0], target[0])
        (gradient,) = torch.autograd.grad(loss, colors)
        return gradient, totals

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            expected, totals = render()
    torch.cuda.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        gradient, _ = render()
    captured.replay()
    torch.cuda.synchronize()
    error = ((gradient - expected).norm() / expected.norm()).item()
    fits = int(totals[1]) <= 100_000
    yield Row("CUDA graph of a pass, relative difference", f"{error:.1e}", error < 1e-4 and fits)


def training() -> Iterator[Row]:
    """The sample scene, finished by Adam or by Levenberg-Marquardt."""
    for optimizer in ("adam", "lm"):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            command = [
                sys.executable, "-m", "trainers.cli", "train", str(ROOT / "data"), "-o", str(run),
                "--preset", "tiny", "--device", "cuda", "--optimizer", optimizer,
            ]  # fmt: skip
            result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if result.returncode != 0:
                yield Row(f"training of data/ with {optimizer}", result.stderr.strip()[-200:], False)
                continue
            metrics = json.loads((run / "metrics.json").read_text())
        took = f"{metrics['psnr']:.2f} dB in {metrics['train_seconds']:.1f} s"
        yield Row(f"training of data/ with {optimizer}, {metrics['steps']} steps", took, metrics["psnr"] > 20)


if __name__ == "__main__":
    tyro.cli(main)
