"""Small images first: sizes fall into place by the photographs' own spectra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View
from trainers.resolution import ResolutionConfig, ResolutionSchedule
from trainers.views import Target

WIDTH, HEIGHT = 128, 96


def view(blur: float) -> View:
    """Noise without frequencies above a fraction `blur` of the highest."""
    noise = np.random.default_rng(0).random((HEIGHT, WIDTH))
    spectrum = np.fft.fft2(noise)
    fy, fx = np.meshgrid(np.fft.fftfreq(HEIGHT), np.fft.fftfreq(WIDTH), indexing="ij")
    spectrum[np.maximum(abs(fx), abs(fy)) > blur / 2] = 0
    values = np.fft.ifft2(spectrum).real
    pixels = ((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)
    camera = Camera(np.eye(4), np.diag([100.0, 100, 1]), WIDTH, HEIGHT)
    return View(camera, lambda: np.repeat(pixels[..., None], 3, axis=2))


def factors(blur: float, **options: float) -> list[int]:
    config = ResolutionConfig(**{"until": 1000, "every": 10, "shortest": 1, **options})
    schedule = ResolutionSchedule(config, [view(blur)])
    return [schedule(step) for step in range(1, 1101)]


def test_images_only_grow_and_reach_their_full_size_in_time() -> None:
    found = factors(1.0)
    assert found == sorted(found, reverse=True)
    assert found[0] > 1
    assert set(found[999:]) == {1}


def test_soft_photographs_may_be_small_for_longer() -> None:
    assert sum(factors(0.3)) > sum(factors(1.0))
    assert factors(0.3)[0] > factors(1.0)[0]


def test_they_are_never_smaller_than_allowed() -> None:
    assert max(factors(0.1, largest=3.0)) <= 3
    assert factors(1.0, largest=1.0) == [1] * 1100


def test_no_side_becomes_too_short() -> None:
    assert max(factors(0.1)) > 3
    assert max(factors(0.1, shortest=HEIGHT // 3)) == 3
    assert max(factors(0.1, shortest=HEIGHT // 2 + 1)) == 1
    assert max(factors(0.1, shortest=2 * WIDTH)) == 1


def test_white_noise_starts_at_a_quarter_of_its_pixels() -> None:
    """Its spectrum is flat, so a quarter of the sum is a quarter of the frequencies: factor 2."""
    assert factors(1.0)[0] in (1, 2)
    assert factors(1.0, energy=16.0)[0] in (3, 4)


def test_a_shrunk_photograph_is_the_same_view() -> None:
    y, x = np.meshgrid(np.arange(HEIGHT) + 0.5, np.arange(WIDTH) + 0.5, indexing="ij")
    ramp = np.stack([x, y, x + y], axis=-1).astype(np.uint8)
    K = torch.tensor([[[90.0, 0, 60], [0, 80, 50], [0, 0, 1]]])
    target = Target(torch.from_numpy(ramp), torch.eye(4)[None], K, WIDTH, HEIGHT, 0)
    small = target.shrunk(4)
    assert (small.width, small.height) == (32, 24)
    assert small.image.shape == (24, 32, 3)
    point = torch.tensor([0.1, -0.2, 1.0])
    assert torch.allclose((small.K[0] @ point)[:2] * 4, (target.K[0] @ point)[:2])
    inner = small.image[2:-2, 2:-2].float()
    columns = (torch.arange(32) + 0.5)[2:-2] * 4
    assert (inner[..., 0] - columns).abs().max() <= 1  # brightness is where it was
    assert target.shrunk(1) is target


@pytest.mark.parametrize("wrong", [{"until": 0}, {"largest": 0.5}, {"shortest": 0}, {"energy": 1.0}])
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ResolutionConfig(**wrong)
