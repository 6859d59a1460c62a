"""PSNR and SSIM against torchmetrics, scipy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from paths import real_scene
from PIL import Image
from scipy.ndimage import gaussian_filter1d
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from gsplat_core.metrics import psnr, ssim


def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(*shape, 3, generator=generator)
    return image, (image + 0.1 * torch.randn(*shape, 3, generator=generator)).clamp(0, 1)


def photographs() -> tuple[torch.Tensor, torch.Tensor]:
    """A photograph and a blurred copy."""
    file = sorted((real_scene("fox") / "images").iterdir())[0]
    image = np.asarray(Image.open(file).convert("RGB").reduce(4), np.float32) / 255.0
    blurred = gaussian_filter1d(gaussian_filter1d(image, 1.0, axis=0), 1.0, axis=1)
    return torch.from_numpy(blurred), torch.from_numpy(image)


def torchmetrics_ssim_map(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """SSIM of every window [B, 3, H, W], the images mirrored at their borders."""
    planar = [t.double().movedim(-1, -3).reshape(-1, 3, *t.shape[-3:-1]) for t in (image, target)]
    result = structural_similarity_index_measure(planar[0], planar[1], data_range=1.0, return_full_image=True)
    return result[1]  # type: ignore[return-value]


def assert_agrees_with_torchmetrics(image: torch.Tensor, target: torch.Tensor) -> None:
    expected_psnr = peak_signal_noise_ratio(image.double(), target.double(), data_range=1.0)
    expected_map = torchmetrics_ssim_map(image, target)
    assert psnr(image, target) == pytest.approx(expected_psnr.item(), abs=1e-5)
    assert ssim(image, target, padding="reflect") == pytest.approx(expected_map.mean().item(), abs=1e-5)
    interior = expected_map[..., 5:-5, 5:-5]
    assert ssim(image, target, padding="valid") == pytest.approx(interior.mean().item(), abs=1e-5)


@pytest.mark.parametrize("shape", [(11, 11), (48, 64), (2, 130, 75)])
def test_agrees_with_torchmetrics(shape: tuple[int, ...]) -> None:
    assert_agrees_with_torchmetrics(*pair(*shape))


def test_agrees_with_torchmetrics_on_a_photograph() -> None:
    assert_agrees_with_torchmetrics(*photographs())


def test_same_padding_counts_the_outside_as_zero() -> None:
    image, target = pair(40, 50)
    black_frame = [torch.nn.functional.pad(t, (0, 0, 5, 5, 5, 5)) for t in (image, target)]
    assert ssim(image, target) == pytest.approx(
        ssim(black_frame[0], black_frame[1], padding="valid"), abs=1e-6
    )


def test_known_values() -> None:
    grey = torch.full((20, 30, 3), 0.5)
    assert psnr(grey, grey) == math.inf
    assert psnr(grey + 0.1, grey) == pytest.approx(20.0, abs=1e-4)
    assert ssim(grey, grey) == pytest.approx(1.0, abs=1e-6)
    # Without structure only the luminance term is left.
    luminance = (2 * 0.5 * 0.6 + 1e-4) / (0.5**2 + 0.6**2 + 1e-4)
    assert ssim(grey + 0.1, grey, padding="valid") == pytest.approx(luminance, abs=1e-5)


def test_bytes_stand_for_their_value_over_255() -> None:
    image, target = pair(20, 30)
    as_bytes = (target * 255).to(torch.uint8)
    assert psnr(image, as_bytes) == psnr(image, as_bytes / 255.0)
    assert ssim(image, as_bytes) == ssim(image, as_bytes / 255.0)


def test_values_outside_the_range_are_not_clamped() -> None:
    image, target = pair(20, 30)
    brighter = image + 1.0
    assert psnr(brighter, target) < psnr(brighter.clamp(0, 1), target)


def test_wrong_shapes_are_explained() -> None:
    image, target = pair(20, 30)
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match="target must have the shape of image"):
            metric(image, target[1:])


def test_images_smaller_than_the_padding_are_refused() -> None:
    image, target = pair(5, 30)
    assert 0.0 < ssim(image, target) < 1.0
    with pytest.raises(ValueError, match="at least 11x11"):
        ssim(image, target, padding="valid")
    with pytest.raises(ValueError, match="at least 6x6"):
        ssim(image, target, padding="reflect")


def test_a_mask_that_keeps_all_changes_nothing() -> None:
    image, target = pair(2, 40, 50)
    everything = torch.ones(2, 40, 50, dtype=torch.bool)
    assert psnr(image, target, everything) == pytest.approx(psnr(image, target))
    assert ssim(image, target, mask=everything) == pytest.approx(ssim(image, target), abs=1e-5)


def test_what_is_masked_out_does_not_count() -> None:
    image, target = pair(40, 50)
    mask = torch.zeros(40, 50, dtype=torch.bool)
    mask[:, :30] = True
    scores = psnr(image, target, mask), ssim(image, target, mask=mask)
    assert scores[0] == pytest.approx(psnr(image[:, :30], target[:, :30]))
    image[:, 30:] = 0.0
    assert (psnr(image, target, mask), ssim(image, target, mask=mask)) == scores
    image[:, :30], target = target[:, :30], (target * 255).to(torch.uint8)
    assert psnr(image, target, mask) > 50
    assert ssim(image, target, mask=mask) > 0.999
    assert math.isnan(psnr(image, target, mask & False))


def test_masks_are_checked() -> None:
    image, target = pair(40, 50)
    with pytest.raises(ValueError, match="mask must be bool"):
        psnr(image, target, torch.ones(40, 50))
    with pytest.raises(ValueError, match="mask must be bool"):
        ssim(image, target, mask=torch.ones(50, 40, dtype=torch.bool))
    with pytest.raises(ValueError, match="a mask needs padding='same'"):
        ssim(image, target, "valid", torch.ones(40, 50, dtype=torch.bool))
