"""Whether anything of a scene can be seen from where its photographs were taken.

Where not, training goes on and ends with black images. What is wrong then are poses or points, which only a
person can mend, so it is told.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.optics import OPTICS
from gsplat_core.scene.scale import points_in_view
from trainers.evaluation import picture

# So many places are looked for in a view; if it has none of them, it is rendered.
_SAMPLE = 20_000
# Of an opacity; less is not drawn.
_LEAST = 1 / 255


def unseen(gaussians: Gaussians, views: Sequence[View]) -> list[str]:
    """The names of the views that show none of the Gaussians."""
    scene = gaussians.detached()
    places = scene.means[scene.opacities.sigmoid() >= _LEAST]
    return [view.name for view in views if not (sees(view.camera, places) or _shows(scene, view.camera))]


def complaint(names: Sequence[str], count: int, split: str) -> str:
    """What to tell of views that show nothing; empty where there are none.

    Args:
        names: theirs.
        count: how many views were looked at.
        split: what these are called.
    """
    if not names:
        return ""
    return (
        f"No Gaussian is visible in {len(names)} of {count} {split} views, such as {names[0]}: there the "
        "scene is black. The poses or the 3D points may be wrong, or belong to other photographs."
    )


def sees(camera: Camera, places: Tensor) -> bool | None:
    """Whether a camera has one of the places [N, 3] in its image, as far as a sample of them tells; None of
    cameras of which it is not known where their pixels look."""
    if camera.model not in OPTICS:
        return None
    sample = places[:: max(len(places) // _SAMPLE, 1)].detach().double().cpu().numpy()
    _, _, depths = points_in_view(camera, sample)
    return bool((depths > camera.near).any())


def _shows(gaussians: Gaussians, camera: Camera) -> bool:
    with torch.no_grad():
        return not picture(gaussians, camera).empty
