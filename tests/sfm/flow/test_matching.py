"""Matches from flow and from COLMAP's tracks, the links between frames, and flow files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from paths import SAMPLE
from sfm.flow.moving_camera import moving_camera

from gsplat_core.errors import DataError
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.colmap import read_model
from gsplat_core.sfm.flow.chain import chained, strongest_links
from gsplat_core.sfm.flow.depth_grid import DepthSamples
from gsplat_core.sfm.flow.files import FlowPair, read_flow_pair
from gsplat_core.sfm.flow.followed import consistent, matches_of
from gsplat_core.sfm.flow.matches import Matches
from gsplat_core.sfm.flow.tracks import matches_of_tracks

HEIGHT, WIDTH, FOCAL = 48, 64, 0.9


def distances(matches: Matches, viewmats: torch.Tensor, depths: torch.Tensor) -> torch.Tensor:
    """[M] pixels between where the second frame shows the point of the first one, and where a match says."""
    size = torch.tensor([WIDTH, HEIGHT]).double()
    unit = float(size.prod().sqrt())
    here, there = (matches.places.double() * size).unbind(dim=1)
    frames = matches.frames
    row, column = here[:, 1].long().clamp(max=HEIGHT - 1), here[:, 0].long().clamp(max=WIDTH - 1)
    depth = depths[frames[:, 0], row, column]
    flat = torch.cat([(here - size / 2) / unit / FOCAL, torch.ones(len(here), 1)], dim=1)
    moved = viewmats[frames[:, 1]] @ torch.linalg.inv(viewmats[frames[:, 0]])
    local = (moved[:, :3, :3] @ (flat * depth[:, None])[..., None])[..., 0] + moved[:, :3, 3]
    return (local[:, :2] / local[:, 2:] * FOCAL * unit + size / 2 - there).norm(dim=-1)


def test_flow_is_followed_over_several_frames() -> None:
    truth = moving_camera(5, HEIGHT, WIDTH, FOCAL)
    matches = matches_of(truth.flows)
    assert matches.pairs()[0].tolist() == [[i, j] for i in range(5) for j in range(i + 1, 5)]
    apart = distances(matches, truth.viewmats, truth.depths)
    assert float(apart.median()) < 0.02
    assert float(apart.max()) < 1.0
    assert bool(((matches.places >= 0) & (matches.places <= 1)).all())


def test_flow_that_does_not_lead_back_is_left_out() -> None:
    flow = moving_camera(2, HEIGHT, WIDTH, FOCAL).flows[0]
    spoilt = FlowPair(flow.forward.clone(), flow.backward)
    spoilt.forward[:, : WIDTH // 2] += 7
    assert not bool(consistent(spoilt)[:, : WIDTH // 2 - 8].any())
    rows = matches_of([spoilt]).places[:, 0]
    assert len(rows)
    assert float(rows[:, 0].min()) > 0.3
    assert bool(consistent(FlowPair(spoilt.forward, None))[8:-8, 8 : WIDTH // 2 - 8].all())


def test_tracks_of_colmap_are_places_of_the_same_points() -> None:
    model = read_model(SAMPLE)
    images = {image.name: image for image in model.images}
    names = sorted(images)[:6]
    matches = matches_of_tracks(model, names, reach=2, most=30)
    pairs, _, counts = matches.pairs()
    assert {(i, i + 1) for i in range(5)} <= {tuple(pair) for pair in pairs.tolist()}
    near = (pairs[:, 1] - pairs[:, 0]) == 1
    assert int(counts[near].max()) <= 30
    assert int(counts[~near].max()) <= 7
    for (i, j), places in list(zip(matches.frames.tolist(), matches.places.numpy(), strict=True))[::7]:
        ids = []
        for frame, place in ((i, places[0]), (j, places[1])):
            image = images[names[frame]]
            lens = model.lenses[image.camera_id]
            apart = np.abs(image.keypoints / [lens.width, lens.height] - place).max(axis=1)
            near = np.flatnonzero(apart < 1e-6)
            ids.append({int(number) for number in image.point_ids[near] if number >= 0})
        assert ids[0] & ids[1]
    with pytest.raises(DataError, match=r"1 frames are not in the model, such as 'no\.jpg'"):
        matches_of_tracks(model, [*names, "no.jpg"], 2, 30)


def test_links_prefer_pairs_with_many_matches_and_skip_gaps() -> None:
    links = strongest_links([(0, 1), (1, 2), (0, 2), (3, 4)], [50, 5, 40, 9])
    assert [(link.known, link.found) for link in links] == [(0, 1), (0, 2)]


def test_poses_follow_from_the_links_in_either_direction() -> None:
    random = torch.Generator().manual_seed(0)
    R = rotation_matrices(torch.randn(4, 4, generator=random, dtype=torch.float64))
    R[0] = torch.eye(3)
    t = torch.randn(4, 3, generator=random, dtype=torch.float64)
    t[0] = 0
    pairs = [(2, 3), (0, 2), (1, 3)]
    links = strongest_links(pairs, [1, 1, 1])
    ends = [pairs[link.pair] for link in links]
    turns = torch.stack([R[j] @ R[i].T for i, j in ends])
    shifts = torch.stack([t[j] - R[j] @ R[i].T @ t[i] for i, j in ends])
    found = chained(links, turns, shifts)
    torch.testing.assert_close(found[0], R)
    torch.testing.assert_close(found[1], t)


def test_depths_between_the_numbers_of_a_grid_are_cubic() -> None:
    """Keys' interpolation has what is a parabola in the grid's numbers exactly."""
    x = (torch.arange(12) + 0.5) / 12
    places = 0.2 + 0.6 * torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    grid = torch.stack([torch.zeros(9, 12), (x**2 - 0.3 * x).expand(9, 12)])
    found = DepthSamples(torch.ones(50, dtype=torch.int64), places, (2, 9, 12)).of(grid)
    torch.testing.assert_close(found.log(), places[:, 0] ** 2 - 0.3 * places[:, 0], atol=1e-5, rtol=0)
    corner = DepthSamples(torch.zeros(1, dtype=torch.int64), torch.tensor([[0.0, 1.0]]), (1, 9, 12))
    assert corner.of(torch.full((1, 9, 12), 0.5)).log().tolist() == pytest.approx([0.5])


def test_flow_files_by_either_name(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).standard_normal((6, 8, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", flow)
    assert read_flow_pair(tmp_path, "a.jpg", "b.jpg", (80, 60)).backward is None
    np.save(tmp_path / "b.backward.npy", -flow)
    found = read_flow_pair(tmp_path, "a.jpg", "b.jpg", (80, 60))
    np.testing.assert_array_equal(found.forward.numpy(), flow)
    np.testing.assert_array_equal(found.backward.numpy(), -flow)  # type: ignore[union-attr]
    (tmp_path / "a.npy").rename(tmp_path / "b.forward.npy")
    np.testing.assert_array_equal(read_flow_pair(tmp_path, "a.jpg", "b.jpg", (80, 60)).forward.numpy(), flow)


def test_flow_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no flow from 'a\.jpg' to 'b\.jpg': neither a\.flo nor b\.forward"):
        read_flow_pair(tmp_path, "a.jpg", "b.jpg", (80, 60))
    np.save(tmp_path / "a.npy", np.zeros((8, 6, 2)))
    with pytest.raises(DataError, match=r"a\.npy: is of 6 x 8 pixels.*another shape than 80 x 60"):
        read_flow_pair(tmp_path, "a.jpg", "b.jpg", (80, 60))
    np.save(tmp_path / "a.npy", np.zeros((6, 8)))
    with pytest.raises(DataError, match=r"a\.npy: has the shape \[6, 8\]"):
        read_flow_pair(tmp_path, "a.jpg", "b.jpg", (80, 60))
    np.save(tmp_path / "a.npy", np.zeros((6, 8, 2)))
    np.save(tmp_path / "b.backward.npy", np.zeros((12, 16, 2)))
    with pytest.raises(DataError, match=r"b\.backward\.npy: has another size"):
        read_flow_pair(tmp_path, "a.jpg", "b.jpg", (80, 60))
