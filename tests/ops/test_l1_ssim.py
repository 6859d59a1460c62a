"""The operator itself: contracts of torch.library, determinism, instruction sets."""

from __future__ import annotations

import pytest
import torch
from backends import opcheck

from gsplat_core.ops.l1_ssim import l1_ssim

OP = torch.ops.gsplat_core


def images(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(*shape, 3, generator=generator)
    return image, (image + 0.2 * torch.randn(*shape, 3, generator=generator)).clamp(0, 1)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_opcheck(dtype: torch.dtype, requires_grad: bool) -> None:
    image, target = images(2, 13, 17)
    target = (target * 255).to(torch.uint8) if dtype == torch.uint8 else target
    image.requires_grad_(requires_grad)
    opcheck(OP.l1_ssim.default, (image, target, 0.2, True, requires_grad))


def test_same_bytes_for_any_number_of_threads() -> None:
    image, target = images(2, 150, 301)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(l1_ssim(image, target, 0.2, False, True))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_instruction_sets_agree() -> None:
    image, target = images(1, 70, 301)
    active = OP.isa()
    results = {}
    try:
        for isa in OP.available_isas().split():
            OP.set_isa(isa)
            results[isa] = l1_ssim(image, target, 0.2, False, True)
    finally:
        OP.set_isa(active)
    expected = results[active]
    for result in results.values():
        torch.testing.assert_close(result[:3], expected[:3], rtol=1e-6, atol=1e-6)
        assert (result[3] - expected[3]).abs().max() <= 1e-5 * expected[3].abs().max()


@pytest.mark.usefixtures("backend")
def test_value_alone_equals_value_with_gradient() -> None:
    image, target = images(1, 70, 301)
    with_gradient = l1_ssim(image, target, 0.2, False, True)
    alone = l1_ssim(image, target, 0.2, False, False)
    assert alone[3].shape == (0,)
    assert all(torch.equal(a, b) for a, b in zip(alone[:3], with_gradient[:3], strict=True))


@pytest.mark.usefixtures("backend")
def test_inputs_need_not_be_contiguous() -> None:
    image, target = images(1, 20, 30)
    expected = l1_ssim(image, target, 0.2, False, True)
    planar = [t.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1) for t in (image, target)]
    result = l1_ssim(planar[0], planar[1], 0.2, False, True)
    assert all(torch.equal(a, b) for a, b in zip(expected, result, strict=True))


@pytest.mark.usefixtures("backend")
def test_wrong_arguments_are_named() -> None:
    image, target = images(1, 20, 30)
    with pytest.raises(RuntimeError, match=r"'image' must have shape \[\?, \?, \?, 3\], got \[20, 30, 3\]"):
        l1_ssim(image[0], target[0], 0.2, False, False)
    with pytest.raises(RuntimeError, match="'target' must have shape"):
        l1_ssim(image, target[:, :10], 0.2, False, False)
    with pytest.raises(RuntimeError, match="'image' has the wrong dtype"):
        l1_ssim(image.double(), target, 0.2, False, False)
    with pytest.raises(RuntimeError, match="at least 11x11"):
        l1_ssim(image[:, :10], target[:, :10], 0.2, True, False)
