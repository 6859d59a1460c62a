"""The renderer that the fast ones are checked against: plain PyTorch, float64, dense, autograd only.

Every Gaussian meets every pixel, nothing is tiled or approximated, and no derivative is written by hand. It
shares no code with the operators. Memory grows with Gaussians times pixels: some 300 Gaussians on 100 x 80
pixels are comfortable.

Formulas: Kerbl et al., "3D Gaussian Splatting for Real-Time Radiance Field Rendering" (2023), equations 3-6;
Zwicker et al., "EWA Splatting" (2002); opacity compensation from Yu et al., "Mip-Splatting" (2024).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

MIN_ALPHA = 1 / 255  # fainter contributions are skipped
MIN_TRANSMITTANCE = 1e-4  # a pixel is finished before it would let through this little
MIN_COMPENSATION = 0.005  # floor of the anti-aliasing factor
DEPTH_BAND = 1e-5  # relative; float32 may swap the order of depths this close


def rasterization(
    means: Tensor,
    quats: Tensor | None,
    scales: Tensor | None,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor],
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    absgrad: bool = False,
    rasterize_mode: str = "classic",
    covars: Tensor | None = None,
    max_alpha: float = 0.99,
    statistics: bool = False,
    band: float = 1e-3,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Renders like :func:`gsplat_core.rasterization`, whose arguments of the same names these are.

    Returns:
        colors [..., C, H, W, X], alphas [..., C, H, W, 1] and meta, all float64. ``meta["ambiguous"]``
        [..., C, H, W] marks the pixels where a decision (skip, stop, cap, order, cull, clamp) was taken
        within a relative distance of ``band`` of its threshold, so that float32 may take the other one.
    """
    batch, num_cameras, num = means.shape[:-2], viewmats.shape[-3], means.shape[-2]
    if isinstance(colors, tuple):
        colors = torch.cat(colors, dim=-2)
    shared = colors.dim() == len(batch) + (2 if sh_degree is None else 3)  # by all cameras
    num_batches = math.prod(batch)

    # [B, 1, N, ...] per Gaussian and [B, C, 1, ...] per camera, in float64
    means = means.double().reshape(num_batches, 1, num, 3)
    covars = _covariances(quats, scales, covars).reshape(num_batches, 1, num, 3, 3)
    opacities = opacities.double().reshape(num_batches, 1, num)
    per_color = colors.shape[len(batch) + (1 if shared else 2) :]
    colors = colors.double().reshape(num_batches, 1 if shared else num_cameras, num, *per_color)
    viewmats = viewmats.double().reshape(num_batches, num_cameras, 1, 4, 4)
    Ks = Ks.double().reshape(num_batches, num_cameras, 1, 3, 3)

    splats = _project(
        means, covars, opacities, viewmats, Ks, width, height,
        near_plane, far_plane, radius_clip, eps2d, rasterize_mode == "antialiased", band,
    )  # fmt: skip
    doubtful = splats.doubtful
    if sh_degree is not None:
        centres = -(viewmats[..., :3, :3].mT @ viewmats[..., :3, 3:])[..., 0]
        basis = sh_basis(torch.where(splats.visible[..., None], means - centres, 1.0), sh_degree)
        coefficients = colors[..., : (sh_degree + 1) ** 2, :].expand(*basis.shape, 3)
        colors = 0.5 + torch.einsum("bcnk,bcnkd->bcnd", basis, coefficients)
        doubtful = doubtful | (colors.abs() < band).any(-1)
        colors = colors.clamp(min=0)
    colors = colors.expand(*splats.depths.shape, -1)
    if render_mode in ("D", "ED"):
        colors = splats.depths[..., None]
    elif render_mode in ("RGB+D", "RGB+ED"):
        colors = torch.cat([colors, splats.depths[..., None]], dim=-1)

    means2d = splats.means2d.reshape(*batch, num_cameras, num, 2)
    absolute_gradient = torch.zeros_like(means2d)
    if absgrad:
        means2d.absgrad = absolute_gradient  # type: ignore[attr-defined]
    images_means2d = means2d.reshape(num_batches * num_cameras, num, 2)
    carrier = torch.zeros(*batch, num_cameras, num, 3, dtype=torch.float64, requires_grad=statistics)
    images_carrier = carrier.reshape(num_batches * num_cameras, num, 3)
    images = []
    for image in range(num_batches * num_cameras):
        b, c = divmod(image, num_cameras)
        visible = splats.visible[b, c].nonzero()[:, 0]
        order = visible[torch.argsort(splats.depths[b, c, visible], stable=True)]
        at_pixels = images_means2d[image, order, None].expand(-1, height * width, 2)
        if absgrad and at_pixels.requires_grad:
            _add_absolute_gradient(at_pixels, absolute_gradient.view_as(images_means2d)[image], order)
        blended = _composite(
            at_pixels, splats.conics[b, c, order], splats.opacities[b, c, order], splats.depths[b, c, order],
            colors[b, c, order], images_carrier[image, order], doubtful[b, c, order],
            width, height, max_alpha, band,
        )  # fmt: skip
        images.append(blended)
    shape = (*batch, num_cameras, height, width)
    rendered, alphas, probe, ambiguous = (
        torch.stack(parts).reshape(*shape, -1) for parts in zip(*images, strict=True)
    )

    if backgrounds is not None:
        num_colors = backgrounds.shape[-1] if render_mode.startswith("RGB") else 0
        background = backgrounds.double()[..., None, None, :num_colors]
        rendered = torch.cat(
            [rendered[..., :num_colors] + (1 - alphas) * background, rendered[..., num_colors:]], -1
        )
    if render_mode.endswith("ED"):
        rendered = torch.cat([rendered[..., :-1], rendered[..., -1:] / alphas.clamp(min=1e-10)], dim=-1)

    def per_splat(tensor: Tensor) -> Tensor:
        return tensor.reshape(*batch, *tensor.shape[1:])

    meta = {
        "means2d": means2d,
        "depths": per_splat(splats.depths),
        "conics": per_splat(splats.conics),
        "opacities": per_splat(splats.opacities),
        "radii": per_splat(splats.radii),
        "ambiguous": ambiguous[..., 0],
        "doubtful": per_splat(doubtful),
    }
    if statistics:
        meta |= {"statistics": carrier, "probe": probe[..., 0]}
    return rendered, alphas, meta


