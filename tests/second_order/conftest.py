"""A scene to be fitted."""

from __future__ import annotations

import pytest
from second_order.scenes import Photo, disturbed, photographed, scene

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.linearization import Settings


@pytest.fixture(scope="module")
def problem() -> tuple[Gaussians, list[Photo]]:
    """A disturbed scene and photographs of the undisturbed one."""
    gaussians, cameras = scene(num=60, views=3, width=32, height=24)
    return disturbed(gaussians), photographed(gaussians, cameras, Settings(sh_degree=1))
