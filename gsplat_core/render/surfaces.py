"""Surfaces out of surfels: the function that other projects call, compatible with gsplat's, and what belongs
to surfaces in its images: normals, depths and how far apart they lie along a ray (2D Gaussian Splatting,
Huang et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.arguments import check_choice
from gsplat_core.pinhole import check_cameras
from gsplat_core.render.drawing import Outputs, draw
from gsplat_core.render.inputs import prepare
from gsplat_core.render.meta import Meta
from gsplat_core.render.outputs import Depth
from gsplat_core.render.rays import rays_of_cameras
from gsplat_core.render.settings import RenderSettings

_DEPTHS: dict[str, Depth] = {
    "RGB": "none",
    "D": "sum",
    "ED": "expected",
    "RGB+D": "sum",
    "RGB+ED": "expected",
}
DEPTH_MODES = ("expected", "median")

DISTORTION_NEAR, DISTORTION_FAR = 0.2, 100.0
"""Between which depths are mapped to [0, 1], in scene units, for their distortion."""


def rasterization_2dgs(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor] | None,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = False,
    tile_size: int = 16,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    sparse_grad: bool = False,
    absgrad: bool = False,
    distloss: bool = False,
    depth_mode: str = "expected",
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Meta]:
    """Renders flat Gaussians into images of surfaces (Huang et al. 2024), differentiably.

    A pixel sees a surfel where its ray meets the surfel's plane, and at the depth at which it does. Arguments
    are those of :func:`gsplat_core.rasterization`, except for

    Args:
        scales: [..., N, 3], of which the third one does not matter; the third axis is the normal.
        near_plane, far_plane: surfels whose centre is not between them are culled; and no pixel sees a surfel
            nearer than the near plane.
        eps2d: accepted for compatibility; the filter is that of the paper.
        render_mode: "RGB", "D", "ED", "RGB+D" or "RGB+ED". Depths are those at which pixels see surfels.
        sparse_grad: only the default is supported.
        distloss: whether the distortion is computed.
        depth_mode: of which depth normals are made, "expected" or "median".

    Returns:
        - colors [..., C, H, W, X] and alphas [..., C, H, W, 1] as there;
        - normals [..., C, H, W, 3] in world space: those of the surfels, turned to the camera, blended like
          colours;
        - normals [..., C, H, W, 3] of the surface that the depths describe, see :func:`normals_of_depths`;
        - distortion [..., C, H, W, 1], see :func:`distortion`; zeros without `distloss`;
        - median depth [..., C, H, W, 1]: that of the last surfel in front of which more than half of the
          light comes through, zero where there is none;
        - meta as there, in which ``gradient_2dgs`` is ``means2d``: after backward its ``.grad`` is that of
          the loss by the place in the image of the surfel's plane, by which 2DGS densifies.

    Raises:
        ValueError: an argument has a wrong shape, type or value; says which and what was expected.
        NotImplementedError: an argument asks for a feature that is not there.
        gsplat_core.errors.NumericalError: with :func:`gsplat_core.set_checks`, if a parameter is not finite.
    """
    check_choice("render_mode", render_mode, tuple(_DEPTHS))
    check_choice("depth_mode", depth_mode, DEPTH_MODES)
    if sparse_grad:
        raise NotImplementedError("argument 'sparse_grad' = True is not supported for surfels, only False is")
    for name, size in (("width", width), ("height", height)):
        if size < 1:
            raise ValueError(f"argument '{name}' must be positive, got {size}")
    settings = RenderSettings(
        eps2d, near_plane=near_plane, far_plane=far_plane, radius_clip=radius_clip, tile_size=tile_size
    )
    with_colors = render_mode.startswith("RGB")
    if with_colors and colors is None:
        raise ValueError(f"argument 'colors' must be given for render_mode {render_mode!r}, got None")
    inputs = prepare(
        means, quats, scales, None, opacities, colors if with_colors else None, sh_degree, viewmats, Ks,
        backgrounds if with_colors else None, response="surfel",
    )  # fmt: skip
    check_cameras(viewmats, Ks, rigid=True)
    wanted = Outputs(
        with_colors, _DEPTHS[render_mode], absgrad, further=("normals", "median_depth"), hits=True
    )
    rendered = draw(inputs, sh_degree, width, height, settings, wanted, packed=packed)
    alphas, meta, hits = rendered.alphas, rendered.meta, rendered.hits
    assert hits is not None
    median = meta.pop("median_depth")[..., None]
    depths = median if depth_mode == "median" else hits[..., :1] / alphas.clamp(min=1e-10)
    apart = distortion(alphas, hits) if distloss else torch.zeros_like(alphas)
    meta["gradient_2dgs"] = meta["means2d"]
    found = normals_of_depths(depths[..., 0], viewmats, Ks)
    return rendered.channels, alphas, meta.pop("normals"), found, apart, median, meta


def distortion(
    alphas: Tensor, hits: Tensor, near: float = DISTORTION_NEAR, far: float = DISTORTION_FAR
) -> Tensor:
    """How far what a pixel sees is spread along its ray, [..., 1]: the sum over its pairs of surfels i, j of
    w_i w_j (m_i - m_j)^2, with the weights w and depths m = far / (far - near) (1 - near / z) in [0, 1].

    A difference of m is one of 1/z, times k = far near / (far - near), so with the sums of w, w/z and w/z^2
    it is k^2 (A I_2 - I_1^2).

    Args:
        alphas: [..., 1], the sum A of the weights.
        hits: [..., 3], :attr:`gsplat_core.render.drawing.Rendered.hits`.
    """
    scale = far * near / (far - near)
    inverse, squared = scale * hits[..., 1:2], scale**2 * hits[..., 2:3]
    return (alphas * squared - inverse * inverse).clamp(min=0.0)


def normals_of_depths(depths: Tensor, viewmats: Tensor, Ks: Tensor) -> Tensor:
    """Unit normals [..., C, H, W, 3] in world space, turned to the camera, of the surface that depths
    [..., C, H, W] of pinhole cameras describe: across the central differences of its points. Zero in the
    border of the image, and where one of the four neighbours has no depth.

    Args:
        viewmats, Ks: [..., C, 4, 4] and [..., C, 3, 3].
    """
    height, width = depths.shape[-2:]
    normals = depths.new_zeros(*depths.shape, 3)
    if height < 3 or width < 3:
        return normals
    rays = rays_of_cameras("pinhole", Ks, None, width, height)
    points = rays * depths[..., None]
    across = points[..., 1:-1, 2:, :] - points[..., 1:-1, :-2, :]
    down = points[..., 2:, 1:-1, :] - points[..., :-2, 1:-1, :]
    there = depths.detach() > 0
    known = there[..., 1:-1, 2:] & there[..., 1:-1, :-2] & there[..., 2:, 1:-1] & there[..., :-2, 1:-1]
    normal = torch.linalg.cross(down, across)
    flat = (normal.detach() == 0).all(-1) | ~known
    normal = torch.where(flat[..., None], normal.new_tensor([0.0, 0.0, 1.0]), normal)
    normal = torch.where(flat[..., None], 0.0, torch.nn.functional.normalize(normal, dim=-1, eps=1e-30))
    # x right and y down: `down` x `across` looks at the camera.
    turned = (viewmats[..., None, None, :3, :3].mT @ normal[..., None])[..., 0]
    return torch.nn.functional.pad(turned, (0, 0, 1, 1, 1, 1))
