"""Codebooks as a codec: their sizes, what they cost, and what is rounded besides."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from compress.scenes import scene

from gsplat_core.compress.container import Container
from gsplat_core.compress.vq import VQCodec, VQConfig, decode


def test_coarser_by_a_factor() -> None:
    """Steps grow by it, codebooks shrink by its square, to a power of two from 1 to 2^16."""
    before = VQConfig(dc=4096, sh=1024, scales=2**16, rotation=2)
    after = before.coarser(2.0)
    assert after == replace(
        before, dc=1024, sh=256, scales=2**14, rotation=1, position_step=2.0**-9, opacity_step=0.8
    )
    finer = before.coarser(0.25)
    assert (finer.dc, finer.sh, finer.scales, finer.rotation) == (2**16, 2**14, 2**16, 32)
    assert before.coarser(1.5).sh == 512  # 455, to the nearest power


@pytest.mark.parametrize("size", [0, 3, 2**17, -2])
def test_sizes_are_powers_of_two(size: int) -> None:
    with pytest.raises(ValueError, match=f"sh = {size}"):
        VQConfig(sh=size)


def test_opacities_cost_their_sum() -> None:
    gaussians = scene(50)
    codec = VQCodec(VQConfig(opacity_weight=0.25))
    assert codec.penalty(gaussians.params) == pytest.approx(0.25 * float(gaussians.opacities.sigmoid().sum()))


def test_opacities_are_rounded_to_their_step_and_codes_follow_the_numbers() -> None:
    gaussians = scene(400)
    codec = VQCodec(VQConfig(opacity_step=0.7, dc=4, sh=4, scales=4, rotation=4))
    codec.refresh(gaussians.params)
    shown = codec.quantized(gaussians.params)
    expected = (gaussians.opacities.clamp(-8, 8) / 0.7).round() * 0.7
    torch.testing.assert_close(shown["opacities"], expected)
    for name in ("sh0", "shN"):
        assert len(torch.unique(shown[name].round(decimals=4), dim=0)) <= 4
    # Gaussians keep the length and the sign of their quaternions.
    torch.testing.assert_close(shown["quats"].norm(dim=1), gaussians.quats.norm(dim=1))
    assert ((shown["quats"] * gaussians.quats).sum(dim=1) >= 0).all()


def test_labels_have_as_many_bits_as_the_codebook_needs() -> None:
    """Fewer than 16 Gaussians for a code are not worth one."""
    coded = VQCodec(VQConfig(dc=16, sh=1024, scales=1, rotation=32)).encode(scene(700))
    assert coded.header["bits"] == {"dc": 4, "sh": 6, "scales": 0, "rotation": 5}
    again = decode(Container.from_bytes(coded.to_bytes(), "memory"))  # type: ignore[arg-type]
    assert len(torch.unique(again.scales.sort(dim=1).values.round(decimals=4), dim=0)) == 1


def test_a_state_holds_the_codebooks() -> None:
    gaussians = scene(300)
    codec, again = VQCodec(VQConfig(dc=8)), VQCodec(VQConfig(dc=8))
    assert codec.state_dict() == {}
    codec.refresh(gaussians.params)
    again.load_state_dict(codec.state_dict())
    one, other = codec.encode(gaussians).to_bytes(), again.encode(gaussians).to_bytes()
    assert one == other
