"""Line integrals of a field along the rays of detectors."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from gsplat_core.arguments import check_choice, check_tensor
from gsplat_core.ops.radiative import LEAST, project_integrals, sum_splats
from gsplat_core.pinhole import check_cameras
from gsplat_core.radiative.arguments import check_field, check_threshold
from gsplat_core.render import stages
from gsplat_core.render.settings import RenderSettings

_CAMERAS = {"cone": "pinhole", "parallel": "ortho"}
# No dilation, and a Gaussian is seen however near or far it is.
_SETTINGS = RenderSettings(eps2d=0.0, near_plane=0.0, far_plane=1e30, tile_size=16)


def project(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    densities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    beam: Literal["cone", "parallel"] = "cone",
    threshold: float = 1e-5,
) -> Tensor:
    """The line integrals of a field of Gaussians that the pixels of detectors measure.

    Exact along the rays through the centres of Gaussians; around them a Gaussian has the footprint of its
    linearized projection, which is exact for a parallel beam.

    Args:
        means: [N, 3] centres.
        quats: [N, 4] orientations (w, x, y, z), of any length but zero.
        scales: [N, 3] standard deviations, lengths.
        densities: [N] at the centres, one over a length; negative ones count as zero.
        viewmats: [C, 4, 4] world to camera, rigid; the z axis points from the source to the detector.
        Ks: [C, 3, 3] intrinsics. Of a cone, focal lengths are the distance from the source to the detector
            over the size of its pixels; of a parallel beam, pixels per length.
        width: pixels of a detector.
        height: pixels of a detector.
        beam: "cone" from the camera's centre, which sees what is in front of it, or "parallel" to its z axis.
        threshold: a Gaussian's contributions to pixels below this are left out, by the gradients too.

    Returns:
        [C, height, width], differentiable by all tensors.

    Raises:
        ValueError: an argument does not fit; the message names it.
    """
    check_field(means, quats, scales, densities, viewmats=viewmats, Ks=Ks)
    sizes = {"C": len(viewmats)}
    check_tensor("viewmats", viewmats, "C 4 4", sizes, ())
    check_tensor("Ks", Ks, "C 3 3", sizes, ())
    check_cameras(viewmats, Ks, rigid=True)
    check_choice("beam", beam, tuple(_CAMERAS))
    check_threshold(threshold)
    unit = threshold / LEAST
    splats = stages.Splats(
        *project_integrals(
            means[None], quats[None], scales[None], None, (densities / unit)[None], viewmats[None], Ks[None],
            None, _CAMERAS[beam], width, height, _SETTINGS.numbers(), None, None,
        )
    )  # fmt: skip
    lists = stages.bin_splats(splats, width, height, _SETTINGS)
    sums: Tensor = sum_splats(
        splats.means2d[0], splats.shapes[0], splats.opacities[0], lists.offsets, lists.flatten_ids,
        width, height, _SETTINGS.numbers(), unit,
    )  # fmt: skip
    return sums
