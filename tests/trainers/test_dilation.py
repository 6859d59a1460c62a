"""trainers/dilation.py: steps that see every d-th pixel see exactly these, with their gradients."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from splats import adapted, one_thread, random_scene
from training_runs import Run, assert_same_bits, interrupt_at

from gsplat_core import rasterization, reference
from gsplat_core.errors import UsageError
from gsplat_core.render.settings import RenderSettings
from gsplat_core.scene.dataset import View
from trainers.config import TrainConfig
from trainers.dilation import AUTO_PIXELS, Dilation, Lattice, dilated, refuse_dilation
from trainers.fields import from_json
from trainers.loop import Interrupted
from trainers.parts.registry import with_parts
from trainers.presets import with_primitive
from trainers.sources import load_photographs
from trainers.views import Target

WIDTH, HEIGHT = 46, 33


def photograph(K: torch.Tensor, **more: torch.Tensor) -> Target:
    pixels = torch.randint(256, (HEIGHT, WIDTH, 3), generator=torch.Generator().manual_seed(0)).byte()
    return Target(pixels, torch.eye(4)[None], K, WIDTH, HEIGHT, 0, **more)


def scene(camera: str = "pinhole"):
    """Gaussians in the image and around, many of them smaller than a pixel."""
    seen = adapted(random_scene(60, width=WIDTH, height=HEIGHT, sh_degree=1), camera)
    return seen.with_(scales=0.5 * seen.tensors["scales"])


def drawn(function, shown, leaves, target: Target, camera: str, **options):
    """The image [H, W, 3] of the camera of a target, by the operators or the reference."""
    settings = dilated(RenderSettings(), target.dilation)
    given = {**shown.arguments(leaves), "Ks": target.K.to(leaves["means"])}
    size = {"width": target.width, "height": target.height}
    return function(**given | size, camera_model=camera, eps2d=settings.eps2d, **options)[0][0]


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("camera", ["pinhole", "ortho", "fisheye", "opencv"])
@pytest.mark.parametrize("lattice", [Lattice(2, 1, 0), Lattice(3, 0, 2)], ids=str)
def test_a_lattice_is_every_dth_pixel_of_the_whole_image(lattice: Lattice, camera: str, mode: str) -> None:
    shown = scene(camera)
    whole = photograph(shown.tensors["Ks"])
    few = lattice.of(whole)
    with one_thread(), torch.no_grad():
        for function, dtype, tolerance in (
            (rasterization, torch.float32, 2e-5),
            (reference.rasterization, torch.float64, 1e-6),  # K is one of float32
        ):
            leaves = {name: value.to(dtype) for name, value in shown.tensors.items()}
            options = {"rasterize_mode": mode}
            expected = drawn(function, shown, leaves, whole, camera, **options)
            found = drawn(function, shown, leaves, few, camera, **options)
            rows, columns = slice(lattice.y, None, lattice.every), slice(lattice.x, None, lattice.every)
            assert float(expected.std()) > 0.05
            torch.testing.assert_close(found, expected[rows, columns], atol=tolerance, rtol=0)


@pytest.mark.parametrize("every", [2, 3])
def test_gradients_of_all_offsets_add_up_to_those_of_the_whole_image(every: int) -> None:
    """Of the sum of absolute differences."""
    shown = scene()
    whole = photograph(shown.tensors["Ks"])

    def gradients(targets):
        leaves = shown.leaves()
        with one_thread():
            for target in targets:
                image = drawn(rasterization, shown, leaves, target, "pinhole")
                (image - target.image / 255).abs().sum().backward()
        return {n: leaves[n].grad for n in ("means", "quats", "scales", "opacities", "colors")}

    offsets = [Lattice(every, x, y).of(whole) for x in range(every) for y in range(every)]
    for name, expected in gradients([whole]).items():
        found = gradients(offsets)[name]
        torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-4 * float(expected.abs().max()))


def test_a_lattice_has_the_photographs_pixels_their_mask_and_their_transparency() -> None:
    random = torch.Generator().manual_seed(1)
    mask = torch.rand(HEIGHT, WIDTH, generator=random) > 0.5
    alpha = torch.randint(256, (HEIGHT, WIDTH), generator=random).byte()
    whole = photograph(torch.eye(3)[None], mask=mask, alpha=alpha)
    few = Lattice(3, 2, 1).of(whole)
    for name in ("image", "mask", "alpha"):
        assert torch.equal(getattr(few, name), getattr(whole, name)[1::3, 2::3])
    assert (few.height, few.width) == few.image.shape[:2] == (11, 15)
    assert Lattice().of(whole) is whole


def test_what_is_measured_over_the_image_stays_what_it_is() -> None:
    """The gradient that density control looks at is one by halves of the image, and of a mean over pixels."""
    K, point = torch.tensor([[[30.0, 0, 20], [0, 40, 15], [0, 0, 1]]]), torch.tensor([0.3, -0.2, 1.0])
    whole = photograph(K)
    few = Lattice(2, 1, 1).of(whole)

    def share_of_the_width(target: Target) -> float:
        moved = target.K[0] @ (point + torch.tensor([0.01, 0.0, 0.0])) - target.K[0] @ point
        return float(moved[0]) / target.width

    assert share_of_the_width(few) == pytest.approx(share_of_the_width(whole), rel=1e-5)


def seen(config: TrainConfig, step: int, target: Target) -> int:
    return Dilation(config)(step, target).dilation


def test_the_last_steps_see_whole_photographs() -> None:
    config, target = TrainConfig(steps=10, dilation=2, dilation_until=0.8), photograph(torch.eye(3)[None])
    assert [seen(config, step, target) for step in range(1, 11)] == [2] * 8 + [1] * 2
    assert Dilation(replace(config, dilation=1))(1, target) is target


def test_photographs_that_are_small_yet_lose_no_more_pixels() -> None:
    """Where the schedule of resolutions has shrunk them, no fewer are left than by the lattice alone."""
    config, target = TrainConfig(steps=10, dilation=4), photograph(torch.eye(3)[None])
    assert [seen(config, 1, target.shrunk(factor)) for factor in (1, 2, 3, 4, 8)] == [4, 2, 1, 1, 1]


def test_auto_goes_by_the_number_of_pixels() -> None:
    dilation = Dilation(TrainConfig(steps=10, dilation="auto"))
    found = {pixels: dilation.every_at(1, pixels) for pixels in (10_000, 1.9e6, 2e6, 4e6, 4.5e6, 12e6)}
    assert list(found.values()) == [1, 1, 2, 2, 3, 4]
    assert all(every == 1 or pixels / every**2 >= AUTO_PIXELS for pixels, every in found.items())


def test_every_pixel_has_its_turn() -> None:
    config, target = TrainConfig(steps=1000, dilation=3), photograph(torch.eye(3)[None])
    corners = {tuple(Dilation(config)(step, target).K[0, :2, 2].tolist()) for step in range(1, 100)}
    assert len(corners) == 9
    first, again = (Dilation(config)(7, target) for _ in range(2))
    assert torch.equal(first.image, again.image)


def test_a_dilated_run_goes_on_to_the_bit(config: TrainConfig, tmp_path) -> None:
    config = replace(config, dilation=2, dilation_until=0.7)
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    with pytest.raises(Interrupted):
        Run(config, tmp_path / "interrupted", interrupt_at(17)).fit()
    resumed = Run(config, tmp_path / "interrupted")
    resumed.fit()
    assert_same_bits(resumed.state(), straight.state())
    whole = Run(replace(config, dilation=1), tmp_path / "whole")
    whole.fit()
    assert not torch.equal(whole.trainer.gaussians.means, straight.trainer.gaussians.means)


@pytest.fixture
def views(config: TrainConfig) -> list[View]:
    return load_photographs(config).train


@pytest.mark.parametrize("primitive", ["2dgs", "analytic", "sundae"])
def test_primitives_that_know_the_size_of_a_pixel_are_refused(primitive: str, views: list[View]) -> None:
    with pytest.raises(UsageError, match=f"{primitive}.*--dilation 2"):
        refuse_dilation(with_primitive(TrainConfig(dilation=2), primitive), views)


@pytest.mark.parametrize("part", ["bilateral", "transient", "confidence", "smooth_depths", "depth"])
def test_parts_that_look_at_neighbouring_pixels_are_refused(part: str, views: list[View]) -> None:
    with pytest.raises(UsageError, match=f"{part}.*--dilation auto"):
        refuse_dilation(with_parts(TrainConfig(dilation="auto"), [part]), views)


def test_photographs_that_would_be_too_small_and_panoramas_are_refused(views: list[View]) -> None:
    refuse_dilation(TrainConfig(dilation=3), views)
    with pytest.raises(UsageError, match="fewer than 11 x 11 pixels"):
        refuse_dilation(TrainConfig(dilation=4), views)
    camera = SimpleNamespace(model="equirectangular", width=4000, height=2000)
    with pytest.raises(UsageError, match="a panorama"):
        refuse_dilation(TrainConfig(dilation=2), [SimpleNamespace(camera=camera, name="all around")])
    refuse_dilation(TrainConfig(), [SimpleNamespace(camera=camera, name="all around")])


@pytest.mark.parametrize("wrong", [0, 65, "some", 2.5, True, None])
def test_a_configuration_has_a_whole_number_or_auto(wrong: object) -> None:
    assert [from_json(TrainConfig, {"dilation": good}).dilation for good in ("auto", 1, 3)] == ["auto", 1, 3]
    with pytest.raises(ValueError, match="dilation"):
        from_json(TrainConfig, {"dilation": wrong})
