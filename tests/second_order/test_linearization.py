"""J p, J^T u and the blocks of J^T W J against a dense Jacobian."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from second_order.scenes import dense_jacobian, flat, random_vector, render, scene
from torch import Tensor

from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import bin_splats
from gsplat_core.render.variants import CAMERAS
from gsplat_core.second_order.linearization import (
    GEOMETRY,
    Linearization,
    Settings,
    _alike,
    join_geometry,
    keep_tiles,
    split_geometry,
)
from gsplat_core.second_order.vectors import dot

SETTINGS = {
    "classic": Settings(sh_degree=1),
    "antialiased over a background": Settings(
        1, torch.tensor([0.9, 0.3, 0.6]), RenderSettings(antialiased=True)
    ),
    "degree below the stored one": Settings(sh_degree=0, drawn=RenderSettings(tile_size=8)),
}


on_every_backend = pytest.mark.usefixtures("backend")


PROBLEMS = {
    **{name: (settings, "pinhole") for name, settings in SETTINGS.items()},
    **{camera: (SETTINGS["classic"], camera) for camera in CAMERAS if camera != "pinhole"},
}


@pytest.fixture(params=PROBLEMS, scope="module")
def problem(request: pytest.FixtureRequest):
    """A scene, its views and their Jacobian; by reverse mode on the CPU."""
    settings, model = PROBLEMS[request.param]
    gaussians, cameras = scene(model=model)
    return gaussians, cameras, settings, dense_jacobian(gaussians, cameras, settings)


def linearized(problem) -> Linearization:
    gaussians, cameras, settings, _ = problem
    return Linearization(gaussians, cameras, settings, at_once=1 if settings.drawn.antialiased else 4)


def numbers(linearization: Linearization, seed: int = 0) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [torch.rand(image.shape, generator=g) for image in linearization.images]


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    return bool((a - b).norm() <= tolerance * b.norm())


@on_every_backend
def test_images_are_those_of_rasterization(problem) -> None:
    gaussians, cameras, settings, _ = problem
    for image, camera in zip(linearized(problem).images, cameras, strict=True):
        assert torch.equal(image, render(gaussians, camera, settings))


@on_every_backend
def test_products(problem) -> None:
    gaussians, _, _, dense = problem
    linearization = linearized(problem)
    p = random_vector(gaussians)
    assert close(flat(dict(enumerate(linearization.jvp(p)))), dense @ flat(p))
    u = numbers(linearization)
    assert close(flat(linearization.vjp(u)), flat(dict(enumerate(u))) @ dense)


@on_every_backend
def test_blocks_and_diagonal_are_exact(problem) -> None:
    gaussians, _, _, dense = problem
    linearization = linearized(problem)
    w = numbers(linearization)
    matrix = dense.T @ (flat(dict(enumerate(w)))[:, None] * dense)
    blocks = linearization.blocks(w)
    assert close(flat(blocks.diagonal()), matrix.diagonal())

    # The dense matrix's rows are parameter by parameter; find those of each Gaussian's geometry.
    index = torch.arange(dense.shape[1])
    places = dict(
        zip(gaussians.params, index.split([p.numel() for p in gaussians.params.values()]), strict=True)
    )
    rows = join_geometry({name: places[name].view(p.shape) for name, p in gaussians.params.items()})
    i, j = torch.triu_indices(GEOMETRY, GEOMETRY)
    for block, row in zip(blocks.geometry, rows, strict=True):
        assert close(block.double(), matrix[row[i], row[j]], 1e-4)


def test_probed_diagonal_converges_to_the_exact_one(problem) -> None:
    linearization = linearized(problem)
    w = numbers(linearization)
    exact = flat(linearization.blocks(w).diagonal())
    generator = torch.Generator().manual_seed(0)
    errors = [
        float((flat(linearization.probed_diagonal(w, probes, generator)) - exact).norm() / exact.norm())
        for probes in (4, 400)
    ]
    assert errors[1] < 0.1
    assert errors[1] < 0.25 * errors[0]


def test_adjoint_and_symmetric_on_a_larger_scene(backend) -> None:
    num, width, height = (300, 64, 48) if backend == "cuda-on-cpu" else (2000, 120, 90)
    gaussians, cameras = scene(num=num, width=width, height=height, sh_degree=3)
    linearization = Linearization(gaussians, cameras, Settings(3))
    p, q = random_vector(gaussians, 0), random_vector(gaussians, 1)
    jp, jq = linearization.jvp(p), linearization.jvp(q)
    w = numbers(linearization)

    def inner(a: list[Tensor], b: list[Tensor]) -> float:
        return dot(dict(enumerate(a)), dict(enumerate(b)))

    u = [change + 0.1 * change.std() * torch.rand_like(change) for change in jp]
    assert inner(jp, u) == pytest.approx(dot(p, linearization.vjp(u)), rel=1e-5)
    ap = linearization.vjp([weight * change for weight, change in zip(w, jp, strict=True)])
    aq = linearization.vjp([weight * change for weight, change in zip(w, jq, strict=True)])
    scale = (dot(p, ap) * dot(q, aq)) ** 0.5
    assert dot(p, aq) == pytest.approx(dot(q, ap), abs=1e-6 * scale)


@on_every_backend
def test_a_sample_of_the_tiles_has_the_rows_of_its_pixels() -> None:
    gaussians, cameras = scene(num=100, width=40, height=30)
    linearization = Linearization(gaussians, cameras, Settings(1, drawn=RenderSettings(tile_size=8)))
    sample = linearization.sampled(0.4, torch.Generator().manual_seed(0))
    p, u = random_vector(gaussians), numbers(linearization)
    masks = []
    for whole, part in zip(linearization.jvp(p), sample.jvp(p), strict=True):
        mask = part != 0
        assert torch.equal(part[mask], whole[mask])
        masks.append(mask)
    share = sum(float(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)
    assert 0.2 < share < 0.5
    masked = [mask * values for mask, values in zip(masks, u, strict=True)]
    assert close(flat(sample.vjp(u)), flat(linearization.vjp(masked)))
    whole, part = linearization.blocks(masked), sample.blocks(u)
    assert close(flat(part.diagonal()), flat(whole.diagonal()))


@on_every_backend
def test_all_tiles_kept_are_the_same_lists() -> None:
    gaussians, cameras = scene(num=100, width=40, height=30)
    (group, *_) = Linearization(gaussians, cameras, Settings(1))._groups
    tiles = bin_splats(group.splats, group.cameras.width, group.cameras.height)
    everything = torch.ones(tiles.offsets.numel() - 1, dtype=torch.bool)
    kept = keep_tiles(tiles, everything, group.splats.depths.numel())
    for a, b in zip(kept, tiles, strict=True):
        assert torch.equal(a, b)
        assert a.dtype == b.dtype


def test_geometry_is_split_and_joined() -> None:
    rows = torch.rand(5, GEOMETRY)
    parts = dict(zip(("means", "quats", "scales", "opacities"), split_geometry(rows), strict=True))
    assert torch.equal(join_geometry(parts), rows)


def test_the_same_bits_for_any_number_of_threads() -> None:
    gaussians, cameras = scene(num=5000, width=120, height=90, sh_degree=3)
    p = random_vector(gaussians)
    before, results = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        linearization = Linearization(gaussians, cameras, Settings(3))
        u = linearization.jvp(p)
        blocks = linearization.blocks([change.square() for change in u])
        results.append([*linearization.vjp(u).values(), blocks.geometry, blocks.sh0, blocks.shN])
        results[-1].append(torch.tensor(dot(p, linearization.vjp(u))))
    torch.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


def test_views_are_drawn_together_that_have_one_size_and_camera() -> None:
    def view(width: int, height: int, model: str = "pinhole", near: float = 0.1) -> SimpleNamespace:
        return SimpleNamespace(width=width, height=height, model=model, near=near)

    views = [
        view(8, 6), view(8, 7), view(9, 6), view(8, 6), view(8, 6, "ortho"), view(8, 6), view(8, 6, near=0.2),
    ]  # fmt: skip
    assert _alike(views, 2) == [[0, 3], [5], [1], [2], [4], [6]]
    assert _alike(views, 3) == [[0, 3, 5], [1], [2], [4], [6]]
