"""Scenes as densities that rays are cast through, drawn, moved and saved like others."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from gsplat_core import primitive
from gsplat_core.errors import UsageError
from gsplat_core.io import load, save
from gsplat_core.models.raygauss import LOBES
from gsplat_core.raygauss import raycast
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import measure, render
from gsplat_core.render.settings import RenderSettings
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.similarity import Similarity
from trainers.primitives import drawn_by, model_of

STEP = 0.02


def scene(count: int = 12) -> Gaussians:
    random = torch.Generator().manual_seed(3)
    plain = Gaussians(
        means=0.5 * torch.randn(count, 3, generator=random),
        quats=torch.randn(count, 4, generator=random),
        scales=-2.0 + 0.5 * torch.rand(count, 3, generator=random),
        opacities=torch.randn(count, generator=random),
        sh0=torch.randn(count, 1, 3, generator=random),
        shN=0.2 * torch.randn(count, 3, 3, generator=random),
    )
    made = plain.with_primitive("raygauss").with_metadata(ray_step=STEP)
    for values in made.further.values():
        values.copy_(0.3 * torch.randn(values.shape, generator=random))
    return made


def cameras() -> Cameras:
    viewmat = torch.eye(4)
    viewmat[2, 3] = 4.0
    K = torch.tensor([[30.0, 0.0, 12.0], [0.0, 30.0, 8.0], [0.0, 0.0, 1.0]])
    return Cameras(viewmat[None], K[None], 24, 16)


def test_a_scene_is_drawn_as_its_density_with_its_lobes() -> None:
    given, camera = scene(), cameras()
    background = torch.tensor([0.1, 0.2, 0.3])
    drawn = render(given, camera, background=background)
    volume = primitive.evaluate(given).volume
    assert volume is not None
    along = torch.nn.functional.normalize(given.means + torch.tensor([0.0, 0, 4]), dim=1)
    degree_1 = 0.4886025119029199 * torch.stack([-along[:, 1], along[:, 2], -along[:, 0]], dim=1)
    colors = 0.5 + 0.28209479177387814 * given.sh0[:, 0] + (degree_1[:, :, None] * given.shN).sum(1)
    axes = torch.nn.functional.normalize(given.further["lobe_axes"], dim=-1)
    shares = (given.further["lobe_sharpness"].exp() * ((axes * along[:, None]).sum(-1) - 1)).exp()
    colors = colors.clamp(min=0) + (shares[..., None] * given.further["lobe_colors"]).sum(1)
    images, alphas, _ = raycast(
        given.means, given.quats, given.scales.exp(), volume.densities, colors.clamp(min=0), camera.viewmats,
        camera.Ks, 24, 16, step=STEP, near=0.01, far=20.0, backgrounds=background[None],
        density_threshold=0.05 * 0.01 / STEP,
    )  # fmt: skip
    torch.testing.assert_close(drawn.colors, images, atol=1e-5, rtol=0)
    torch.testing.assert_close(drawn.alphas, alphas)


def test_opacities_are_those_of_round_gaussians() -> None:
    """Along a line through the centre."""
    logits = torch.tensor([-2.0, 0.0, 5.0])
    round_ones = Gaussians(
        torch.zeros(3, 3), torch.eye(4)[:1].repeat(3, 1), torch.full((3, 3), -1.5), logits,
        torch.zeros(3, 1, 3), torch.zeros(3, 0, 3),
    ).with_primitive("raygauss")  # fmt: skip
    volume = primitive.evaluate(round_ones).volume
    assert volume is not None
    thickness = volume.densities * math.sqrt(2 * math.pi) * math.exp(-1.5)
    torch.testing.assert_close(1 - (-thickness).exp(), logits.sigmoid())


def test_moved_scenes_look_the_same() -> None:
    given, camera = scene(), cameras()
    half = math.sqrt(0.5)
    turn = torch.tensor([[half, -half, 0], [half, half, 0], [0, 0, 1]], dtype=torch.float64)
    similarity = Similarity(turn, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), 2.0)
    moved = given.transformed(similarity).with_metadata(ray_step=2 * STEP)
    to_old = torch.eye(4)
    to_old[:3, :3] = similarity.rotation.T.float()
    to_old[:3, 3] = -(similarity.rotation.T @ similarity.translation).float()
    viewmats = camera.viewmats.clone()
    viewmats[:, :3, 3] *= 2
    other = Cameras(viewmats @ to_old, camera.Ks, 24, 16, near=0.02)
    expected = render(given, camera).colors
    torch.testing.assert_close(render(moved, other).colors, expected, atol=1e-4, rtol=0)


def test_the_gradient_in_the_image_is_that_of_a_shifted_gaussian() -> None:
    """What density control reads: dL / du of a mean that moves by one pixel, z / f parallel to the image."""
    given = scene(1).with_sh_degree(0)
    given.further["lobe_colors"].zero_()
    means = given.means.clone().requires_grad_()
    params = {**given.fields, "means": means}
    seen = primitive.evaluate(params, primitive="raygauss")
    drawn = render(seen, cameras(), RenderSettings(ray_step=STEP))
    (drawn.colors * torch.linspace(0, 1, 24)[:, None]).sum().backward()
    found = drawn.meta["means2d"].grad
    expected = means.grad[0, :2] * (means.detach()[0, 2] + 4.0) / 30.0
    torch.testing.assert_close(found[0, 0], expected)
    assert bool(expected.abs().max() > 1e-3)


def test_depths_are_those_of_centres() -> None:
    drawn = render(scene(), cameras(), outputs=Outputs(depth="expected"))
    seen = drawn.alphas[..., 0] > 0.3
    assert bool(seen.any())
    assert bool(((drawn.depths > 2) & (drawn.depths < 6))[seen].all())
    with pytest.raises(NotImplementedError, match="statistics"):
        render(scene(), cameras(), outputs=Outputs(statistics=True))
    with pytest.raises(NotImplementedError, match="not known where rays are cast"):
        measure(scene(), cameras())


@pytest.mark.parametrize("ending", [".ply", ".gsz"])
def test_files_keep_the_step(tmp_path: Path, ending: str) -> None:
    save(tmp_path / f"a{ending}", scene())
    assert load(tmp_path / f"a{ending}").metadata.ray_step == STEP


def test_options_choose_the_renderer() -> None:
    assert model_of(None, "raygauss") == "raygauss"
    assert model_of("ges", "rasterizer") == "ges"
    for chosen in (("ges", "raygauss"), ("raygauss", "rasterizer")):
        with pytest.raises(UsageError, match="leave"):
            model_of(*chosen)
    plain = drawn_by(scene(), "rasterizer")
    assert plain.primitive == "gaussian"
    assert drawn_by(plain, None) is plain
    again = drawn_by(plain, "raygauss")
    assert again.further["lobe_colors"].shape == (12, LOBES, 3)
    assert 0 < again.metadata.ray_step < 0.01
    with pytest.raises(UsageError, match="'2dgs'"):
        drawn_by(plain.with_primitive("2dgs"), "raygauss")
