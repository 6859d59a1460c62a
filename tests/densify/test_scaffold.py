"""Where anchors start and which of them go."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Prune
from gsplat_core.densify.scaffold import Scaffold, ScaffoldConfig
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import Guidance, RenderStats, SceneView
from gsplat_core.models.scaffold import SPLATS, Lattice, started
from gsplat_core.scene.gaussians import Gaussians

EVERY = 10


def config(**changes: object) -> ScaffoldConfig:
    usual = {
        "gradient_threshold": 1.0,
        "share": 0.0,
        "count_start": 0,
        "refine_start": 0,
        "refine_every": EVERY,
    }
    return ScaffoldConfig(**{**usual, **changes})  # type: ignore[arg-type]


def scene_of(*places: tuple[float, float, float]) -> Gaussians:
    """Anchors at whole numbers of voxels of side 1."""
    num = len(places)
    plain = Gaussians(
        means=torch.tensor(places, dtype=torch.float32),
        quats=torch.eye(4)[:1].repeat(num, 1),
        scales=torch.zeros(num, 3),
        opacities=torch.zeros(num),
        sh0=torch.zeros(num, 1, 3),
        shN=torch.zeros(num, 0, 3),
    )
    scene = plain.with_primitive("scaffold")
    shared = {**started(plain.with_primitive("scaffold"), 0).shared, "voxel": torch.tensor(1.0)}
    scene.shared.update(shared)
    return scene


def view_of(scene: Gaussians, **facts: object) -> SceneView:
    return SceneView(scene.params, 5.0, schema=scene.schema, shared=scene.shared, **facts)  # type: ignore[arg-type]


def told(
    strategy: Scaffold, scene: Gaussians, pulls: Tensor, opacities: Tensor, decoded: Tensor | None = None
) -> None:
    """So many steps that between two refinements all splats are seen, each pulled at so much [N, K]."""
    num = scene.num * SPLATS
    strategy.initialize(scene.num, "cpu")
    scales = torch.full((scene.num, SPLATS, 3), 0.1)
    if decoded is not None:
        scales[~decoded] = 0
    gradient = torch.zeros(1, num, 2)
    gradient[0, :, 0] = pulls.flatten()
    radii = torch.ones(1, num, 2, dtype=torch.int32)
    for step in range(1, EVERY + 1):
        strategy.regularization(
            {"opacities": opacities.flatten(), "scales": scales.flatten(0, 1)}, view_of(scene)
        )
        strategy.on_backward(step, RenderStats(gradient, radii, width=2, height=2, num_cameras=1))


def pulled(scene: Gaussians, *splats: tuple[int, int, float]) -> Tensor:
    pulls = torch.zeros(scene.num, SPLATS)
    for row, splat, pull in splats:
        pulls[row, splat] = pull
    return pulls


OPAQUE = 0.5


def grown(strategy: Scaffold, scene: Gaussians, pulls: Tensor, **facts: object) -> list[Clone]:
    told(strategy, scene, pulls, torch.full((scene.num, SPLATS), OPAQUE))
    edits = strategy.on_step(EVERY, view_of(scene, **facts))
    return [edit for edit in edits if isinstance(edit, Clone) and len(edit.rows)]


def test_an_anchor_starts_where_splats_are_pulled_and_has_the_largest_of_their_features() -> None:
    scene = scene_of((0, 0, 0), (1, 0, 0))
    offsets, features = scene.further["offsets"], scene.further["features"]
    offsets[0, 3] = torch.tensor([7.2, 0.0, 0.1])
    offsets[1, 5] = torch.tensor([6.3, 0.2, 0.0])
    offsets[1, 6] = torch.tensor([0.0, 0.0, 9.0])  # nobody pulls at it
    features.copy_(torch.stack([torch.arange(32.0), torch.arange(32.0).flip(0)]))
    (new,) = grown(Scaffold(config(levels=1, coarsest=1)), scene, pulled(scene, (0, 3, 2.0), (1, 5, 1.5)))
    torch.testing.assert_close(new.values["means"], torch.tensor([[7.0, 0.0, 0.0]]))
    assert torch.equal(new.values["features"][0], features.amax(dim=0))
    assert not new.values["offsets"].any()
    for name in ("scales", "offset_scales"):
        assert not new.values[name].any()  # logarithms of one voxel


def test_coarse_levels_need_half_the_pull_of_the_next_finer_one() -> None:
    scene = scene_of((0, 0, 0))
    scene.further["offsets"][0, 0] = torch.tensor([16.0, 0.0, 0.0])
    for pull, sides in ((0.9, []), (1.1, [16.0]), (2.1, [16.0]), (4.1, [16.0])):
        new = grown(Scaffold(config()), scene, pulled(scene, (0, 0, pull)))
        # What a coarse level has taken is not empty for a finer one.
        assert [math.exp(edit.values["scales"][0, 0]) for edit in new] == pytest.approx(sides)
    scene.further["offsets"][0, 0] = torch.tensor([5.0, 0.0, 0.0])
    for pull, sides in ((1.1, []), (2.1, [4.0]), (4.1, [4.0, 1.0])):
        new = grown(Scaffold(config()), scene, pulled(scene, (0, 0, pull)))
        assert [math.exp(edit.values["scales"][0, 0]) for edit in new] == pytest.approx(sides)


def test_nothing_starts_in_a_voxel_that_has_an_anchor_whatever_the_frame() -> None:
    scene = scene_of((0, 0, 0), (3, 0, 0))
    scene.further["offsets"][0, 0] = torch.tensor([3.2, 0.1, 0.0])
    pulls = pulled(scene, (0, 0, 9.0))
    assert not grown(Scaffold(config(levels=1, coarsest=1)), scene, pulls)
    # Turned by a right angle about z, offsets along x of the frame are such along y of the world.
    scene.shared["frame"] = torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    (new,) = grown(Scaffold(config(levels=1, coarsest=1)), scene, pulls)
    torch.testing.assert_close(new.values["means"], torch.tensor([[0.0, 3.0, 0.0]]))
    lattice = Lattice.of(scene.shared)
    torch.testing.assert_close(
        lattice.places(lattice.knots(new.values["means"])).float(), new.values["means"]
    )


def test_a_share_is_passed_over_by_chance() -> None:
    scene = scene_of(*((40.0 * i, 0.0, 0.0) for i in range(60)))
    scene.further["offsets"][:, 0, 1] = 9.0
    (new,) = grown(
        Scaffold(config(share=0.5, levels=1, coarsest=1)),
        scene,
        pulled(scene, *((i, 0, 2.0) for i in range(60))),
    )
    assert 15 < len(new.rows) < 45


def test_those_pulled_most_start_where_room_is_short() -> None:
    scene = scene_of(*((40.0 * i, 0.0, 0.0) for i in range(4)))
    scene.further["offsets"][:, 0, 1] = 9.0
    pulls = pulled(scene, (0, 0, 2.0), (1, 0, 5.0), (2, 0, 3.0))
    alone = config(levels=1, coarsest=1, max_gaussians=6)
    (new,) = grown(Scaffold(alone), scene, pulls)
    assert new.rows.tolist() == [1, 2]
    (new,) = grown(Scaffold(alone), scene, pulls, guidance=Guidance(limit=5))
    assert new.rows.tolist() == [1]


def test_faint_anchors_go_once_they_were_decoded_often() -> None:
    scene = scene_of((0, 0, 0), (5, 0, 0), (9, 0, 0), (20, 0, 0))
    opacities = torch.zeros(4, SPLATS)
    opacities[0, 0] = 0.004
    opacities[1, :2] = 0.004  # together they are enough
    strategy = Scaffold(config(prune_opacity=0.005))
    told(strategy, scene, torch.zeros(4, SPLATS), opacities, torch.tensor([True, True, False, True]))
    frozen = torch.tensor([False, False, False, True])
    prune = next(
        edit for edit in strategy.on_step(EVERY, view_of(scene, frozen=frozen)) if isinstance(edit, Prune)
    )
    assert prune.rows.tolist() == [0]
    assert strategy.rows["decoded"].tolist() == [0, 0, 0, 0]
    assert strategy.rows["opacity"].tolist() == [0, 0, 0, 0]


def test_new_anchors_have_not_been_seen_and_others_keep_their_counts() -> None:
    scene = scene_of((0, 0, 0), (5, 0, 0))
    scene.further["offsets"][0, 0, 1] = 9.0
    strategy = Scaffold(config(often=0.99, levels=1, coarsest=1))
    told(strategy, scene, pulled(scene, (0, 0, 9.0)), torch.full((2, SPLATS), OPAQUE))
    strategy.rows["drawn"][1] = 3.0  # too rarely to be asked about
    strategy.rows["decoded"][1] = 3.0
    store = ParameterStore(scene.params, extras=scene.extras)
    strategy.follow(store.apply(strategy.on_step(EVERY, view_of(scene))))
    assert store.num == 3
    assert strategy.rows["drawn"][:, 1].tolist() == [0, 3, 0]
    assert strategy.rows["decoded"].tolist() == [0, 3, 0]


def test_volume_is_that_of_what_is_drawn_and_the_same_in_other_units() -> None:
    scene, strategy = scene_of((0, 0, 0)), Scaffold()
    scales = torch.rand(SPLATS, 3, requires_grad=True)
    opacities = torch.tensor([0.5] * 4 + [0.0] * 6)
    term = strategy.regularization({"opacities": opacities, "scales": scales}, view_of(scene))
    assert term is not None
    torch.testing.assert_close(term, 0.01 * scales[:4].prod(dim=1).mean())
    term.backward()
    assert scales.grad is not None
    assert not scales.grad[4:].any()
    twice = SceneView(scene.params, 10.0)
    again = strategy.regularization({"opacities": opacities, "scales": 2 * scales}, twice)
    torch.testing.assert_close(again, term)


def test_what_it_has_to_be_told_is_asked_for() -> None:
    strategy, scene = Scaffold(config()), scene_of((0, 0, 0))
    strategy.initialize(1, "cpu")
    stats = RenderStats(torch.zeros(1, SPLATS, 2), torch.ones(1, SPLATS, 2), 2, 2, 1)
    with pytest.raises(ValueError, match="was not asked before"):
        strategy.on_backward(5, stats)
    splats = {"opacities": torch.zeros(SPLATS), "scales": torch.zeros(SPLATS, 3)}
    strategy.regularization(splats, view_of(scene))
    strategy.initialize(2, "cpu")
    with pytest.raises(ValueError, match="10 splats, but 2 anchors have 20"):
        strategy.on_backward(5, stats)


def test_short_runs_refine_in_the_same_part_of_them() -> None:
    short = ScaffoldConfig().stretched(0.1)
    assert (short.count_start, short.refine_start, short.refine_stop) == (50, 150, 1500)
