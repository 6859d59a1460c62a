"""Truncated signed distances: against a computation voxel by voxel; meshes of distances that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from gsplat_core.mesh.mesh import Mesh
from gsplat_core.ops.tsdf import (
    BLOCK_VOXELS,
    VOXEL_VALUES,
    block_positions,
    tsdf_blocks,
    tsdf_integrate_,
    tsdf_mesh,
)

SIDE, TRUNCATION = 0.05, 0.2
K = torch.tensor([[40.0, 0, 16.3], [0, 42.0, 11.6], [0, 0, 1]], dtype=torch.float64)
HEIGHT, WIDTH = 24, 32


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def view(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Depths [H, W] of a rough wall with a step in it, weights with holes, colours, and the camera."""
    random = torch.Generator().manual_seed(seed)
    depths = 1.5 + 0.1 * torch.rand(HEIGHT, WIDTH, generator=random)
    depths[:, WIDTH // 2 :] += 0.5
    weights = torch.rand(HEIGHT, WIDTH, generator=random)
    weights[weights < 0.1] = 0
    depths[0, :3] = torch.tensor([float("nan"), -1.0, float("inf")])
    turn = 0.2 * (seed - 1)
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[0, 0] = viewmat[2, 2] = np.cos(turn)
    viewmat[0, 2], viewmat[2, 0] = np.sin(turn), -np.sin(turn)
    viewmat[:3, 3] = torch.tensor([0.3, 0.1 * seed, -0.05])
    return depths, weights, torch.rand(HEIGHT, WIDTH, 3, generator=random), viewmat


def blocks_of(*seeds: int) -> Tensor:
    found = []
    for seed in seeds:
        depths, weights, _, viewmat = view(seed)
        found.append(tsdf_blocks(depths, weights, viewmat, K, SIDE, TRUNCATION))
    return torch.unique(torch.cat(found))


def lattice(keys: Tensor) -> np.ndarray:
    """[M, 512, 3] the numbers of the voxels of blocks, x fastest."""
    k, j, i = np.meshgrid(*[np.arange(8)] * 3, indexing="ij")
    return 8 * block_positions(keys).numpy()[:, None] + np.stack([i, j, k], axis=-1).reshape(1, -1, 3)


def densely_integrated(voxels: np.ndarray, places: np.ndarray, seed: int) -> None:
    """The definition, voxel by voxel in float64: voxels [P, 6] at places [P, 3]."""
    depths, weights, colors, viewmat = (tensor.double().numpy() for tensor in view(seed))
    fx, fy, cx, cy = (float(K[row, column]) for row, column in ((0, 0), (1, 1), (0, 2), (1, 2)))

    def known(y: int, x: int) -> bool:
        return bool(weights[y, x] > 0 and np.isfinite(depths[y, x]) and depths[y, x] > 0)

    for voxel, place in zip(voxels, places, strict=True):
        x, y, z = viewmat[:3, :3] @ place + viewmat[:3, 3]
        if z <= 0:
            continue
        u, v = fx * x / z + cx, fy * y / z + cy
        if not (0 <= u < WIDTH and 0 <= v < HEIGHT):
            continue
        left, top = int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
        four = [(top + dy, left + dx) for dy in (0, 1) for dx in (0, 1)]
        inside = 0 <= left < WIDTH - 1 and 0 <= top < HEIGHT - 1
        if inside and all(known(*p) for p in four) and np.ptp([depths[p] for p in four]) < TRUNCATION:
            a, b = u - 0.5 - left, v - 0.5 - top
            shares = [(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b]
            depth = 1 / sum(s / depths[p] for s, p in zip(shares, four, strict=True))
            weight = sum(s * weights[p] for s, p in zip(shares, four, strict=True))
            color = sum(s * colors[p] for s, p in zip(shares, four, strict=True))
        elif known(int(v), int(u)):
            depth, weight, color = (image[int(v), int(u)] for image in (depths, weights, colors))
        else:
            continue
        along = (depth - z) * np.linalg.norm([x / z, y / z, 1]) / TRUNCATION
        if along < -1:
            continue
        distance = min(along, 1)
        of_color = weight * (1 - abs(distance))
        total, colored = voxel[1] + weight, voxel[5] + of_color
        voxel[0] = (voxel[0] * voxel[1] + distance * weight) / total
        if of_color > 0:
            voxel[2:5] = (voxel[2:5] * voxel[5] + color * of_color) / colored
        voxel[1], voxel[5] = total, colored


def test_voxels_are_those_of_the_definition() -> None:
    keys = blocks_of(0, 1)[::5]
    voxels = torch.zeros(len(keys), BLOCK_VOXELS, VOXEL_VALUES)
    expected = np.zeros((len(keys) * BLOCK_VOXELS, VOXEL_VALUES))
    for seed in (0, 1):
        depths, weights, colors, viewmat = view(seed)
        tsdf_integrate_(voxels, keys, depths, weights, colors, viewmat, K, SIDE, TRUNCATION)
        densely_integrated(expected, SIDE * lattice(keys).reshape(-1, 3), seed)
    got = voxels.reshape(-1, VOXEL_VALUES).double().numpy()
    assert (expected[:, 1] > 0).sum() > 1000
    # Which pixel a place at a pixel's edge belongs to is decided by rounding.
    wrong = ~np.isclose(got, expected, rtol=1e-4, atol=1e-5).all(axis=1)
    assert wrong.mean() < 1e-3


def test_blocks_are_there_along_every_ray_near_its_surface() -> None:
    depths, weights, _, viewmat = view(1)
    keys = tsdf_blocks(depths, weights, viewmat, K, SIDE, TRUNCATION)
    there = set(map(tuple, block_positions(keys).tolist()))
    assert (keys[1:] > keys[:-1]).all()
    wanted = set()
    for y, x in np.ndindex(HEIGHT, WIDTH):
        depth = float(depths[y, x])
        if not (weights[y, x] > 0 and np.isfinite(depth) and depth > 0):
            continue
        ray = np.array(
            [(x + 0.5 - float(K[0, 2])) / float(K[0, 0]), (y + 0.5 - float(K[1, 2])) / float(K[1, 1]), 1]
        )
        reach = TRUNCATION / np.linalg.norm(ray)
        for t in np.linspace(depth - 0.999 * reach, depth + 0.999 * reach, 60):
            place = viewmat[:3, :3].numpy().T @ (t * ray - viewmat[:3, 3].numpy())
            wanted.add(tuple(np.floor((place / SIDE + 0.5) / 8).astype(int).tolist()))
    assert wanted <= there
    # Besides, only what a ray cuts the corner of, between two of these samples.
    assert len(there) <= 1.05 * len(wanted)


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_gives_the_same_bytes(threads: int) -> None:
    def fused(threads: int) -> list[bytes]:
        torch.set_num_threads(threads)
        keys = blocks_of(0, 1, 2)
        voxels = torch.zeros(len(keys), BLOCK_VOXELS, VOXEL_VALUES)
        for seed in (0, 1, 2):
            depths, weights, colors, viewmat = view(seed)
            tsdf_integrate_(voxels, keys, depths, weights, colors, viewmat, K, SIDE, TRUNCATION)
        return [tensor.numpy().tobytes() for tensor in (keys, voxels, *tsdf_mesh(voxels, keys, SIDE, 0.1))]

    assert fused(threads) == fused(1)


def field(distance: Callable[[np.ndarray], np.ndarray], reach: int = 2) -> tuple[Tensor, Tensor]:
    """Keys and voxels of all blocks within `reach` of the origin.

    Args:
        distance: [...] of places [..., 3], in voxels.
    """
    span = np.arange(-reach, reach)
    blocks = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    keys = torch.from_numpy(((blocks + (1 << 20)) * np.array([1 << 42, 1 << 21, 1])).sum(axis=1))
    assert (block_positions(keys).numpy() == blocks).all()
    places = lattice(keys).astype(np.float64)
    voxels = np.zeros((*places.shape[:2], VOXEL_VALUES), np.float32)
    voxels[..., 0] = distance(places)
    voxels[..., 1] = voxels[..., 5] = 1
    voxels[..., 2:5] = places / 32 + 0.5
    return keys, torch.from_numpy(voxels)


def mesh_of(keys: Tensor, voxels: Tensor, side: float = 1.0, weight: float = 0.5) -> Mesh:
    vertices, faces, colors = tsdf_mesh(voxels, keys, side, weight)
    return Mesh(vertices.numpy(), faces.numpy(), (255 * colors).byte().numpy())


def volume(mesh: Mesh) -> float:
    a, b, c = mesh.vertices[mesh.faces].astype(np.float64).transpose(1, 0, 2)
    return float(np.einsum("fi,fi->", a, np.cross(b, c)) / 6)


def test_the_mesh_of_a_ball_is_closed_round_and_turned_outward() -> None:
    middle, radius = np.array([0.3, -0.2, 0.1]), 10.3
    keys, voxels = field(lambda p: np.linalg.norm(p - middle, axis=-1) - radius)
    mesh = mesh_of(keys, voxels, side=0.1)
    assert mesh.is_watertight
    assert len(mesh.vertices) - len(mesh.faces) / 2 == 2  # Euler's number of a sphere
    # Along a diagonal of a cell, the distance bends off the line by so much.
    bend = 3 / (8 * radius)
    assert np.abs(np.linalg.norm(mesh.vertices / 0.1 - middle, axis=1) - radius).max() < 1.02 * bend
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * (0.1 * radius) ** 3, rel=0.01)


def test_any_field_has_a_closed_mesh_where_the_border_is_outside() -> None:
    random = np.random.default_rng(0)

    def noise(places: np.ndarray) -> np.ndarray:
        values = random.normal(size=places.shape[:-1])
        values[random.random(values.shape) < 0.1] = 0  # on the surface itself
        border = (places <= -16).any(axis=-1) | (places >= 15).any(axis=-1)
        return np.where(border, 1.0, values)

    mesh = mesh_of(*field(noise))
    assert mesh.is_watertight
    assert volume(mesh) > 0
    assert mesh.areas().min() > 0


def test_a_plane_is_met_exactly_with_the_colours_there() -> None:
    normal = np.array([0.48, 0.6, 0.64])
    keys, voxels = field(lambda p: (p @ normal - 1.7) / 30)
    mesh = mesh_of(keys, voxels)
    assert np.abs(mesh.vertices @ normal - 1.7).max() < 0.002
    assert np.abs(mesh.colors / 255 - (mesh.vertices / 32 + 0.5)).max() < 1.5 / 255


def test_what_is_not_trusted_leaves_a_hole_and_no_loose_vertices() -> None:
    keys, voxels = field(lambda p: p[..., 0] - 0.5)
    whole = mesh_of(keys, voxels)
    places = lattice(keys)
    voxels[..., 1][torch.from_numpy((np.abs(places[..., 1]) < 3) & (np.abs(places[..., 2]) < 3))] = 0.4
    mesh = mesh_of(keys, voxels)
    assert len(mesh.faces) < len(whole.faces)
    assert (np.abs(mesh.vertices[:, 1:]).max(axis=1) >= 2.49).all()
    assert len(np.unique(mesh.faces)) == len(mesh.vertices)
    assert mesh_of(keys, voxels, weight=0.3).faces.shape == whole.faces.shape


def test_nothing_has_a_mesh_of_nothing() -> None:
    keys = torch.zeros(0, dtype=torch.int64)
    mesh = mesh_of(keys, torch.zeros(0, BLOCK_VOXELS, VOXEL_VALUES))
    assert mesh.vertices.shape == mesh.faces.shape == (0, 3)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"side": 0.0}, "'side'"),
        ({"truncation": 0.01}, "'truncation'"),
        ({"depths": torch.ones(3)}, "'depths'"),
        ({"weights": torch.ones(2, 2)}, "'weights'"),
        ({"viewmat": torch.eye(4)}, "'viewmat'"),
        ({"viewmat": torch.full((4, 4), float("nan"), dtype=torch.float64)}, "'viewmat'"),
        ({"K": torch.zeros(3, 3, dtype=torch.float64)}, "'K'"),
    ],
)
def test_arguments_that_do_not_fit_are_named(changed: dict[str, object], named: str) -> None:
    depths, weights, _, viewmat = view(0)
    arguments = {
        "depths": depths, "weights": weights, "viewmat": viewmat, "K": K, "side": SIDE,
        "truncation": TRUNCATION,
    }  # fmt: skip
    with pytest.raises(RuntimeError, match=named):
        tsdf_blocks(**{**arguments, **changed})


def test_keys_must_ascend_and_voxels_be_theirs() -> None:
    keys, voxels = torch.tensor([5, 5]), torch.zeros(2, BLOCK_VOXELS, VOXEL_VALUES)
    with pytest.raises(RuntimeError, match="'keys' must ascend"):
        tsdf_mesh(voxels, keys, 1.0, 1.0)
    with pytest.raises(RuntimeError, match="'voxels'"):
        tsdf_mesh(voxels, torch.tensor([4]), 1.0, 1.0)
