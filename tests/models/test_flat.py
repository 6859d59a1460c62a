"""Scenes of flat Gaussians: drawn like Gaussians, from the front, at the depths of their planes."""

from __future__ import annotations

from dataclasses import replace

import torch
from models.test_generalized import plain_scene
from models.test_ray import camera

from gsplat_core import primitive
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import measure, render


def test_a_scene_looks_like_its_fronts_as_gaussians_without_thickness() -> None:
    scene = plain_scene(40).with_primitive("flat")
    thin = primitive.evaluate(scene)
    assert thin.scales is not None
    thin = thin._replace(scales=thin.scales * torch.tensor([1.0, 1.0, 0.0]))
    seen = render(scene, camera()).meta["radii"][0].any(-1)
    through = render(thin._replace(planes=False), camera()).meta["radii"][0].any(-1)
    assert 10 < int(seen.sum()) < int(through.sum()) < 40
    fronts = thin._replace(planes=False, opacities=torch.where(seen, thin.opacities, 0.0))
    assert torch.equal(render(scene, camera()).colors, render(fronts, camera()).colors)
    # Turned over, the others are.
    over = torch.stack([-scene.quats[:, 1], scene.quats[:, 0], scene.quats[:, 3], -scene.quats[:, 2]], dim=1)
    turned = render(replace(scene, quats=over), camera()).meta["radii"][0].any(-1)
    assert not bool((seen & turned).any())
    assert torch.equal(seen | turned, through)


def test_the_third_scale_does_not_matter() -> None:
    scene = plain_scene(30).with_primitive("flat")
    scales = scene.scales.clone()
    scales[:, 2] = 3
    assert torch.equal(render(replace(scene, scales=scales), camera()).colors, render(scene, camera()).colors)


def test_what_is_measured_is_what_is_drawn() -> None:
    scene = plain_scene(40).with_primitive("flat")
    sums, _ = measure(scene, camera())
    outputs = Outputs(colors=False, depth="expected", further=("normals",), hits=True)
    rendered = render(scene, camera(), outputs=outputs)
    torch.testing.assert_close(sums[0, :, 0].sum(), rendered.alphas.sum(), rtol=1e-4, atol=0)
    assert rendered.hits is not None
    there = rendered.alphas[..., 0] > 0
    assert there.any()
    expected = rendered.alphas[..., 0] / rendered.hits[..., 1]
    torch.testing.assert_close(rendered.depths[there], expected[there].clamp(min=0), rtol=1e-4, atol=1e-5)
    assert rendered.meta["normals"].norm(dim=-1).max() > 0.2
