"""What a photograph has of its own, its colours or its pose, found for one that was not trained on.

A test view rendered with the colours of the average photograph is compared with one that has its own. So, as
in NeRF in the Wild (Martin-Brualla et al. 2021, section 4.3), what is the photograph's own is fitted to its
left half, by the mean squared error, while the scene stays as it is; its right half, of which the fit knows
nothing, is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gsplat_core.losses import as_float
from gsplat_core.metrics import psnr, ssim
from gsplat_core.optim import Adam
from gsplat_core.render.scene import render
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from trainers.evaluation import Halves, backdrop, capped, photograph
from trainers.parts.part import FITTING_STEPS, Picture
from trainers.parts.parts import Parts
from trainers.parts.results import AtTest
from trainers.views import Target


class HalfFitted:
    """Measures the right halves of test views. For `trainers.evaluation.evaluate`.

    Args:
        parts: of the finished training.
        trained: the training views, which have what is their own already.
    """

    def __init__(self, parts: Parts, trained: Sequence[View]) -> None:
        self._parts = parts
        self._trained = {view.name for view in trained}

    def __call__(self, gaussians: Gaussians, view: View, background: str) -> Halves | None:
        """None for training views, where nothing is a photograph's own, and where a half is masked out."""
        if view.name in self._trained:
            return None
        own = self._parts.for_unseen(view)
        if own is None:
            return None
        truth, mask = photograph(view, background, gaussians.device)
        middle = view.camera.width // 2
        halves = [slice(0, middle), slice(middle, None)]
        if not all(truth[:, half].numel() and (mask is None or mask[:, half].any()) for half in halves):
            return None
        fit(own, gaussians, view, background)
        image = AtTest(own, [view])(gaussians, view, background).shown
        seen, there = image[:, middle:], truth[:, middle:]
        kept = None if mask is None else mask[:, middle:]
        return Halves(capped(psnr(seen, there, kept)), ssim(seen, there, mask=kept))


@torch.enable_grad()
def fit(own: Parts, gaussians: Gaussians, view: View, background: str) -> None:
    """Trains the parameters of parts, `Part.for_unseen` of this view, on the left half of its photograph."""
    device = gaussians.device
    behind = backdrop(background, device)
    own.initialize(gaussians.num, device)
    target = Target.of(view, device).on(behind)
    left = torch.arange(target.width, device=device) < target.width // 2
    target = target.only(left.expand(target.height, -1))
    truth = as_float(target.image)
    if not (groups := own.parameters()):
        return  # what was learnt of others holds for this photograph
    adam = Adam(
        [{"params": [group.tensor], "betas": group.betas, "eps": group.eps} for group in groups], lr=0.0
    )
    params, still = gaussians.params | gaussians.shared, None
    for step in range(1, FITTING_STEPS + 1):
        for settings, group in zip(adam.param_groups, groups, strict=True):
            settings["lr"] = group.rate(step)
        posed = own.posed(step, target)
        shown = own.shown(step, params, posed)
        if posed is not target or shown is not params:
            picture = _picture(gaussians, shown, posed, behind)
        else:  # where only the image is changed, the scene is rendered once
            picture = still = still or _picture(gaussians, shown, posed, behind)
        image = target.compared(own.at_test(picture, 0))
        (image[0] - truth).square().mean().backward()
        adam.step()
        adam.zero_grad()


def _picture(
    gaussians: Gaussians, shown: Mapping[str, Tensor], target: Target, behind: Tensor | None
) -> Picture:
    rendered = render(gaussians.with_fields(shown), target, background=behind)
    return Picture(rendered.colors, rendered.alphas, behind)