def sh_basis(directions: Tensor, degree: int) -> Tensor:
    """Real spherical harmonics with the Condon-Shortley sign, [..., (degree + 1)^2], of directions [..., 3].

    Order l = 0 .. degree, m = -l .. l. The part in x, y is the real or imaginary part of (x + iy)^|m|; the
    part in z is the |m|-th derivative of the Legendre polynomial, by its recurrence in l.
    """
    x, y, z = torch.nn.functional.normalize(directions, dim=-1).unbind(-1)
    basis: list[Tensor] = [z] * (degree + 1) ** 2
    real, imaginary = torch.ones_like(x), torch.zeros_like(x)
    for m in range(degree + 1):
        below, legendre = torch.zeros_like(z), torch.full_like(z, math.prod(range(1, 2 * m, 2)))
        for l in range(m, degree + 1):  # noqa: E741
            if l > m:
                below, legendre = legendre, ((2 * l - 1) * z * legendre - (l + m - 1) * below) / (l - m)
            norm = math.sqrt((2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m))
            sign = (-1) ** m * (math.sqrt(2) if m > 0 else 1)
            basis[l * l + l - m] = sign * norm * legendre * imaginary
            basis[l * l + l + m] = sign * norm * legendre * real
        real, imaginary = x * real - y * imaginary, x * imaginary + y * real
    return torch.stack(basis, dim=-1)


class _Splats(NamedTuple):
    """Gaussians on the image planes, [B, C, N, ...]."""

    means2d: Tensor
    conics: Tensor  # inverse 2D covariance: xx, xy, yy
    depths: Tensor
    opacities: Tensor
    radii: Tensor  # half extents of the box around alpha >= 1/255, whole pixels; 0 where culled
    visible: Tensor
    doubtful: Tensor


