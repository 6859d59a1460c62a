"""The compensation head: at first and without weights it is plain rendering; its derivative is that of what
is blended, in float64; images of any size, on any background."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gsplat_core import primitive, reference
from gsplat_core.errors import DataError, UnsuitableSceneError, UsageError
from gsplat_core.io import load, save
from gsplat_core.models.sundae import FEATURES, numbers_of, residual, starting_weights, width_of
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import measure, render
from gsplat_core.scene.gaussians import Gaussians
from trainers import baking

WIDTH = 3


def plain(num: int = 14) -> Gaussians:
    random = torch.Generator().manual_seed(5)
    return Gaussians(
        means=0.6 * torch.randn(num, 3, generator=random),
        quats=torch.randn(num, 4, generator=random),
        scales=-1.2 + 0.4 * torch.rand(num, 3, generator=random),
        opacities=torch.randn(num, generator=random),
        sh0=torch.randn(num, 1, 3, generator=random),
        shN=0.2 * torch.randn(num, 3, 3, generator=random),
    )


def scene(weights: Tensor | None = None) -> Gaussians:
    """With a head that does something."""
    random = torch.Generator().manual_seed(6)
    made = plain().with_primitive("sundae")
    weights = 0.3 * torch.randn(numbers_of(WIDTH), generator=random) if weights is None else weights
    features = torch.randn(made.num, FEATURES, generator=random)
    return dataclasses.replace(made, further={"head_features": features}, shared={"head": weights})


def cameras(width: int = 22, height: int = 13, count: int = 1) -> Cameras:
    viewmats = torch.eye(4).repeat(count, 1, 1)
    viewmats[:, 2, 3] = 4.0
    viewmats[:, 0, 3] = 0.3 * torch.arange(count)
    K = torch.tensor([[20.0, 0.0, width / 2], [0.0, 20.0, height / 2], [0.0, 0.0, 1.0]])
    return Cameras(viewmats, K.expand(count, 3, 3), width, height)


@pytest.mark.parametrize("weights", [torch.zeros(0), starting_weights(WIDTH, 0)], ids=["none", "starting"])
def test_at_first_and_without_weights_it_is_plain_rendering(weights: Tensor) -> None:
    behind = torch.tensor([0.2, 0.5, 0.9])
    drawn = render(scene(weights), cameras(count=2), background=behind)
    expected = render(plain(), cameras(count=2), background=behind)
    torch.testing.assert_close(drawn.colors, expected.colors, atol=1e-6, rtol=0)
    assert torch.equal(drawn.alphas, expected.alphas)
    assert "features" not in drawn.meta
    assert not torch.allclose(render(scene(), cameras(count=2), background=behind).colors, expected.colors)


def test_its_gradients_through_rendering_are_those_of_float64() -> None:
    """Of the reference rasterizer, a network written with matrices of shifted pixels, and autograd."""
    given, seen, behind = scene(), cameras(), torch.tensor([0.2, 0.5, 0.9])
    wanted = torch.randn(1, seen.height, seen.width, 3, generator=torch.Generator().manual_seed(7))
    ours = {name: value.clone().requires_grad_() for name, value in given.fields.items()}
    image = render(primitive.evaluate(ours, primitive="sundae"), seen, background=behind).colors
    (image * wanted).sum().backward()

    exact = {name: value.double().requires_grad_() for name, value in given.fields.items()}
    colors, alphas, meta = reference.rasterization(
        exact["means"], exact["quats"], exact["scales"].exp(), exact["opacities"].sigmoid(),
        (exact["sh0"], exact["shN"]), seen.viewmats, seen.Ks, seen.width, seen.height, sh_degree=1,
        features={"head": exact["head_features"]},
    )  # fmt: skip
    channels = torch.cat([colors, meta["features"]["head"], alphas], dim=-1)
    mixed = colors + alphas * written_out(exact["head"], channels)
    expected = mixed + (1 - alphas) * behind.double()
    sure = ~meta["ambiguous"]
    assert bool(sure.all())
    torch.testing.assert_close(image.double(), expected, atol=1e-5, rtol=1e-4)
    (expected * wanted.double()).sum().backward()
    for name, value in ours.items():
        assert value.grad is not None
        assert exact[name].grad is not None
        scale = float(exact[name].grad.abs().max())
        torch.testing.assert_close(value.grad.double(), exact[name].grad, atol=2e-4 * scale, rtol=1e-3)


def written_out(weights: Tensor, channels: Tensor) -> Tensor:
    """U [C, H, W, 3] of channels [C, H, W, X], by products with matrices."""
    height, width = channels.shape[1:3]
    rows = torch.arange(-(-height // 4) * 4).clamp(max=height - 1)
    columns = torch.arange(-(-width // 4) * 4).clamp(max=width - 1)
    image = channels[:, rows][:, :, columns]
    parts = list(weights.split(sizes_of_layers()))

    def taken() -> tuple[Tensor, Tensor]:
        return parts.pop(0), parts.pop(0)

    def halved(image: Tensor, outputs: int) -> Tensor:
        weight, bias = taken()
        corners = [image[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        matrices = weight.view(outputs, image.shape[-1], 4).unbind(-1)
        return sum(corner @ matrix.T for corner, matrix in zip(corners, matrices, strict=True)) + bias

    def through(image: Tensor, outputs: int) -> Tensor:
        weight, bias = taken()
        framed = torch.zeros(len(image), image.shape[1] + 2, image.shape[2] + 2, image.shape[3]).to(image)
        framed[:, 1:-1, 1:-1] = image
        moved = [
            framed[:, i : i + image.shape[1], j : j + image.shape[2]] for i in range(3) for j in range(3)
        ]
        matrices = weight.view(outputs, image.shape[-1], 9).unbind(-1)
        return sum(part @ matrix.T for part, matrix in zip(moved, matrices, strict=True)) + bias

    def doubled(image: Tensor, outputs: int) -> Tensor:
        weight, bias = taken()
        matrices = weight.view(image.shape[-1], outputs, 4).unbind(-1)
        large = torch.zeros(len(image), 2 * image.shape[1], 2 * image.shape[2], outputs).to(image)
        for number, matrix in enumerate(matrices):
            large[:, number // 2 :: 2, number % 2 :: 2] = image @ matrix
        return large + bias

    fine = through(halved(image, WIDTH).relu(), WIDTH).relu()
    coarse = through(halved(fine, 2 * WIDTH).relu(), 2 * WIDTH).relu()
    fine = through((fine + doubled(coarse, WIDTH)).relu(), WIDTH).relu()
    return doubled(fine, 3)[:, :height, :width]


def sizes_of_layers() -> list[int]:
    layers = [
        (8, WIDTH, 4), (WIDTH, WIDTH, 9), (WIDTH, 2 * WIDTH, 4), (2 * WIDTH, 2 * WIDTH, 9),
        (2 * WIDTH, WIDTH, 4), (WIDTH, WIDTH, 9), (WIDTH, 3, 4),
    ]  # fmt: skip
    return [size for inputs, outputs, taps in layers for size in (inputs * outputs * taps, outputs)]


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 3), (8, 4), (17, 30)])
def test_images_of_any_size_are_mixed_and_what_is_empty_stays_the_background(size: tuple[int, int]) -> None:
    behind = torch.tensor([0.2, 0.5, 0.9])
    empty = dataclasses.replace(scene(), opacities=torch.full((14,), -30.0))
    for given in (scene(), empty):
        drawn = render(given, cameras(*size), background=behind)
        assert drawn.colors.shape == (1, size[1], size[0], 3)
        assert bool(drawn.colors.isfinite().all())
        nothing = drawn.alphas[..., 0] == 0
        assert torch.equal(drawn.colors[nothing], behind.expand(int(nothing.sum()), 3))
    assert bool(nothing.all())


def test_several_cameras_depths_and_other_features_are_as_without_it() -> None:
    several = cameras(count=3)
    outputs, features = Outputs(depth="expected"), {"other": torch.randn(14, 2)}
    drawn = render(scene(), several, outputs=outputs, features=features)
    alone = render(plain(), several, outputs=outputs, features=features)
    assert torch.equal(drawn.depths, alone.depths)
    assert list(drawn.meta["features"]) == ["other"]
    assert torch.equal(drawn.meta["features"]["other"], alone.meta["features"]["other"])
    for number in range(3):
        one = Cameras(several.viewmats[number][None], several.Ks[number][None], 22, 13)
        torch.testing.assert_close(drawn.colors[number], render(scene(), one).colors[0])
    assert torch.equal(measure(scene(), several)[0], measure(plain(), several)[0])


def test_the_width_follows_from_the_number_of_weights() -> None:
    assert [width_of(numbers_of(width)) for width in (1, 2, 16, 256)] == [1, 2, 16, 256]
    assert width_of(0) == 0
    for wrong in (1, numbers_of(16) + 1, numbers_of(256) + 1):
        with pytest.raises(ValueError, match="no head has"):
            width_of(wrong)
    weights = starting_weights(4, 1)
    image = torch.randn(1, 8, 6, 7, generator=torch.Generator().manual_seed(0))
    assert not residual(weights, image).any()
    assert not torch.equal(weights, starting_weights(4, 2))


def test_files_keep_the_head_or_refuse_it_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a.ply", scene())
    read = load(tmp_path / "a.ply")
    assert torch.equal(read.shared["head"], scene().shared["head"])
    assert torch.equal(render(read, cameras()).colors, render(scene(), cameras()).colors)
    with pytest.raises(UnsuitableSceneError, match=r"'head_features'.*--bake"):
        save(tmp_path / "a.spz", scene())
    left = baking.plain(tmp_path / "a.ply", read, None, None, None).scene
    assert torch.equal(render(left, cameras()).colors, render(plain(), cameras()).colors)
    with pytest.raises(UsageError, match="same from everywhere"):
        baking.plain(tmp_path / "a.ply", read, "photograph.jpg", None, None)
    text = (tmp_path / "a.ply").read_bytes()
    number = numbers_of(WIDTH)
    for old, new in (
        (f"shared head {number}", f"shared head {number - 1}"),
        (f"shared_head {number}", f"shared_head {number - 1}"),
    ):
        text = text.replace(old.encode(), new.encode())
    (tmp_path / "a.ply").write_bytes(text[:-4])
    with pytest.raises(DataError, match="no head has"):
        load(tmp_path / "a.ply")
