"""What is a photograph's own is found from its left half, and told of the right one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh0_of
from trainers.config import TrainConfig
from trainers.evaluation import evaluate, picture
from trainers.parts.fitting import HalfFitted, fit
from trainers.parts.part import Part, Picture, of_unseen
from trainers.parts.parts import Parts
from trainers.parts.registry import create, with_appearance
from trainers.results import summarize

WIDTH, HEIGHT = 40, 30


@pytest.fixture(scope="module")
def gaussians() -> Gaussians:
    """A wall of colours that covers the image."""
    random = torch.Generator().manual_seed(0)
    num = 150
    means = torch.rand(num, 3, generator=random) * torch.tensor([6.0, 5.0, 0.5]) - torch.tensor([3, 2.5, -4])
    return Gaussians(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(num, 1),
        scales=torch.full((num, 3), -0.9),
        opacities=torch.full((num,), 2.0),
        sh0=sh0_of(0.2 + 0.4 * torch.rand(num, 1, 3, generator=random)),
        shN=torch.zeros(num, 3, 3),
    )


CAMERA = Camera(np.eye(4), np.array([[40.0, 0, 20], [0, 40, 15], [0, 0, 1]]), WIDTH, HEIGHT, "unseen.png")
EXPOSURE = torch.tensor([[1.3, 0.1, 0.0, 0.02], [0.0, 0.8, 0.1, 0.0], [0.0, 0.0, 1.2, -0.02]])


def photograph(image: Tensor, mask: Tensor | None = None) -> View:
    pixels = (255 * image.clamp(0, 1)).round().byte().numpy()
    return View(CAMERA, lambda: pixels, None if mask is None else lambda: mask.numpy())


def exposed(gaussians: Gaussians) -> Tensor:
    drawn = picture(gaussians, CAMERA)
    return (drawn.image @ EXPOSURE[:, :3].T + drawn.alphas * EXPOSURE[:, 3])[0]


@pytest.mark.parametrize("appearance", ["affine", "bilateral"])
def test_the_right_half_is_as_the_left_one_says(gaussians: Gaussians, appearance: str) -> None:
    view = photograph(exposed(gaussians))
    parts = create(with_appearance(TrainConfig(sh_degree=1), appearance), [])
    (plain,) = evaluate(gaussians, [view])
    (fitted,) = evaluate(gaussians, [view], fitted=HalfFitted(parts, []))
    assert plain.halves is None
    assert fitted.halves is not None
    assert fitted.psnr == plain.psnr, "the whole image is measured as it was"
    assert plain.psnr < 25
    assert fitted.halves.psnr > 38
    told = summarize([fitted])
    assert told["half_psnr"] == told["per_image"][0]["half_psnr"] == fitted.halves.psnr
    assert told["half_ssim"] == fitted.halves.ssim
    assert "half_psnr" not in summarize([plain])


def test_the_right_half_tells_the_fit_nothing(gaussians: Gaussians) -> None:
    image = exposed(gaussians)
    misleading = torch.cat([image[:, : WIDTH // 2], 1 - image[:, WIDTH // 2 :]], dim=1)
    parts = create(with_appearance(TrainConfig(), "affine"), [])
    own = [parts.for_unseen(view) for view in (photograph(image), photograph(misleading))]
    for part, shown in zip(own, (image, misleading), strict=True):
        assert part is not None
        fit(part, gaussians, photograph(shown), "black")
    found = [part.parameters()[0].tensor for part in own if part is not None]
    assert torch.equal(*found)
    assert float((found[0].detach() - torch.eye(3, 4)).abs().max()) > 0.1


def test_it_has_nothing_to_say_of_training_views_and_of_masked_halves(gaussians: Gaussians) -> None:
    image = exposed(gaussians)
    view = photograph(image)
    parts = create(with_appearance(TrainConfig(), "affine"), [])
    assert HalfFitted(parts, [view])(gaussians, view, "black") is None
    assert HalfFitted(Parts({"none": Part()}), [])(gaussians, view, "black") is None
    for half in (slice(0, 20), slice(20, None)):
        mask = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
        mask[:, half] = False
        assert HalfFitted(parts, [])(gaussians, photograph(image, mask), "black") is None


class Shifted(Part):
    """Moves the camera sideways, by a number of its own of each photograph."""

    def __init__(self) -> None:
        self.shift = torch.zeros(())

    def initialize(self, num, device):
        self.shift.requires_grad_()

    def parameters(self):
        return [of_unseen("shift", self.shift, 0.02)]

    def posed(self, step, target):
        aside = torch.zeros(1, 4, 4)
        aside[0, 0, 3] = 1
        return replace(target, viewmat=target.viewmat + self.shift * aside)

    def camera_at_test(self, camera, view):
        viewmat = camera.viewmat.copy()
        viewmat[0, 3] += float(self.shift.detach())
        return replace(camera, viewmat=viewmat)

    def for_unseen(self, view):
        return Shifted()


class Bright(Part):
    """Multiplies the image by a number of its own of each photograph."""

    def __init__(self) -> None:
        self.gain = torch.ones(())

    def initialize(self, num, device):
        self.gain.requires_grad_()

    def parameters(self):
        return [of_unseen("gain", self.gain, 0.05)]

    def at_test(self, picture: Picture, view):
        assert view == 0
        return picture.image * self.gain

    def for_unseen(self, view):
        return Bright()


def test_cameras_and_colours_of_several_parts_are_found_together(gaussians: Gaussians) -> None:
    viewmat = np.eye(4)
    viewmat[0, 3] = 0.15
    image = 0.7 * picture(gaussians, replace(CAMERA, viewmat=viewmat)).image[0]
    parts = Parts({"pose": Shifted(), "none": Part(), "gain": Bright()})
    before = [group.tensor.clone() for group in parts.parameters()]
    (scored,) = evaluate(gaussians, [photograph(image)], fitted=HalfFitted(parts, []))
    assert scored.psnr < 25
    assert scored.halves is not None
    assert scored.halves.psnr > 35
    assert all(torch.equal(old, group.tensor) for old, group in zip(before, parts.parameters(), strict=True))
