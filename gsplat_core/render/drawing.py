"""The usual arrangement of the stages: checked inputs become images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gsplat_core.checks import checks_enabled, require_finite
from gsplat_core.ops.adam import StepsOneByOne
from gsplat_core.ops.harmonics_adam import trained_spherical_harmonics
from gsplat_core.render.distances import distances_along_rays, lengths_of_rays
from gsplat_core.render.flow import Flow
from gsplat_core.render.further import NO_FEATURES as NO_FEATURES
from gsplat_core.render.further import Further, in_meta
from gsplat_core.render.inputs import Inputs
from gsplat_core.render.lists import listed, projected
from gsplat_core.render.meta import Meta, render_meta
from gsplat_core.render.outputs import COLORS as COLORS
from gsplat_core.render.outputs import Outputs as Outputs
from gsplat_core.render.planes import plane_hits
from gsplat_core.render.seen import Labels
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Blended, Splats, colour, composite
from gsplat_core.render.variants import EVERY_RESPONSE, PAYLOADS

MOST_CHANNELS = 128
"""Blended in one pass. The backward pass keeps all channels of each pair of splat and tile at a time."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """What was drawn. The leading dimensions are those of the caller's tensors, and C cameras.

    Args:
        channels: [..., C, H, W, X] the colours, if they are wanted, then the depth, if that is.
        alphas: [..., C, H, W, 1].
        meta: what happened between Gaussians and pixels, see :func:`gsplat_core.rasterization`.
        outputs: what was wanted.
        hits: [..., C, H, W, 3] sums of z, 1/z and 1/z^2, if they are wanted: of surfels with the depths z at
            which a pixel sees them, of flat Gaussians with those of their planes (then the first sum is alpha
            times the harmonic mean), of other Gaussians with those of their centres.
    """

    channels: Tensor
    alphas: Tensor
    meta: Meta
    outputs: Outputs
    hits: Tensor | None = None

    @property
    def colors(self) -> Tensor:
        """[..., C, H, W, D]

        Raises:
            ValueError: they were not wanted.
        """
        if not self.outputs.colors:
            raise ValueError("this was rendered without colours; ask for them by Outputs(colors=True)")
        return self.channels if self.outputs.depth == "none" else self.channels[..., :-1]

    @property
    def depths(self) -> Tensor:
        """[..., C, H, W] along the viewing axis, or what was asked for as `Outputs.depth`, scene units.

        Raises:
            ValueError: they were not wanted.
        """
        if self.outputs.depth == "none":
            raise ValueError("this was rendered without depth; ask for it by Outputs(depth='expected')")
        return self.channels[..., -1]


def draw(
    inputs: Inputs,
    sh_degree: int | None,
    width: int,
    height: int,
    settings: RenderSettings,
    outputs: Outputs = COLORS,
    *,
    features: Mapping[str, Tensor] = NO_FEATURES,
    flow: Flow | None = None,
    labels: Labels | None = None,
    packed: bool = False,
    sh_optimizer: StepsOneByOne | None = None,
    sh_leaves: Tensor | tuple[Tensor, Tensor] | None = None,
) -> Rendered:
    """Projects, colours, bins and composites, and puts the meta together.

    Args:
        inputs: the Gaussians and the cameras; with colours, and perhaps backgrounds, if `outputs` has them.
        sh_degree: to evaluate; None if the colours are features.
        width, height: of the images.
        features, flow, labels, packed, sh_optimizer: see :func:`gsplat_core.rasterization`.
        sh_leaves: the colours as the caller holds them, for `sh_optimizer` to train.

    Raises:
        ValueError: `sh_optimizer` cannot train these, or the response is not drawn so.
        gsplat_core.errors.NumericalError: with :func:`gsplat_core.set_checks`, if a number is not finite.
    """
    if checks_enabled():
        require_finite(**inputs.named_tensors())
    settings = settings.for_response(inputs.response)
    splats, extras, rays = projected(inputs, width, height, settings)
    splats, means2d, rows = (_packed if packed else _dense)(splats, inputs.batch)
    channels, backgrounds = [], inputs.backgrounds
    if outputs.colors:
        channels.append(_colours(inputs, sh_degree, splats.radii, sh_optimizer, sh_leaves))
    flat = EVERY_RESPONSE[inputs.response].flat  # surfels, whose depths are found in the pixels
    in_pixels = flat or inputs.planes
    if outputs.depth != "none" and not in_pixels:
        channels.append(splats.depths[..., None])
    main = channels
    further = None
    planes = inputs.planes and (outputs.depth != "none" or outputs.hits)
    apart = outputs.further or outputs.top or planes or (outputs.hits and not flat)
    if features or apart or flow is not None or labels is not None or not main:
        further = Further.of(inputs, splats, outputs, features, flow, labels, width, height, settings)
        channels = main + further.channels()
    if backgrounds is not None and len(channels) > 1:  # nothing is behind the others
        behind = sum(tensor.shape[-1] for tensor in channels[1:])
        backgrounds = torch.nn.functional.pad(backgrounds, (0, behind))

    measured, carriers = _carriers(splats, inputs.batch, rows, outputs)
    if outputs.absgrad:
        carriers.setdefault("absgrad", torch.zeros_like(splats.means2d, requires_grad=True))
        _store_absgrad(carriers["absgrad"], means2d, rows)
    together = channels[0] if len(channels) == 1 else torch.cat(channels, dim=-1)
    lists = listed(inputs, splats, extras, rays, width, height, settings)
    copies, drawn, extras, rays, tiles = lists
    if copies is not None:
        together = copies.behind(together)
        carriers = {name: copies.behind(carrier) for name, carrier in carriers.items()}
    # What carriers sum up is that of all channels, and needs them in one pass.
    in_passes = together.shape[-1] > MOST_CHANNELS and not carriers
    blended = (_composite_in_passes if in_passes else composite)(
        drawn, together, backgrounds, tiles, width, height, settings,
        carriers=carriers, response=inputs.response, extras=extras, rays=rays,
        depths=flat and (outputs.depth != "none" or outputs.hits),
    )  # fmt: skip
    rendered, hits = blended.colors, blended.depths
    if further is not None:
        rendered, found = further.finish(
            rendered, drawn, tiles, width, height, settings, inputs.response, extras, rays
        )
        if not flat:
            hits = found.pop("hits", None)
        if planes:
            assert hits is not None
            hits = plane_hits(hits, blended.alphas, inputs)
        if copies is not None:
            found = copies.called_originals(found)
    if outputs.depth != "none" and in_pixels:
        assert hits is not None
        rendered = torch.cat([rendered, hits[..., :1]], dim=-1)
    if outputs.depth in ("distance", "expected_distance"):
        if EVERY_RESPONSE[inputs.response].along_rays and not flat:
            distances = distances_along_rays(inputs, lists, width, height, settings)
        else:
            distances = rendered[..., -1:] * lengths_of_rays(inputs, width, height)
        rendered = torch.cat([rendered[..., :-1], distances], dim=-1)
    if outputs.depth in ("expected", "expected_distance"):
        expected = rendered[..., -1:] / blended.alphas.clamp(min=1e-10)
        rendered = torch.cat([rendered[..., :-1], expected], dim=-1)

    def as_given(tensor: Tensor) -> Tensor:
        return tensor.reshape(*inputs.batch, *tensor.shape[1:])

    if copies is not None:
        tiles = copies.as_of_originals(tiles)
    meta = render_meta(splats, tiles, means2d, inputs.batch, width, height, settings.tile_size, rows)
    if blended.probe is not None:
        meta["probe"] = as_given(blended.probe)
    if outputs.statistics:
        meta["statistics"] = measured["statistics"]
    if outputs.payloads:
        meta["payloads"] = {name: measured[name] for name in outputs.payloads}
    if further is not None:
        meta.update(in_meta({name: as_given(image) for name, image in found.items()}, features))
    hits = as_given(hits) if outputs.hits and hits is not None else None
    return Rendered(as_given(rendered), as_given(blended.alphas), meta, outputs, hits)


def _composite_in_passes(
    splats: Splats, channels: Tensor, backgrounds: Tensor | None, *where: Any, **how: Any
) -> Blended:
    """:func:`gsplat_core.render.stages.composite` of so many channels at a time as fit into memory."""
    parts = channels.split(MOST_CHANNELS, dim=-1)
    behind = [None] * len(parts) if backgrounds is None else backgrounds.split(MOST_CHANNELS, dim=-1)
    blended = [composite(splats, *part, *where, **how) for part in zip(parts, behind, strict=True)]
    return blended[0]._replace(colors=torch.cat([part.colors for part in blended], dim=-1))


def _colours(
    inputs: Inputs,
    sh_degree: int | None,
    radii: Tensor,
    sh_optimizer: StepsOneByOne | None,
    leaves: Tensor | tuple[Tensor, Tensor] | None,
) -> Tensor:
    assert inputs.colors is not None
    means = inputs.means if inputs.sh_means is None else inputs.sh_means
    if sh_optimizer is None or radii.is_cuda:
        return colour(inputs.colors, sh_degree, means, inputs.viewmats, radii)
    if (
        sh_degree is None
        or not isinstance(leaves, tuple)
        or not all([part.dim() == 3 and part.is_leaf for part in leaves])
    ):
        raise ValueError(
            "argument 'sh_optimizer' needs 'sh_degree', and 'colors' as a pair (sh0 [N, 1, 3], "
            "shN [N, K - 1, 3]) of leaf tensors"
        )
    sh0, shN = leaves
    return trained_spherical_harmonics(sh_degree, means, inputs.viewmats, sh0, shN, radii, sh_optimizer)


def _dense(splats: Splats, batch: tuple[int, ...]) -> tuple[Splats, Tensor, None]:
    """Lets the graph pass through centres of the shape [*batch, C, N, 2] that the caller gets to see."""
    means2d = splats.means2d.reshape(*batch, *splats.means2d.shape[1:])
    return splats._replace(means2d=means2d.reshape(splats.means2d.shape)), means2d, None


def _packed(splats: Splats, batch: tuple[int, ...]) -> tuple[Splats, Tensor, Tensor]:
    """The same with centres [nnz, 2] of the visible pairs of image and Gaussian, whose numbers are
    returned."""
    rows = (splats.radii > 0).all(dim=-1).flatten().nonzero()[:, 0]
    dense = splats.means2d.flatten(0, 2)
    means2d = dense.index_select(0, rows)
    dense = torch.zeros_like(dense).index_copy(0, rows, means2d)
    return splats._replace(means2d=dense.reshape(splats.means2d.shape)), means2d, rows


def _store_absgrad(carrier: Tensor, means2d: Tensor, rows: Tensor | None) -> None:
    """Lets backward store the carrier's gradient, sums of absolute gradients, in ``means2d.absgrad``."""

    def store(gradient: Tensor) -> None:
        if rows is not None:
            gradient = gradient.flatten(0, 2)[rows]
        means2d.absgrad = gradient.reshape(means2d.shape)  # type: ignore[attr-defined]

    carrier.register_hook(store)


def _carriers(
    splats: Splats, batch: tuple[int, ...], rows: Tensor | None, outputs: Outputs
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Zeros of the shape that the caller gets to see, leaves of the graph, and the same [B, C, N, sums], by
    the names of payloads."""
    leaves, carriers = {}, {}
    for name in (*outputs.payloads, *(["statistics"] if outputs.statistics else [])):
        if name in leaves:
            continue
        sums, depths = PAYLOADS[name].sums, splats.depths
        if rows is None:
            leaves[name] = depths.new_zeros(*batch, *depths.shape[1:], sums, requires_grad=True)
            carriers[name] = leaves[name].reshape(*depths.shape, sums)
        else:
            leaves[name] = depths.new_zeros(rows.shape[0], sums, requires_grad=True)
            dense = depths.new_zeros(depths.numel(), sums).index_copy(0, rows, leaves[name])
            carriers[name] = dense.reshape(*depths.shape, sums)
    return leaves, carriers