def _add_absolute_gradient(at_pixels: Tensor, total: Tensor, order: Tensor) -> None:
    """On backward, adds the sum over pixels of |gradient| of [V, P, 2] to the rows `order` of `total`."""

    def hook(gradient: Tensor) -> None:
        total.index_add_(0, order, gradient.abs().sum(1))

    at_pixels.register_hook(hook)


def _covariances(quats: Tensor | None, scales: Tensor | None, covars: Tensor | None) -> Tensor:
    """[..., N, 3, 3] in float64; symmetric, from (xx, xy, xz, yy, yz, zz) where only those are given."""
    if covars is not None:
        if covars.shape[-1] == 6:
            covars = covars[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].unflatten(-1, (3, 3))
        return (covars.double() + covars.double().mT) / 2
    assert quats is not None
    assert scales is not None
    quats, scales = quats.double(), scales.double()
    broken = ~(quats.isfinite().all(-1) & scales.isfinite().all(-1) & (quats.norm(dim=-1) > 0))[..., None]
    quats, scales = torch.where(broken, 1.0, quats), torch.where(broken, 1.0, scales)
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    rotation = torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        dim=-1,
    ).unflatten(-1, (3, 3))  # fmt: skip
    root = rotation * scales[..., None, :]
    return torch.where(broken[..., None], torch.nan, root @ root.mT)  # culled later


