"""Training for surfaces: the losses against their formula, what they do to a scene, and when they count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from part_renderings import drawn, leaves, target
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.densify.strategy import SceneView, Wants
from gsplat_core.errors import UsageError
from gsplat_core.primitive import evaluate
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.render.settings import USUAL
from gsplat_core.render.surfaces import normals_of_depths
from gsplat_core.scene.scale import PUBLISHED_LENGTH
from trainers.parts.registry import refuse_second_order
from trainers.parts.surfaces import Surfaces, SurfacesConfig

LENGTH = 2 * PUBLISHED_LENGTH
BOTH = SurfacesConfig(normal=0.05, normal_from=0.0, distortion=10.0, distortion_from=0.0)
KINDS = ("gaussian", "2dgs")


def part_of(settings, config):
    return Surfaces(settings, replace(config, steps=30), ())


@pytest.mark.parametrize("kind", KINDS)
def test_the_losses_are_those_of_the_formulas(kind, config) -> None:
    mask = torch.ones(24, 32, dtype=torch.bool)
    mask[:, :10] = False
    seen = target(mask)
    rendering = drawn(kind, leaves(), seen, LENGTH)
    alphas, hits = rendering.alphas[0, ..., 0].double(), rendering.hits[0].double()
    depths = (hits[..., 0] / alphas.clamp(min=1e-10))[None]
    found = normals_of_depths(depths, seen.viewmat.double(), seen.K.double())[0]
    normals = 1 - alphas * (rendering.meta["normals"][0].double() * found).sum(-1)
    unit = LENGTH / PUBLISHED_LENGTH
    near, far = 0.2 * unit, 100.0 * unit
    scale = far * near / (far - near)
    apart = scale**2 * (alphas * hits[..., 2] - hits[..., 1] ** 2)
    expected = 0.05 * normals[mask].mean() + 10.0 * apart[mask].mean()
    loss = part_of(BOTH, config).loss(1, rendering, seen)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=1e-6)


def test_what_is_not_a_surfel_is_hit_at_its_centre(config) -> None:
    params = leaves()
    seen = target()
    splats = evaluate(params, None, "gaussian")
    z = params["means"][:, 2:]
    powers = torch.cat([z, 1 / z, 1 / z**2], dim=1)
    by_features = render(
        splats, seen, USUAL, outputs=Outputs(colors=False), features={"powers": powers}, sh_degree=0
    )
    torch.testing.assert_close(
        drawn("gaussian", params, seen, LENGTH).hits, by_features.meta["features"]["powers"]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_units_do_not_matter(kind, config) -> None:
    def loss(factor):
        params = leaves()
        with torch.no_grad():
            params["means"] *= factor
            params["scales"] += torch.tensor(factor).log()
        seen = target()
        rendering = drawn(kind, params, seen, LENGTH)
        rendering = replace(rendering, scene=SceneView(params, factor * LENGTH))
        return part_of(BOTH, config).loss(1, rendering, seen)

    torch.testing.assert_close(loss(8.0), loss(1.0), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_going_down_the_slope_of_a_loss_lowers_it(kind, config) -> None:
    for settings in (replace(BOTH, distortion=0.0), replace(BOTH, normal=0.0)):
        params, seen, part = leaves(), target(), part_of(settings, config)
        optimizer = torch.optim.Adam(params.values(), lr=3e-3)
        losses = []
        for _ in range(40):
            optimizer.zero_grad()
            loss = part.loss(1, drawn(kind, params, seen, LENGTH), seen)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.9 * losses[0]


def test_pixels_that_are_masked_out_do_not_count(config) -> None:
    part, params = part_of(BOTH, config), leaves()
    nothing = target(torch.zeros(24, 32, dtype=torch.bool))
    assert float(part.loss(1, drawn("2dgs", params, nothing, LENGTH), nothing).detach()) == 0


def test_each_counts_from_its_share_of_the_run_on(config) -> None:
    part = Surfaces(SurfacesConfig(distortion=1.0), replace(config, steps=30_000), ())
    assert [part.wants(step) for step in (3000, 3001)] == [Wants(), Wants(surfaces=True)]
    seen = target()
    rendering = drawn("gaussian", leaves(), seen, LENGTH)
    first, both = (float(part.loss(step, rendering, seen).detach()) for step in (7000, 7001))
    assert 0 < first < both
    only_normals = Surfaces(SurfacesConfig(), replace(config, steps=30_000), ())
    assert [only_normals.wants(step).surfaces for step in (7000, 7001)] == [False, True]


def test_through_other_lenses_there_are_no_normals(config) -> None:
    part = part_of(replace(BOTH, distortion=0.0), config)
    assert part.loss(1, drawn("gaussian", leaves(), target(), LENGTH), target(model="fisheye")) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_run_goes_on_to_the_bit(kind, config, tmp_path) -> None:
    training = replace(config, primitive=kind, parts={"surfaces": BOTH})
    whole = Run(training, tmp_path / "whole")
    whole.fit()
    assert_same_bits(interrupted_at(22, training, tmp_path / "parts").state(), whole.state())


def test_second_order_is_refused(config) -> None:
    with pytest.raises(UsageError, match="knows no surfaces"):
        refuse_second_order(replace(config, optimizer="lm", parts={"surfaces": BOTH}))
