"""``torch.ops.gsplat_core.composite``: fake kernels and derivatives
(kernels: ``csrc/ops/composite*.cpp``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops.arguments import fake_kernel, pick
from gsplat_core.ops.derivative import Derivative
from gsplat_core.ops.forward_mode import differentiable, map_over_directions
from gsplat_core.ops.variants import ALONG_RAYS, PAYLOADS

_carriers = {name: f"{name}_carrier" for name in PAYLOADS}
_probed = [_carriers[name] for name, payload in PAYLOADS.items() if payload.probed]


@fake_kernel("composite", further=_probed)
def _(
    means2d: Tensor, colors: Tensor, width: int, height: int, depths: bool, *probed: Tensor | None
) -> tuple[Tensor, ...]:
    shape = (means2d.shape[0], height, width)
    return (
        means2d.new_empty(*shape, colors.shape[-1]),
        means2d.new_empty(*shape, 1),
        means2d.new_empty(0 if all(carrier is None for carrier in probed) else shape),
        means2d.new_empty((*shape, 3) if depths else 0),
    )


@fake_kernel("composite_backward", further=PAYLOADS)
def _(
    means2d: Tensor,
    shapes: Tensor,
    opacities2d: Tensor,
    colors: Tensor,
    extras: Tensor | None,
    canonical: Tensor | None,
    rays: Tensor | None,
    response: str,
    rays_wanted: bool,
    *wanted: bool,
) -> tuple[Tensor, ...]:
    along_rays = response in ALONG_RAYS
    return (
        means2d.new_empty(means2d.shape),
        means2d.new_empty(shapes.shape),
        means2d.new_empty(opacities2d.shape),
        means2d.new_empty(colors.shape),
        means2d.new_empty(0 if extras is None else extras.shape),
        means2d.new_empty(canonical.shape if along_rays and canonical is not None else 0),
        means2d.new_empty(rays.shape if along_rays and rays_wanted and rays is not None else 0),
        *(
            means2d.new_empty((*means2d.shape[:2], payload.sums) if wants else 0)
            for payload, wants in zip(PAYLOADS.values(), wanted, strict=True)
        ),
    )


@fake_kernel("composite_jvp")
def _(means2d: Tensor, colors: Tensor, width: int, height: int, depths_wanted: bool) -> tuple[Tensor, ...]:
    shape = (means2d.shape[0], height, width)
    return (
        means2d.new_empty(*shape, colors.shape[-1]),
        means2d.new_empty(*shape, 1),
        means2d.new_empty((*shape, 3) if depths_wanted else 0),
    )


_reverse = Derivative("composite_backward", of="composite")
_forward = Derivative("composite_jvp", of="composite")
_backgrounds = pick("composite", ["backgrounds"])
_settings = pick("composite", ["settings"])
_ORDER = -1  # among the settings, csrc/raster/settings.h


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    out_colors, out_alphas, _, out_depths = output
    _reverse.save(ctx, inputs, out_colors, out_alphas, out_depths)


def _backward(
    ctx: Any, v_out_colors: Tensor, v_out_alphas: Tensor, v_probe: Tensor, v_out_depths: Tensor
) -> Any:
    shared, (out_colors, out_alphas, out_depths) = _reverse.saved(ctx)
    with_depths = out_depths.dim() > 1
    results = _reverse(
        shared,
        out_colors=out_colors,
        out_alphas=out_alphas,
        v_out_colors=v_out_colors,
        v_out_alphas=v_out_alphas,
        v_probe=v_probe if _reverse.needs(ctx, *_probed) else None,
        rays_wanted=_reverse.needs(ctx, "rays"),
        out_depths=out_depths if with_depths else None,
        v_out_depths=v_out_depths if with_depths else None,
        **{name: _reverse.needs(ctx, carrier) for name, carrier in _carriers.items()},
    )
    v_backgrounds = None
    if _reverse.needs(ctx, "backgrounds"):
        # Rows first: a sum into few numbers at once would depend on the number of threads.
        v_backgrounds = ((1 - out_alphas) * v_out_colors).sum(2).sum(1)
    return _reverse.gradients(ctx, results, backgrounds=v_backgrounds)


def _jvp(
    inputs: tuple[Any, ...], outputs: tuple[Tensor, ...], tangents: tuple[Any, ...]
) -> tuple[Tensor, ...]:
    _, alphas, probe, depths = outputs
    (settings,) = _settings(inputs)
    if settings[_ORDER] != 0:
        raise NotImplementedError("there is no forward mode for the order 'pixel', only for 'global'")
    t_image, t_alphas, t_depths = _forward(
        _forward.shared(inputs), depths_wanted=depths.dim() > 1, **_forward.tangents(tangents)
    )
    (t_backgrounds,) = _backgrounds(tangents)
    if t_backgrounds is not None:
        t_image = t_image + (1 - alphas) * t_backgrounds[:, None, None]
    return t_image, t_alphas, torch.zeros_like(probe), t_depths


map_over_directions("composite_backward")
map_over_directions("composite_jvp")
composite = differentiable("composite", _setup_context, _backward, _jvp)