def _project(
    means: Tensor,
    covars: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near: float,
    far: float,
    radius_clip: float,
    eps2d: float,
    antialiased: bool,
    band: float,
) -> _Splats:
    rotation, translation = viewmats[..., :3, :3], viewmats[..., :3, 3]
    points = (rotation @ means[..., None])[..., 0] + translation
    depths = points[..., 2]
    finite = (means.isfinite().all(-1) & covars.isfinite().all((-2, -1)) & opacities.isfinite()).expand_as(
        depths
    )
    visible = finite & (depths >= near) & (depths <= far)

    # From here on a harmless Gaussian stands in for a culled one, because 0 times infinity spoils gradients.
    points = torch.where(visible[..., None], points, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    covars = torch.where(visible[..., None, None], covars, torch.eye(3, dtype=torch.float64))
    opacities = torch.where(visible, opacities, 0.0)

    x, y, z = points.unbind(-1)
    fx, fy, cx, cy = Ks[..., 0, 0], Ks[..., 1, 1], Ks[..., 0, 2], Ks[..., 1, 2]
    means2d = torch.stack([fx * x / z + cx, fy * y / z + cy], dim=-1)

    # The Jacobian of the projection is taken at most 0.15 image sizes outside the image. These limits count
    # as constants: no gradient reaches the intrinsics through them.
    def limited(ratio: Tensor, focal: Tensor, centre: Tensor, size: int) -> tuple[Tensor, Tensor]:
        lower = (-(centre + 0.15 * size) / focal).detach()
        upper = ((size - centre + 0.15 * size) / focal).detach()
        near_limit = ((ratio - lower).abs() < band * lower.abs()) | (
            (ratio - upper).abs() < band * upper.abs()
        )
        return torch.maximum(torch.minimum(ratio, upper), lower), near_limit

    ratio_x, doubtful_x = limited(x / z, fx, cx, width)
    ratio_y, doubtful_y = limited(y / z, fy, cy, height)
    zero = torch.zeros_like(x)
    jacobian = torch.stack(
        [fx / z, zero, -fx * ratio_x / z, zero, fy / z, -fy * ratio_y / z], dim=-1
    ).unflatten(-1, (2, 3))  # fmt: skip
    to_image = jacobian @ rotation
    covars2d = to_image @ covars @ to_image.mT
    xx, xy, yy = covars2d[..., 0, 0], covars2d[..., 0, 1], covars2d[..., 1, 1]
    det_before = xx * yy - xy * xy
    xx, yy = xx + eps2d, yy + eps2d
    det = xx * yy - xy * xy
    visible = visible & (det > 0)
    det = torch.where(visible, det, 1.0)
    conics = torch.stack([yy / det, -xy / det, xx / det], dim=-1)
    doubtful = doubtful_x | doubtful_y
    if antialiased:
        squared = det_before / det
        doubtful = doubtful | ((squared / MIN_COMPENSATION**2 - 1).abs() < 0.05)  # cancellation: a wider band
        opacities = opacities * squared.clamp(min=MIN_COMPENSATION**2).sqrt()

    # alpha >= 1/255 only inside the ellipse sigma <= ln(255 o), whose box has these half extents.
    reach = (2 * (opacities.detach() / MIN_ALPHA).clamp(min=1).log()).sqrt()
    extent = torch.stack(
        [reach * xx.detach().clamp(min=0).sqrt(), reach * yy.detach().clamp(min=0).sqrt()], dim=-1
    )
    radii = extent.ceil()
    size = torch.tensor([width, height], dtype=torch.float64)
    inside = ((means2d + radii > 0) & (means2d - radii < size)).all(-1)
    visible = visible & (opacities >= MIN_ALPHA) & (radii > radius_clip).any(-1) & inside
    doubtful = doubtful | ((depths / near - 1).abs() < band) | ((depths / far - 1).abs() < band)
    if radius_clip > 0:
        doubtful = doubtful | ((extent.amax(-1) - math.floor(radius_clip)).abs() < band * radius_clip)

    def keep(tensor: Tensor) -> Tensor:
        return torch.where(visible[..., None], tensor, 0.0)

    return _Splats(
        keep(means2d), keep(conics), torch.where(visible, z, 0.0), torch.where(visible, opacities, 0.0),
        keep(radii).int(), visible, doubtful,
    )  # fmt: skip


def _composite(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    depths: Tensor,
    colors: Tensor,
    carrier: Tensor,
    doubtful: Tensor,
    width: int,
    height: int,
    max_alpha: float,
    band: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Blends V splats, nearest first, over P = width x height pixels; means2d is [V, P, 2] (the same for all
    pixels). Returns [H, W, D] colours, [H, W, 1] alphas, [H, W, 1] probe and [H, W, 1] ambiguous."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([columns, rows], dim=-1).reshape(-1, 2).double() + 0.5
    dx, dy = (means2d - pixels).unbind(-1)
    a, b, c = conics[:, :, None].unbind(1)
    response = opacities[:, None] * torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)  # [V, P]

    alphas = torch.where(response < MIN_ALPHA, 0.0, response.clamp(max=max_alpha))
    after = torch.cumprod(1 - alphas, dim=0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weights = torch.where(after > MIN_TRANSMITTANCE, alphas * before, 0.0)
    rendered = weights.T @ colors
    covered = weights.sum(0)
    probe = _Probe.apply(carrier, weights.detach())
    rendered = rendered + 0 * probe[:, None]  # the statistics are there whether the probe is used or not

    near_threshold = (response / MIN_ALPHA - 1).abs() < band
    near_threshold |= (response / max_alpha - 1).abs() < band
    near_threshold |= (after / MIN_TRANSMITTANCE - 1).abs() < band
    touched = response > MIN_ALPHA * (1 - band)
    gaps = (depths - depths[:, None]).abs()
    tied = ((gaps > 0) & (gaps < DEPTH_BAND * depths)).double()
    swappable = touched & ((tied @ touched.double()) > 0)
    ambiguous = (near_threshold | (touched & doubtful[:, None]) | swappable).any(0)
    shape = (height, width, -1)
    return (
        rendered.reshape(shape),
        covered.reshape(height, width, 1),
        probe.reshape(height, width, 1),
        ambiguous.reshape(height, width, 1),
    )


class _Probe(torch.autograd.Function):
    """Carrier [V, 3] of zeros and weights [V, P] to a probe [P] of zeros, whose gradient is e: the carrier's
    "gradient" is (sum_p w e, sum_p w, number of p with w > 0)."""

    @staticmethod
    def forward(ctx: Any, carrier: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        return carrier.new_zeros(weights.shape[1])

    @staticmethod
    def backward(ctx: Any, e: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (weights,) = ctx.saved_tensors
        return torch.stack([weights @ e, weights.sum(1), (weights > 0).double().sum(1)], dim=1), None
