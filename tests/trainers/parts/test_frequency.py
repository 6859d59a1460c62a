"""The loss of GES: which pixels count when, and what the sum of all terms is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy.ndimage import convolve1d
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.errors import UsageError
from gsplat_core.metrics import ssim
from trainers.parts.frequency import Frequency, FrequencyConfig, frequency_mask
from trainers.parts.part import Rendering
from trainers.parts.registry import refuse_second_order
from trainers.views import Target


def picture(height: int = 40, width: int = 60) -> torch.Tensor:
    """A bright square before a dim ramp."""
    image = torch.linspace(0, 0.3, width)[None, :, None].repeat(height, 1, 3)
    image[10:25, 20:40] += torch.tensor([0.7, 0.5, 0.6])
    return image


def resized(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Bilinear, pixel by pixel."""
    rows, columns = image.shape
    result = torch.zeros(height, width, dtype=image.dtype)
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * rows / height - 0.5, 0), rows - 1)
            x = min(max((j + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            v, u = y - top, x - left
            upper = (1 - u) * image[top, left] + u * image[top, right]
            result[i, j] = (1 - v) * upper + v * ((1 - u) * image[bottom, left] + u * image[bottom, right])
    return result


def as_published(image: torch.Tensor, iteration: int, iterations: int) -> torch.Tensor:
    """The value that is compared with 1/2, in float64, of images whose sides are multiples of 5."""
    f = 100 * iteration / iterations
    sigma = 0.1 + 0.1 * (f if f < 50 else 100 - f)
    height, width, _ = image.shape
    small = resized(image.double().mean(dim=-1), height // 5, width // 5).numpy()

    def blurred(deviation: float):
        reach = round(3 * deviation)
        kernel = torch.tensor([math.exp(-0.5 * (k / deviation) ** 2) for k in range(-reach, reach + 1)])
        kernel = (kernel.double() / kernel.double().sum()).numpy()
        across = convolve1d(small, kernel, axis=0, mode="constant")
        return torch.from_numpy(convolve1d(across, kernel, axis=1, mode="constant"))

    difference = resized(blurred(sigma) - blurred(2 * sigma), height, width)
    difference = difference - difference.min()
    share = difference / difference.max()
    return 1 - share if f < 50 else share


@pytest.mark.parametrize("iteration", [400, 10_000, 19_999, 20_000, 33_333, 39_200])
def test_the_mask_is_the_published_one(iteration: int) -> None:
    image = picture() + 0.05 * torch.rand(40, 60, 3, generator=torch.Generator().manual_seed(0))
    value = as_published(image, iteration, 40_000)
    sure = (value - 0.5).abs() > 1e-4
    mask = frequency_mask(image, iteration / 40_000)
    assert torch.equal(mask[sure], (value >= 0.5)[sure])
    assert float(sure.double().mean()) > 0.9
    assert 0 < int(mask.sum()) < mask.numel()


def test_the_first_half_leaves_out_what_the_second_half_looks_at() -> None:
    image = picture()
    first, second = frequency_mask(image, 0.25), frequency_mask(image, 0.75)
    assert torch.equal(first, ~second)
    assert bool(second[17, 30])
    assert not bool(second[38, 5])


@pytest.mark.parametrize("progress", [1e-5, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("size", [(40, 60), (3, 4), (1, 1)])
def test_where_nothing_stands_out_all_pixels_count(progress: float, size: tuple[int, int]) -> None:
    mask = frequency_mask(torch.zeros(*size, 3), progress)
    assert mask.shape == size
    assert bool(mask.all())


def part(steps: int = 100, weight: float = 0.5, config=None) -> Frequency:
    return Frequency(FrequencyConfig(weight), replace(config, steps=steps), ())


def test_the_sum_of_all_terms_is_the_published_loss(config) -> None:
    generator = torch.Generator().manual_seed(0)
    photograph = (255 * torch.rand(40, 60, 3, generator=generator)).byte()
    image = picture()[None].requires_grad_()
    target = Target(photograph, torch.eye(4)[None], torch.eye(3)[None], 60, 40, 0)
    rendering = Rendering(image, torch.ones(1, 40, 60, 1), None, {}, {}, None)
    from gsplat_core.losses import l1_dssim

    usual = l1_dssim(image, photograph[None], 0.2)
    total = usual + part(config=config).loss(30, rendering, target)
    truth = photograph.double() / 255
    mask = frequency_mask(image[0].detach(), 0.3)[..., None]
    l1 = (image[0].double() - truth).abs()
    dissimilarity = 1 - ssim(image[0].detach(), truth.float())
    expected = 0.3 * l1.mean() + 0.2 * dissimilarity + 0.5 * (l1 * mask).mean()
    assert float(total.detach()) == pytest.approx(float(expected), rel=1e-5)
    slopes = torch.autograd.grad(total - usual, image)[0][0]
    by_hand = -0.5 * (~mask) * (image[0] - truth.float()).sign() / image.numel()
    torch.testing.assert_close(slopes, by_hand.detach(), rtol=1e-5, atol=1e-9)


def test_an_interrupted_run_goes_on_to_the_bit(config, tmp_path) -> None:
    config = replace(config, primitive="ges", parts={"frequency": FrequencyConfig()})
    whole = Run(config, tmp_path / "whole")
    whole.fit()
    rest = interrupted_at(13, config, tmp_path / "parts")
    assert_same_bits(rest.state(), whole.state())
    without = Run(replace(config, parts={}), tmp_path / "without")
    without.fit()
    assert not torch.equal(without.trainer.store.params["means"], whole.trainer.store.params["means"])


def test_more_weight_than_l1_has_is_refused(config) -> None:
    with pytest.raises(UsageError, match=r"frequency.weight .* at most that, got 0.9"):
        part(weight=0.9, config=config)
    with pytest.raises(ValueError, match="weight"):
        FrequencyConfig(1.5)
    lm = replace(config, optimizer="lm", parts={"frequency": FrequencyConfig()})
    with pytest.raises(UsageError, match="knows no masked loss"):
        refuse_second_order(lm)
