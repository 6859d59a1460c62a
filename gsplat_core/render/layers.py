"""What is blended beside colours and depth: numbers of every splat, and what becomes of the blended ones.

A layer is made of splats by one function and lies behind the colours in the same pass, so it costs what as
many channels of a colour cost, and its derivatives are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.arguments import check_tensor
from gsplat_core.render.inputs import Inputs
from gsplat_core.render.stages import Splats
from gsplat_core.render.variants import EVERY_RESPONSE


class Layer(NamedTuple):
    """Numbers of splats [B, C, N, K], and a function from the blended ones [B, C, H, W, K] to the output."""

    values: Tensor
    finished: Callable[[Tensor], Tensor] = lambda blended: blended


def check_features(features: Mapping[str, Tensor], inputs: Inputs, num_cameras: int) -> None:
    """Raises ValueError unless each is [*batch, N, F] or [*batch, C, N, F] with some F of its own."""
    sizes = {"N": inputs.means.shape[1], "C": num_cameras}
    for name, tensor in features.items():
        argument = f"features[{name!r}]"
        dims = tensor.dim() if isinstance(tensor, Tensor) else 0
        width = tensor.shape[-1] if dims else 0
        layout = "C N F" if dims == len(inputs.batch) + 3 else "N F"
        check_tensor(argument, tensor, layout, {**sizes, "F": width}, inputs.batch)
        if width == 0:
            raise ValueError(f"argument {argument!r} must have at least one channel, got none")


def feature(tensor: Tensor, inputs: Inputs, splats: Splats) -> Layer:
    """A tensor that `check_features` has passed, as it is."""
    num_batches, num_cameras, num = splats.depths.shape
    per_camera = tensor.dim() == len(inputs.batch) + 3
    values = tensor.reshape(num_batches, num_cameras if per_camera else 1, num, tensor.shape[-1])
    return Layer(values.expand(-1, num_cameras, -1, -1))


def normals(inputs: Inputs, splats: Splats) -> Layer:
    """Unit normals in world space: the axis along which a Gaussian is shortest, of flat ones the third one,
    turned to the camera.

    Differentiable with respect to the rotation, or the covariance; which axis it is and which way it points
    are constants.
    """
    # What nobody sees may have no shape at all, and no derivative.
    seen = (splats.radii > 0).all(-1).any(1)[..., None]
    axis = shortest_axes_of_covariances(inputs, seen) if inputs.quats is None else shortest_axes(inputs, seen)
    axis = axis[:, None]
    away = (axis.detach() * viewing_directions(inputs)).sum(-1, keepdim=True) > 0
    return Layer(torch.where(away, -axis, axis))


def shortest_axes(inputs: Inputs, seen: Tensor) -> Tensor:
    """[B, N, 3] of rotations and scales: the unit vector of the least scale, e, rotated to
    e + 2 w (u x e) + 2 u x (u x e) by the quaternion (w, u)."""
    assert inputs.quats is not None
    assert inputs.scales is not None
    unit = inputs.quats.new_tensor([1.0, 0.0, 0.0, 0.0])
    quats = torch.nn.functional.normalize(torch.where(seen, inputs.quats, unit), dim=-1)
    w, u = quats[..., :1], quats[..., 1:]
    if EVERY_RESPONSE[inputs.response].flat or inputs.planes:
        least = torch.full_like(inputs.scales[..., :1], 2, dtype=torch.int64)
    else:
        least = inputs.scales.detach().argmin(-1, keepdim=True)
    e = torch.zeros_like(u).scatter_(-1, least, 1.0)
    across = 2 * torch.linalg.cross(u, e)
    return e + w * across + torch.linalg.cross(u, across)


_LEAST_GAP = 1e-4


def shortest_axes_of_covariances(inputs: Inputs, seen: Tensor) -> Tensor:
    """[B, N, 3]: eigenvectors v of the least eigenvalue. A change C of the covariance turns v towards each
    other eigenvector w by w^T C v over the gap between their eigenvalues; where there is hardly a gap, the
    axis is as good as another one and has no derivative in that direction."""
    assert inputs.covars is not None
    round_ones = inputs.covars.new_tensor([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
    upper = torch.where(seen, inputs.covars, round_ones)
    matrices = upper[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].unflatten(-1, (3, 3))
    values, vectors = torch.linalg.eigh(matrices.detach())
    axis, others = vectors[..., 0], vectors[..., 1:]
    gaps = values[..., :1] - values[..., 1:]
    clear = -gaps > _LEAST_GAP * values[..., -1:]
    change = matrices - matrices.detach()  # zero, but for its derivative
    towards = (others.mT @ change @ axis[..., None])[..., 0]
    turns = torch.where(clear, towards / torch.where(clear, gaps, 1.0), 0.0)
    return axis + (others @ turns[..., None])[..., 0]


def inverse_depth(inputs: Inputs, splats: Splats) -> Layer:
    """1 over the depth, summed up like it: what the Inria rasterizer gives beside the colours."""
    del inputs
    return Layer(_inverse_depths(splats)[..., None], lambda blended: blended[..., 0])


def hits(splats: Splats) -> Layer:
    """The depth z, 1/z and 1/z^2 of the centres."""
    inverse = _inverse_depths(splats)
    return Layer(torch.stack([splats.depths, inverse, inverse.square()], dim=-1))


def _inverse_depths(splats: Splats) -> Tensor:
    seen = splats.depths > 0
    return torch.where(seen, torch.where(seen, splats.depths, 1.0).reciprocal(), 0.0)


def viewing_directions(inputs: Inputs) -> Tensor:
    """Along which the cameras look at the Gaussians, constants [B, C, N, 3] of any length."""
    viewmats = inputs.viewmats.detach()
    if inputs.camera == "ortho":
        return viewmats[:, :, None, 2, :3].expand(-1, -1, inputs.means.shape[1], -1)
    # The centre is where R x + t = 0; R may also scale.
    centres = -torch.linalg.solve_ex(viewmats[..., :3, :3], viewmats[..., :3, 3])[0]
    return inputs.means.detach()[:, None] - centres[:, :, None]


LAYERS: dict[str, Callable[[Inputs, Splats], Layer]] = {
    "normals": normals,
    "inverse_depth": inverse_depth,
}
"""Those that need nothing but the scene and the cameras, by the name of the output."""
