"""The protocol between a density control and whatever trains the scene.

In each iteration, counted **from 1** as in 3DGS:

    loss.backward()
    strategy.on_backward(step, RenderStats(...))
    optimizer.step(); optimizer.zero_grad()
    store.apply(strategy.on_step(step, SceneView(store.params, scene_extent)))

A strategy sees statistics of the rendering and the current values, and answers with a list of edits. It never
sees the trainer, the optimizer or the images, and changes nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit


@dataclass(frozen=True, eq=False)
class RenderStats:
    """What one rendering and its backward pass tell about every Gaussian.

    Args:
        means2d_grad: [C, N, 2] gradient of the loss with respect to the projected centres, in pixels
            (`meta["means2d"].grad`), or the per-pixel absolute sums (`.absgrad`) if `strategy.absgrad`.
        radii: [C, N, 2] integer extents in pixels; 0 where a Gaussian is not in the image.
        width, height: size of the images in pixels.
        num_cameras: how many views the loss is averaged over (undoes that mean); C unless views are
        distributed.
    """

    means2d_grad: Tensor
    radii: Tensor
    width: int
    height: int
    num_cameras: int


@dataclass(frozen=True, eq=False)
class SceneView:
    """Read access to the scene.

    Args:
        params: raw parameters by name; at least means [N, 3], quats [N, 4], scales [N, 3] (log), opacities
        [N]
            (logit).
        scene_extent: radius of the cameras, 1.1 x the largest distance of a camera from their mean, scene
        units.
    """

    params: Mapping[str, Tensor]
    scene_extent: float


class Strategy(Protocol):
    """A density control. State is everything needed to go on bit-exactly, random numbers included."""

    @property
    def absgrad(self) -> bool:
        """Whether `RenderStats.means2d_grad` must hold absolute gradients (rasterize with `absgrad=True`)."""

    def initialize(self, num: int, device: torch.device | str) -> None:
        """Starts with `num` Gaussians; also to be called after rows were changed by someone else."""

    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Takes in the statistics of iteration `step`."""

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        """The edits to apply after the optimizer's step of iteration `step`."""

    def state_dict(self) -> dict[str, Tensor]:
        """A flat dictionary of tensors."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a saved state. Raises ValueError if it does not fit."""
