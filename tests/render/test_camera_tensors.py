"""gsplat_core/render/cameras.py: whatever describes a camera becomes the same tensors."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gsplat_core.densify.views import Lens
from gsplat_core.render import cameras
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.settings import RenderSettings
from gsplat_core.scene.cameras import Camera

CPU = torch.device("cpu")


def camera(width: int = 32, near: float = 0.25, x: float = 0.0) -> Camera:
    viewmat = np.eye(4)
    viewmat[0, 3] = x
    K = np.array([[30.0, 0.0, width / 2], [0.0, 31.0, 12.0], [0.0, 0.0, 1.0]])
    return Camera(viewmat, K, width, 24, "a.png", near)


def same(a: Cameras, b: Cameras) -> bool:
    tensors = torch.equal(a.viewmats, b.viewmats) and torch.equal(a.Ks, b.Ks)
    return tensors and (a.width, a.height, a.near) == (b.width, b.height, b.near)


def lens(batched: bool) -> Lens:
    like = camera(x=0.5)
    viewmat, K = (torch.tensor(matrix) for matrix in (like.viewmat, like.K))
    if batched:
        viewmat, K = viewmat[None], K[None]
    return Lens(viewmat, K, like.width, like.height, like.near)


@pytest.mark.parametrize("other", [lens(False), lens(True)], ids=["[4, 4]", "[1, 4, 4]"])
def test_arrays_and_tensors_become_the_same(other: Any) -> None:
    made = Cameras.of(camera(x=0.5), CPU)
    assert same(made, Cameras.of(other, CPU))
    assert made.viewmats.shape == (1, 4, 4)
    assert made.Ks.shape == (1, 3, 3)
    assert made.viewmats.dtype == made.Ks.dtype == torch.float32
    assert made.viewmats[0, 0, 3] == 0.5


def test_tensors_of_the_right_kind_are_not_copied() -> None:
    given = lens(True)
    given = Lens(given.viewmat.float(), given.K.float(), given.width, given.height)
    made = Cameras.of(given, CPU)
    assert made.viewmats.data_ptr() == given.viewmat.data_ptr()
    assert made.Ks.data_ptr() == given.K.data_ptr()
    assert Cameras.of(made, CPU) is made


def test_a_camera_is_made_once_and_forgotten_with_it() -> None:
    first, second = camera(), camera()
    made = Cameras.of(first, CPU)
    assert Cameras.of(first, CPU) is made
    assert Cameras.of(second, CPU) is not made
    assert Cameras.of(first, torch.device("meta")).viewmats.is_meta
    assert Cameras.of(first, CPU) is made
    gc.collect()  # what other tests left
    before = len(cameras._made)
    del first
    gc.collect()
    assert len(cameras._made) == before - 1


def test_several_are_rendered_together_in_their_order() -> None:
    given = [camera(x=x) for x in (0.0, 1.0, 2.0)]
    together = Cameras.together(given, CPU)
    assert together.viewmats[:, 0, 3].tolist() == [0, 1, 2]
    assert together.Ks.shape == (3, 3, 3)
    assert same(Cameras.together(given[:1], CPU), Cameras.of(given[0], CPU))


@pytest.mark.parametrize("other", [camera(width=30), camera(near=0.5)], ids=["width", "near plane"])
def test_those_that_differ_are_not_rendered_together(other: Camera) -> None:
    with pytest.raises(
        ValueError, match=r"32 x 24 and the near plane 0\.25 cannot be rendered together with"
    ):
        Cameras.together([camera(), other], CPU)


def test_the_near_plane_of_a_camera_is_the_one_that_counts() -> None:
    settings = RenderSettings(eps2d=0.1, near_plane=2.0)
    applied = Cameras.of(camera(near=0.5), CPU).applied_to(settings)
    assert applied == replace(settings, near_plane=0.5, far_plane=applied.far_plane)
    without = Cameras(torch.eye(4)[None], torch.eye(3)[None], 32, 24)
    assert without.applied_to(settings) is settings


@pytest.mark.parametrize("units", [1e-9, 1e-3, 1.0, 1e4, 1e12])
def test_the_far_plane_is_no_nearer_in_large_units(units: float) -> None:
    """Nothing is lost behind it that a scene in units of one shows, and nothing changes in small ones."""
    usual = RenderSettings()
    applied = Cameras.of(camera(near=usual.near_plane * units), CPU).applied_to(usual)
    assert applied.far_plane == pytest.approx(usual.far_plane * max(units, 1.0))
    assert RenderSettings(far_plane=1e30).from_near(1.0).far_plane == 1e30
