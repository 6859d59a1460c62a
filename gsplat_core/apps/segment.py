"""Masks of photographs become labels of Gaussians: FlashSplat (Shen et al., "2D to 3D Gaussian Splatting
Segmentation Solved Optimally", 2024), and clicks that become prompts in other views.

Who makes the masks, and from which prompts, is outside; `gsplat_core.labels` has the mathematics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gsplat_core.errors import DataError, UsageError
from gsplat_core.labels import LEAST_SEEN, UNSEEN, filled, label_weights, owners
from gsplat_core.primitive import splats_of
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import measure, render
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

MOST_LABELS = 1024
"""Of masks that have more the values are no labels, but something like colours or depths."""

LEAST_WEIGHT = 0.01
"""The share of some pixel that a Gaussian must have for a view to show it."""


@dataclass(frozen=True)
class Config:
    """How sums of weights become labels."""

    rule: Literal["argmax", "overlap"] = "argmax"
    """argmax: the label under which a Gaussian is seen most; overlap: each object against all the rest, so
    that objects may share Gaussians, or leave some to the background."""
    bias: float = 0.0
    """From -1 to 1: above 0 objects become smaller and their edges clean, below 0 larger, as when they are to
    be removed."""
    norm: Literal["l1", "l2"] = "l1"
    """What the bias is a share of: a Gaussian's weights added up, or their Euclidean norm."""
    fill: bool = False
    """Give Gaussians that no mask shows the label of most of their neighbours."""

    def __post_init__(self) -> None:
        if not -1 < self.bias < 1:
            raise UsageError(f"--bias must be between -1 and 1, not {self.bias}.")


class Lifted(NamedTuple):
    """What masks say about a scene.

    Attributes:
        values: [L] int64 the labels that there are, ascending, 0 (the background) in any case.
        weights: [L, N] float64, how much of each Gaussian is seen under each of them.
        labels: [N] int32; -1 for who is not seen.
        members: [L, N] bool, what belongs to each object; with the rule "overlap" to several perhaps.
    """

    values: Tensor
    weights: Tensor
    labels: Tensor
    members: Tensor

    def of(self, objects: Sequence[int]) -> Tensor:
        """[N] bool, the Gaussians of any of these objects.

        Raises:
            UsageError: there is no such object, or it has no Gaussians.
        """
        chosen = torch.zeros_like(self.members[0])
        for value in objects:
            rows = (self.values == value).nonzero()
            if not len(rows):
                raise UsageError(f"No mask has the label {value}; there are {_listed(self.values)}.")
            members = self.members[int(rows[0])]
            if not bool(members.any()):
                raise UsageError(f"No Gaussian belongs to the label {value}.")
            chosen |= members
        return chosen


def lift(
    scene: Gaussians,
    cameras: Iterable[Camera],
    masks: Iterable[Tensor],
    config: Config | None = None,
    settings: RenderSettings = USUAL,
) -> Lifted:
    """The labels of Gaussians that explain masks best, without any training: for two labels and no bias the
    exact minimum of the sum of absolute differences between the masks and what the labels blend to.

    Args:
        scene, settings: as for :func:`gsplat_core.render.scene.render`.
        cameras: of the views that have a mask.
        masks: for each [H, W] integers: 0 is the background, others are objects, and pixels with negative
            ones say nothing.

    Raises:
        ValueError: a mask does not fit its camera, the numbers of cameras and masks differ, or there are
            none.
        DataError: there are more than `MOST_LABELS` labels.
    """
    config = Config() if config is None else config
    values, weights = _weights(scene, zip(cameras, masks, strict=True), settings)
    if config.rule == "argmax":
        labels, members = _by_argmax(values, weights, config)
    else:
        labels, members = _by_overlap(values, weights, config)
    if config.fill:
        unseen = labels == UNSEEN
        labels = filled(scene.means.detach().float(), labels)
        members = members | (unseen & (labels == values[:, None]))
    return Lifted(values, weights, labels.int(), members)


def _weights(
    scene: Gaussians, views: Iterable[tuple[Camera, Tensor]], settings: RenderSettings
) -> tuple[Tensor, Tensor]:
    """The labels that occur, and the weights under each: only those of a view are told apart in it."""
    sums: dict[int, Tensor] = {0: torch.zeros(scene.num, dtype=torch.float64, device=scene.device)}
    seen = False
    for camera, mask in views:
        present, places = mask.to(scene.device).unique(return_inverse=True)
        weights = label_weights(scene, [(camera, places)], len(present), settings)
        for value, row in zip(present.tolist(), weights, strict=True):
            if value >= 0:
                sums[value] = sums[value] + row if value in sums else row
        if len(sums) > MOST_LABELS:
            raise DataError(
                camera.name,
                f"up to its mask there are {len(sums):,} labels, at most {MOST_LABELS:,} are told apart",
                remedy="Are the values of the masks labels, and not colours or depths?",
            )
        seen = True
    if not seen:
        raise ValueError("labels of Gaussians need at least one view")
    values = sorted(sums)
    return torch.tensor(values, device=scene.device), torch.stack([sums[value] for value in values])


