import pytest
import torch
from torch import Tensor

from gsplat_core.color_correction import color_corrected
from gsplat_core.metrics import psnr


def picture(seed: int = 0, size: int = 40) -> Tensor:
    """Colours from 0.2 to 0.8, all different."""
    return 0.2 + 0.6 * torch.rand(size, size, 3, generator=torch.Generator().manual_seed(seed))


def exposed(image: Tensor) -> Tensor:
    """The same scene as another camera would have taken it."""
    matrix = torch.tensor([[0.8, 0.1, 0.0], [0.05, 0.9, -0.1], [0.0, 0.1, 0.7]])
    return image @ matrix.T + torch.tensor([0.05, 0.02, 0.1])


def test_exposure_and_white_balance_are_undone() -> None:
    image = picture()
    assert psnr(image, exposed(image)) < 30
    assert psnr(color_corrected(image, exposed(image)), exposed(image)) > 100


def test_errors_that_are_no_colours_stay() -> None:
    image = picture(0)
    noisy = (image + 0.1 * torch.randn(image.shape, generator=torch.Generator().manual_seed(2))).clamp(0, 1)
    assert psnr(color_corrected(noisy, image), image) == pytest.approx(psnr(noisy, image), abs=1.5)


@pytest.mark.parametrize("seed", range(5))
def test_it_never_makes_an_image_worse(seed: int) -> None:
    image, target = picture(seed), (2.5 * picture(seed + 10) - 0.75).clamp(0, 1)
    assert psnr(color_corrected(image, target), target) >= psnr(image, target)


def test_saturated_pixels_do_not_bend_the_fit() -> None:
    image = picture()
    target = exposed(image)
    image[:2], target[:2] = 0.97, 1.0
    corrected = color_corrected(image, target)
    assert psnr(corrected[2:], target[2:]) > 60


def test_pixels_outside_the_mask_do_not_count() -> None:
    image = picture()
    target = exposed(image)
    target[:, :15] = picture(5)[:, :15]
    mask = torch.ones(target.shape[:2], dtype=torch.bool)
    mask[:, :15] = False
    corrected = color_corrected(image, target, mask)
    assert psnr(corrected[:, 15:], target[:, 15:]) > 100


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_images_without_differences_are_no_trouble(value: float) -> None:
    flat = torch.full((12, 12, 3), value)
    assert torch.equal(color_corrected(flat, flat), flat)
    assert bool(color_corrected(picture(size=12), flat).isfinite().all())
    assert bool(color_corrected(flat, picture(size=12)).isfinite().all())
    nothing = torch.zeros(12, 12, dtype=torch.bool)
    assert torch.equal(color_corrected(picture(size=12), flat, nothing), picture(size=12))
