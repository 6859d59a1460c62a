"""The arrangement of the parts, with the arguments of :func:`gsplat_core.rasterization`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from gsplat_core.reference import outputs
from gsplat_core.reference import planes as flat
from gsplat_core.reference.blending import Drawn, blend
from gsplat_core.reference.cameras import CAMERAS, Intrinsics
from gsplat_core.reference.compositors import COMPOSITORS
from gsplat_core.reference.filters import FLAT_FILTER
from gsplat_core.reference.gaussians import covariances, frames, roots
from gsplat_core.reference.harmonics import view_dependent
from gsplat_core.reference.orders import along_rays, by_depth
from gsplat_core.reference.payloads import PAYLOADS, Sink
from gsplat_core.reference.projection import project
from gsplat_core.reference.rays import Along, pixel_rays
from gsplat_core.reference.responses import RESPONSES
from gsplat_core.reference.unscented import Unscented
from gsplat_core.reference.windshield import Pane, behind

NO_FEATURES: Mapping[str, Tensor] = MappingProxyType({})


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
    camera_model: str = "pinhole",
    covars: Tensor | None = None,
    lens: Tensor | None = None,
    response: str = "gaussian",
    extras: Tensor | None = None,
    compositor: str = "over",
    max_alpha: float = 0.99,
    order: str = "global",
    statistics: bool = False,
    payloads: Sequence[str] = (),
    further: Sequence[str] = (),
    features: Mapping[str, Tensor] = NO_FEATURES,
    weights: bool = False,
    unscented: Unscented | None = None,
    windshield: Pane | None = None,
    planes: bool = False,
    band: float = 1e-3,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Renders like :func:`gsplat_core.rasterization`, whose arguments of the same names these are.

    Args:
        lens: [..., C, P] coefficients of the camera beyond `Ks`: P as in `CAMERAS[...].coefficients`.
        extras: [..., N, E] parameters of the response: E as in `RESPONSES[...].extras`.
        further: `outputs` of :func:`gsplat_core.rasterization` that are blended like colours.
        weights: whether there is ``meta["weights"]`` [..., C, N, H, W]: with which weight a pixel sees a
            Gaussian. All that can be told of which splats a pixel sees follows from them and the depths; if
            the order is that of the depths along rays, these are ``meta["ray_depths"]`` [..., C, N, H, W].
        unscented: the numbers of the unscented transform by which Gaussians are projected; None for a
            linearization.
        windshield: a pane before the cameras; None for none.
        planes: whether Gaussians are flat. Then there is ``meta["hits"]`` [..., C, H, W, 3], the sums of z,
            1/z and 1/z^2.
        band: see below.

    Returns:
        colors [..., C, H, W, X], alphas [..., C, H, W, 1] and meta, all float64. ``meta["ambiguous"]``
        [..., C, H, W] marks the pixels where a decision (skip, stop, cap, order, cull, clamp) was taken
        within a relative distance of ``band`` of its threshold, so that float32 may take the other one.
        ``meta["doubtful"]`` [..., C, N] marks the splats of which this is so.
    """
    batch, num_cameras, num = means.shape[:-2], viewmats.shape[-3], means.shape[-2]
    num_batches = math.prod(batch)
    if isinstance(colors, tuple):
        colors = torch.cat(colors, dim=-2)
    shared = colors.dim() == len(batch) + (2 if sh_degree is None else 3)  # by all cameras
    lens = viewmats.new_zeros(*batch, num_cameras, 0) if lens is None else lens
    extras = means.new_zeros(*batch, num, 0) if extras is None else extras
    camera, responds = CAMERAS[camera_model], RESPONSES[response]
    if planes:
        assert scales is not None
        scales = torch.cat([scales[..., :2], torch.zeros_like(scales[..., 2:])], dim=-1)
    if responds.integrates:  # without a screen filter, but for what gives flat splats an area
        if rasterize_mode == "antialiased":
            raise ValueError(
                f"the response {response!r} is not drawn antialiased: it is integrated over pixels"
            )
        eps2d = FLAT_FILTER
    if responds.along_rays and rasterize_mode == "antialiased":
        raise ValueError(f"the response {response!r} is not drawn antialiased: it is not widened")
    _check("lens", lens, len(camera.coefficients), camera_model)
    _check("extras", extras, len(responds.extras), response)

    # [B, 1, N, ...] per Gaussian and [B, C, 1, ...] per camera, in float64
    means = means.double().reshape(num_batches, 1, num, 3)
    root = None
    if unscented is not None:
        root = roots(quats, scales, covars).reshape(num_batches, 1, num, 3, 3)
    shapes = [
        None if t is None else t.reshape(num_batches, num, *t.shape[len(batch) + 1 :])
        for t in (quats, scales, covars)
    ]
    covars = covariances(quats, scales, covars).reshape(num_batches, 1, num, 3, 3)
    opacities = opacities.double().reshape(num_batches, 1, num)
    extras = extras.double().reshape(num_batches, 1, num, len(responds.extras))
    per_color = colors.shape[len(batch) + (1 if shared else 2) :]
    colors = colors.double().reshape(num_batches, 1 if shared else num_cameras, num, *per_color)
    viewmats = viewmats.double().reshape(num_batches, num_cameras, 1, 4, 4)
    Ks = Ks.double().reshape(num_batches, num_cameras, 1, 3, 3)
    lens = lens.double().reshape(num_batches, num_cameras, 1, len(camera.coefficients))
    intrinsics = Intrinsics(Ks[..., 0, 0], Ks[..., 1, 1], Ks[..., 0, 2], Ks[..., 1, 2], lens, width, height)

    seen_means, seen_covars = means, covars
    if windshield is not None:
        turn, shift = viewmats[..., :3, :3], viewmats[..., :3, 3]
        points = (turn @ means[..., None])[..., 0] + shift
        points, seen_covars = behind(windshield, points, turn @ covars @ turn.mT)
        seen_means = (turn.mT @ (points - shift)[..., None])[..., 0]
        seen_covars = turn.mT @ seen_covars @ turn
        if unscented is not None:
            root = roots(None, None, seen_covars)
    splats = project(
        seen_means, seen_covars, root, opacities, extras, viewmats, intrinsics, camera, responds,
        near_plane, far_plane, radius_clip, eps2d, rasterize_mode == "antialiased", unscented, band,
    )  # fmt: skip
    doubtful = splats.doubtful
    if planes:
        assert quats is not None
        axes = flat.normals(quats).reshape(num_batches, 1, num, 3)
        cosines = flat.cosines(axes, means, viewmats)
        splats = splats._replace(visible=splats.visible & (cosines < -flat.LEAST_COSINE))
        doubtful = doubtful | ((cosines / flat.LEAST_COSINE + 1).abs() < band)
    if sh_degree is not None:
        colors, nearly_black = view_dependent(colors, means, viewmats, splats.visible, sh_degree, band)
        doubtful = doubtful | nearly_black
    colors = outputs.channels(colors.expand(*splats.depths.shape, -1), splats.depths, render_mode)
    seen = outputs.Seen(means, covars, viewmats, splats.depths, camera_model)
    blended = {"": colors, **{name: outputs.FURTHER[name](seen) for name in further}}
    for name, values in features.items():
        per_camera = num_cameras if values.dim() == len(batch) + 3 else 1
        values = values.double().reshape(num_batches, per_camera, num, -1)
        blended[f"features {name}"] = values.expand(-1, num_cameras, -1, -1)
    colors = torch.cat(list(blended.values()), dim=-1)

    means2d = splats.means2d.reshape(*batch, num_cameras, num, 2)
    if responds.along_rays:  # nothing depends on where splats are, but density control asks for gradients
        means2d = means2d.detach().requires_grad_()
    images_means2d = means2d.reshape(num_batches * num_cameras, num, 2)
    wanted = {*payloads, *(["statistics"] if statistics else []), *(["absgrad"] if absgrad else [])}
    carriers = {
        name: torch.zeros(
            *batch, num_cameras, num, PAYLOADS[name].sums, dtype=torch.float64, requires_grad=True
        )
        for name in wanted
    }
    if absgrad:
        carriers["absgrad"].register_hook(lambda sums: setattr(means2d, "absgrad", sums))
    images, dense_weights, dense_depths, distances, hits = [], [], [], [], []
    for image in range(num_batches * num_cameras):
        b, c = divmod(image, num_cameras)
        turn = camera.turn * Ks[b, c, 0, 0, 0]
        listed, aside = with_copies(
            by_depth(splats.depths[b, c], splats.visible[b, c]),
            images_means2d[image, :, 0],
            splats.radii[b, c, :, 0],
            turn if camera.turn else None,
            width,
        )
        ray_depths = None
        if order == "pixel":
            with torch.no_grad():
                fx, fy, cx, cy, of_lens = (numbers[b, c] for numbers in intrinsics[:5])
                of_camera = Intrinsics(fx, fy, cx, cy, of_lens, width, height)
                rays = pixel_rays(camera_model, viewmats[b, c, 0], of_camera, windshield)
                dense_depths.append(along_rays(means[b, 0], covars[b, 0], *rays))
                ray_depths = dense_depths[-1][listed]
        at_pixels = (images_means2d[image, listed] + aside)[:, None].expand(-1, height * width, 2)
        sink = Sink({name: carrier.flatten(0, -3)[image, listed] for name, carrier in carriers.items()})
        along = None
        fx, fy, cx, cy, of_lens = (numbers[b, c] for numbers in intrinsics[:5])
        of_image = Intrinsics(fx, fy, cx, cy, of_lens, width, height)
        if responds.along_rays:
            reach = responds.reach(splats.opacities[b, c, listed], extras[b, 0, listed])
            along = Along(
                *pixel_rays(camera_model, viewmats[b, c, 0], of_image, windshield),
                means[b, 0, listed],
                frames(*(None if t is None else t[b, listed] for t in shapes)),
                reach,
            )
        drawn = Drawn(
            at_pixels, splats.conics[b, c, listed], splats.opacities[b, c, listed], extras[b, 0, listed],
            splats.depths[b, c, listed], colors[b, c, listed], sink, doubtful[b, c, listed], ray_depths,
            along,
        )  # fmt: skip
        drawing = blend(drawn, responds, COMPOSITORS[compositor], width, height, max_alpha, band)
        images.append(drawing[:4])
        if planes:
            ahead = pixel_rays(camera_model, torch.eye(4).double(), of_image)[1]
            lit = ahead.any(-1, keepdim=True)
            ahead = ahead / camera.depth(torch.where(lit, ahead, 1.0))[:, None]
            in_camera = flat.in_camera(axes[b, 0, listed], means[b, 0, listed], viewmats[b, c, 0])
            hits.append(flat.depth_sums(drawing.weights.flatten(1), *in_camera, ahead))
        if render_mode.endswith("d"):
            distance = drawing.distances
            if distance is None:  # of the splat's depth along the pixel's ray
                directions = pixel_rays(camera_model, torch.eye(4).double(), of_image)[1]
                unit = torch.nn.functional.normalize(directions, dim=-1)
                ahead = camera.depth(unit)
                some = directions.any(-1)
                longer = torch.where(some, 1 / torch.where(some, ahead, 1.0), 0.0)
                weights_of = drawing.weights.flatten(1)
                distance = (weights_of * splats.depths[b, c, listed, None]).sum(0) * longer
            distances.append(distance.reshape(height, width, 1))
        if weights:
            dense = torch.zeros(num, height, width, dtype=torch.float64)
            dense_weights.append(dense.index_add(0, listed, drawing.weights))
    shape = (*batch, num_cameras, height, width)
    rendered, alphas, probe, ambiguous = (
        torch.stack(parts).reshape(*shape, -1) for parts in zip(*images, strict=True)
    )
    each = rendered.split([values.shape[-1] for values in blended.values()], dim=-1)
    finished = dict(zip(blended, each, strict=True))
    rendered = finished.pop("")
    if hits:
        finished["hits"] = torch.stack(hits).reshape(*shape, 3)
        if render_mode.endswith("D"):
            rendered = torch.cat([rendered[..., :-1], finished["hits"][..., :1]], dim=-1)
    if distances:
        rendered = torch.cat([rendered[..., :-1], torch.stack(distances).reshape(*shape, 1)], dim=-1)

    if backgrounds is not None:
        rendered = outputs.over_background(rendered, alphas, backgrounds, render_mode)
    if render_mode.endswith(("ED", "Ed")):
        rendered = outputs.expected_depth(rendered, alphas)

    def per_splat(tensor: Tensor) -> Tensor:
        return tensor.reshape(*batch, *tensor.shape[1:])

    meta: dict[str, Any] = {
        "means2d": means2d,
        "depths": per_splat(splats.depths),
        "conics": per_splat(splats.conics),
        "opacities": per_splat(splats.opacities),
        "radii": per_splat(splats.radii),
        "ambiguous": ambiguous[..., 0],
        "doubtful": per_splat(doubtful),
    }
    if statistics or payloads:
        meta["probe"] = probe[..., 0]
    if statistics:
        meta["statistics"] = carriers["statistics"]
    if payloads:
        meta["payloads"] = {name: carriers[name] for name in payloads}
    for name in further:
        meta[name] = finished[name].squeeze(-1)
    if hits:
        meta["hits"] = finished["hits"]
    if features:
        meta["features"] = {name: finished[f"features {name}"] for name in features}
    if weights:
        per_pixel = (*batch, num_cameras, num, height, width)
        meta["weights"] = torch.stack(dense_weights).reshape(per_pixel)
        if order == "pixel":
            meta["ray_depths"] = torch.stack(dense_depths).reshape(per_pixel)
    return rendered, alphas, meta


def with_copies(
    order: Tensor, x: Tensor, reach: Tensor, turn: Tensor | None, width: int
) -> tuple[Tensor, Tensor]:
    """The splats [V] in their order, and how far [V, 2] aside each is drawn: where an image begins again
    after a turn, a splat that reaches over the border is drawn a second time, at the other one.

    Args:
        x, reach: [N] of all splats.
        turn: in pixels, None if the image does not begin again.
    """
    if turn is None:
        return order, torch.zeros(len(order), 2, dtype=torch.float64)
    rows, aside = [], []
    for i in order.tolist():
        rows.append(i)
        aside.append(0 * turn)
        move = turn if x[i] < width / 2 else -turn
        if -reach[i] < x[i] + move < width + reach[i]:
            rows.append(i)
            aside.append(move)
    shifts = torch.stack(aside) if aside else x.new_zeros(0)
    return torch.tensor(rows, dtype=torch.int64), torch.stack([shifts, torch.zeros_like(shifts)], dim=-1)


def _check(name: str, values: Tensor, count: int, variant: str) -> None:
    if values.shape[-1] != count:
        raise ValueError(f"argument '{name}' needs {count} numbers for {variant!r}, got {values.shape[-1]}")