def _by_argmax(values: Tensor, weights: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    seen = weights.sum(0) >= LEAST_SEEN
    length = weights.norm(1 if config.norm == "l1" else 2, dim=0)
    biased = torch.cat([weights[:1] + config.bias * length, weights[1:]])
    labels = torch.where(seen, values[biased.argmax(0)], UNSEEN)
    return labels, labels == values[:, None]


def _by_overlap(values: Tensor, weights: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """Of several objects that have it, a Gaussian has the label of the one under which it is seen most."""
    members = owners(weights, config.bias, config.norm)
    owned = torch.where(members, weights, 0.0)
    owned[0] = 0.0  # the background has what no object has
    labels = torch.where(weights.sum(0) >= LEAST_SEEN, values[owned.argmax(0)], UNSEEN)
    return labels, torch.cat([(labels == 0)[None], members[1:]])


class Prompt(NamedTuple):
    """Where another view shows the Gaussian of a click.

    Attributes:
        view: number of the camera.
        x, y: in pixels; the centre of the first one is at (0.5, 0.5).
        weight: the largest share that the Gaussian has in a pixel of the view.
    """

    view: int
    x: float
    y: float
    weight: float


class Click(NamedTuple):
    """What a click hit.

    Attributes:
        gaussian: its row.
        point: [3] its centre.
        prompts: where other views show it.
    """

    gaussian: int
    point: Tensor
    prompts: list[Prompt]


def propagate_points(
    scene: Gaussians,
    camera: Camera,
    x: float,
    y: float,
    cameras: Iterable[Camera],
    least_weight: float = LEAST_WEIGHT,
    settings: RenderSettings = USUAL,
) -> Click | None:
    """A click in one view becomes a Gaussian, and that one's projections become prompts in other views, for
    whatever makes masks from points.

    Args:
        scene, camera, x, y, settings: as for `gaussian_at`.
        cameras, least_weight: as for `prompts_for`.

    Returns:
        None where the click hits nothing.

    Raises:
        ValueError: the click is outside the image.
    """
    gaussian = gaussian_at(scene, camera, x, y, settings)
    if gaussian is None:
        return None
    prompts = prompts_for(scene, gaussian, cameras, least_weight, settings)
    return Click(gaussian, scene.means[gaussian].detach().clone(), prompts)


@torch.no_grad()
def gaussian_at(
    scene: Gaussians, camera: Camera, x: float, y: float, settings: RenderSettings = USUAL
) -> int | None:
    """The row of the Gaussian at the median depth of a pixel: the one with which the pixel is more than half
    covered. None where no pixel is.

    Args:
        scene, settings: as for :func:`gsplat_core.render.scene.render`.
        x, y: in pixels; the centre of the first one is at (0.5, 0.5).

    Raises:
        ValueError: the place is outside the image.
    """
    if not (0 <= x < camera.width and 0 <= y < camera.height):
        raise ValueError(f"({x}, {y}) is outside an image of {camera.width} x {camera.height} pixels")
    outputs = Outputs(colors=False, further=("median_ids",))
    splat = int(render(scene, camera, settings, outputs=outputs).meta["median_ids"][0, int(y), int(x)])
    return None if splat < 0 else splat // splats_of(scene)


@torch.no_grad()
def prompts_for(
    scene: Gaussians,
    gaussian: int,
    cameras: Iterable[Camera],
    least_weight: float = LEAST_WEIGHT,
    settings: RenderSettings = USUAL,
) -> list[Prompt]:
    """Where these views show a Gaussian.

    Args:
        least_weight: views in which it has nowhere this share of a pixel are left out: something hides it, or
            they look elsewhere. So are those in which its centre is outside the image.
    """
    prompts, each = [], splats_of(scene)
    for number, camera in enumerate(cameras):
        shown, splats = measure(scene, camera, settings)
        drawn = slice(gaussian * each, (gaussian + 1) * each)
        weight, most = shown[0, drawn, 2].max(dim=0)
        x, y = splats.means2d[0, 0, drawn][most].tolist()
        if weight >= least_weight and 0 <= x < camera.width and 0 <= y < camera.height:
            prompts.append(Prompt(number, x, y, float(weight)))
    return prompts


def _listed(values: Tensor) -> str:
    shown = ", ".join(map(str, values[:20].tolist()))
    return shown + (f" and {len(values) - 20} more" if len(values) > 20 else "")
