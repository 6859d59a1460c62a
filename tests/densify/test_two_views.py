"""Points, pixels and rays of one camera belong together, and rays of two meet at the point that both saw."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from gsplat_core.densify import Lens
from gsplat_core.densify.two_views import axis, center, closest_points, inside, project, rays

K = torch.tensor([[50.0, 0, 22.0], [0, 60.0, 14.0], [0, 0, 1]])


def lens(seed: int) -> Lens:
    """A camera anywhere that looks anywhere."""
    viewmat = torch.eye(4)
    viewmat[:3, :3] = torch.from_numpy(Rotation.random(random_state=seed).as_matrix())
    viewmat[:3, 3] = torch.randn(3, generator=torch.Generator().manual_seed(seed))
    return Lens(viewmat, K, 40, 30)


def world(lens: Lens, points: Tensor) -> Tensor:
    """Points in the camera's axes [M, 3] as points of the world."""
    return (points - lens.viewmat[:3, 3]) @ torch.linalg.inv(lens.viewmat[:3, :3]).T


@pytest.mark.parametrize("seed", range(3))
def test_the_camera_is_the_origin_of_its_axes_and_looks_along_the_third(seed: int) -> None:
    camera = lens(seed)
    torch.testing.assert_close(center(camera), world(camera, torch.zeros(1, 3))[0])
    ahead = world(camera, torch.tensor([[0.0, 0, 1]]))[0] - center(camera)
    torch.testing.assert_close(axis(camera), ahead)


@pytest.mark.parametrize("seed", range(3))
def test_pixels_and_depths_of_points_lead_back_to_them(seed: int) -> None:
    camera = lens(seed)
    seen = torch.tensor([[0.3, -0.2, 2.0], [-1.0, 1.5, 4.0], [0.5, 0.25, -2.0]])
    points = world(camera, seen)
    pixels, depths = project(camera, points)
    torch.testing.assert_close(depths, seen[:, 2])
    torch.testing.assert_close(pixels[:, 0], 50 * seen[:, 0] / seen[:, 2] + 22)
    torch.testing.assert_close(pixels[:, 1], 60 * seen[:, 1] / seen[:, 2] + 14)
    torch.testing.assert_close(center(camera) + depths[:, None] * rays(camera, pixels), points)


def test_points_beside_the_camera_have_finite_pixels() -> None:
    camera = Lens(torch.eye(4), K, 40, 30)
    pixels, depths = project(camera, torch.tensor([[1.0, 1.0, 0.0]]))
    assert depths.item() == 0
    assert pixels.isfinite().all()


def test_the_image_includes_its_first_edges_and_not_its_last() -> None:
    camera = Lens(torch.eye(4), K, 40, 30)
    pixels = torch.tensor(
        [[0.0, 0], [39.9, 29.9], [40, 10], [10, 30], [-0.1, 10], [10, -0.1], [35, 5], [5, 29]]
    )
    assert inside(camera, pixels).tolist() == [True, True, False, False, False, False, True, True]


def test_rays_that_do_not_meet_come_closest_at_both_ends_of_their_common_perpendicular() -> None:
    first, second = torch.tensor([0.0, 0, 0]), torch.tensor([1.0, 0, 0.2])
    a, b = torch.tensor([[0.1, 0.02, 1.0]]), torch.tensor([[-0.3, 0.05, 0.9]])
    (on_a,), (on_b,) = closest_points(first, a, second, b)
    between = on_b - on_a
    assert between @ a[0] == pytest.approx(0, abs=1e-6)
    assert between @ b[0] == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(torch.linalg.cross(on_a - first, a[0]), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.cross(on_b - second, b[0]), torch.zeros(3), atol=1e-6, rtol=0)
