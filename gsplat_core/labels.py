"""Labels of Gaussians from labels of pixels: FlashSplat (Shen et al., "2D to 3D Gaussian Splatting
Segmentation Solved Optimally", 2024).

An image is linear in the blending weights, so all that labels of pixels say about a Gaussian are the sums of
its weights over the pixels of each label. With A_1 those of an object's mask and A_0 those of the rest, the
mask that the object's Gaussians blend to is nearest to the given ones, in the sum of absolute differences, if
a Gaussian belongs to it where A_1 > A_0.

The label of each Gaussian is a field of the scene, `Gaussians.extras["label"]`, int32 [N]: 0 and above as in
the masks, where 0 is the background, and -1 for who was never seen. Like any such field it goes wherever its
row goes; it is in .ply and in .gsz, and where only some of the scenes that are merged have labels, the rows
of the others get -1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from gsplat_core.ops.neighbors import knn
from gsplat_core.primitive import splats_of
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import Scene, measure_labels, render
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

LABEL = "label"
"""The field of `Gaussians.extras` that has the labels."""

UNSEEN = -1
"""The label of a Gaussian that has none."""

LEAST_SEEN = 1e-3

# How many labels are rendered at a time.
_LABELS_AT_ONCE = 16


def labelled(scene: Gaussians, labels: Tensor) -> Gaussians:
    """The scene with these labels [N], integers, in place of those it may have."""
    return replace(scene, extras={**scene.extras, LABEL: labels.to(scene.device, torch.int32)})


def labels_of(scene: Gaussians) -> Tensor | None:
    """The labels [N] of a scene, integers; None where it has no such field.

    Files of others may have something else under this name, which is no label.
    """
    labels = scene.extras.get(LABEL)
    if labels is None or labels.ndim != 1 or labels.is_floating_point() or labels.dtype == torch.bool:
        return None
    return labels


def counts(labels: Tensor) -> dict[int, int]:
    """How many Gaussians each label has that there is, of labels [N], ascending."""
    known, numbers = labels.unique(return_counts=True)
    return dict(zip(known.tolist(), numbers.tolist(), strict=True))


@torch.no_grad()
def label_image(scene: Gaussians, camera: Camera, settings: RenderSettings = USUAL) -> Tensor:
    """The label [H, W] int64 that each pixel shows most of; where it mostly shows nothing, the background.

    Args:
        scene: with labels; Gaussians that have none count for no label.

    Raises:
        ValueError: it has no labels.
    """
    labels = labels_of(scene)
    if labels is None:
        raise ValueError(f"the scene has no field {LABEL!r} of labels")
    known = torch.cat([labels[labels >= 0], labels.new_zeros(1)]).unique()
    largest, found = None, None
    for block in known.split(_LABELS_AT_ONCE):
        each = (labels[:, None] == block).to(scene.means.dtype).repeat_interleave(splats_of(scene), dim=0)
        drawn = render(scene, camera, settings, outputs=Outputs(colors=False), features={"each": each})
        shares = drawn.meta["features"]["each"][0]
        if largest is None:  # the background comes first
            shares[..., 0] += 1 - drawn.alphas[0, ..., 0]
        share, place = shares.max(-1)
        if largest is None or found is None:
            largest, found = share, block[place]
        else:
            found = torch.where(share > largest, block[place], found)
            largest = torch.maximum(share, largest)
    assert found is not None
    return found.long()


@torch.no_grad()
def label_weights(
    scene: Scene,
    views: Iterable[tuple[Camera, Tensor]],
    num_labels: int,
    settings: RenderSettings = USUAL,
) -> Tensor:
    """Sums of blending weights [num_labels, N], float64, over all pixels of each label in all views.

    These are the sums of `gsplat_core.accumulation.accumulate` of images that have one channel for each
    label, one where the pixel has it and zero elsewhere. Where rows are drawn as several Gaussians, these
    count together.

    Args:
        scene, settings: as for :func:`gsplat_core.render.scene.render`.
        views: cameras, each with the labels [H, W] of its pixels, integers; what is not in [0, num_labels)
            counts nowhere.

    Raises:
        ValueError: labels do not fit to their camera, or there is no view.
    """
    total: Tensor | None = None
    splats = splats_of(scene)
    for camera, labels in views:
        each = measure_labels(scene, camera, (labels[None], num_labels), settings).double()
        weights = each.unflatten(1, (each.shape[1] // splats, splats)).sum(dim=2)
        total = weights if total is None else total.add_(weights)
    if total is None:
        raise ValueError("labels of Gaussians need at least one view")
    return total


def heaviest_label(weights: Tensor, least: float = LEAST_SEEN) -> Tensor:
    """The label [N] int64 under which each Gaussian is seen most, of weights [num_labels, N]; -1 where all of
    them together are less than `least`."""
    return torch.where(weights.sum(0) < least, -1, weights.argmax(0))


def owners(
    weights: Tensor, bias: float = 0.0, norm: Literal["l1", "l2"] = "l1", least: float = LEAST_SEEN
) -> Tensor:
    """Which Gaussians belong to the object of each label, bool [num_labels, N], one against the rest: objects
    may share Gaussians, and some may belong to none.

    Args:
        weights: [num_labels, N].
        bias: between -1 and 1; what is above 0 makes objects smaller and their edges clean, what is below 0
            makes them larger, as when they are to be removed.
        norm: of the pair (object, rest) that the difference is measured by; the published scripts have "l2".
        least: Gaussians that are seen less belong to none.
    """
    together = weights.sum(0)
    rest = together - weights
    length = weights + rest if norm == "l1" else (weights.square() + rest.square()).sqrt()
    return (weights - rest > bias * length) & (together >= least)


def filled(means: Tensor, labels: Tensor, neighbors: int = 8) -> Tensor:
    """The labels [N] with those of Gaussians that had none (-1) taken from what is near them.

    A Gaussian gets the label that most of those among its nearest neighbours have that have one, of equally
    many the nearest's; those without such neighbours get theirs in a later round. Where nobody near has any,
    -1 stays.

    Args:
        means: [N, 3] float32, finite.
        labels: [N] integers.
    """
    num = len(labels)
    if num <= neighbors or not bool((labels < 0).any()):
        return labels
    near, labels = knn(means, neighbors)[0], labels.clone()
    while True:
        empty = (labels < 0).nonzero().squeeze(1)
        around = labels[near[empty]]
        votes = ((around[:, :, None] == around[:, None, :]) & (around[:, None, :] >= 0)).sum(2)
        found = around.gather(1, votes.argmax(1, keepdim=True)).squeeze(1)
        if not bool((found >= 0).any()):
            return labels
        labels[empty] = found


def overlap(found: Tensor, truth: Tensor, labels: Tensor) -> Tensor:
    """How far two images of labels agree: [2, L] int64, in how many pixels both have each of the labels [L],
    and in how many either has. Their quotient, of views that were added up, is the intersection over union.

    Args:
        found, truth: [H, W] integers; pixels where `truth` is negative do not count.
        labels: ascending.
    """
    counted = truth >= 0
    found, truth, labels = found[counted].long(), truth[counted].long(), labels.to(found.device).long()
    both, first, second = (_numbers(image, labels) for image in (found[found == truth], found, truth))
    return torch.stack([both, first + second - both])


def _numbers(pixels: Tensor, labels: Tensor) -> Tensor:
    """How many pixels have each label, [L]."""
    places = torch.searchsorted(labels, pixels).clamp(max=len(labels) - 1)
    return places[labels[places] == pixels].bincount(minlength=len(labels))
