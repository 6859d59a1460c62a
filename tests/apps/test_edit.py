"""Editing a region: it becomes what the images show, and nothing else changes, to the bit."""

from __future__ import annotations

from dataclasses import replace

import edited_scenes
import pytest
import torch
from edited_scenes import EDITED, NEIGHBOUR, OTHER, Edit, outcome
from torch import Tensor

from gsplat_core.anchors import AnchorConfig
from gsplat_core.apps.edit import EditConfig, EditTrainer, keenest, region_of
from gsplat_core.densify.adc import ADCConfig
from gsplat_core.errors import NumericalError, UsageError
from gsplat_core.external_gradients import with_gradient
from gsplat_core.labels import LABEL
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.schema import FROZEN, PACE, PARAMETERS

# Multiplies at every fifth step whoever has a gradient.
BUSY = EditConfig(steps=12, densify_every=5, densify_until=1.0, density=ADCConfig(gradient_threshold=1e-9))


@pytest.fixture(scope="module")
def example() -> Edit:
    return edited_scenes.edit(seed=9, each=20, side=24, views=5)


def with_extras(scene: Gaussians, **extras: Tensor) -> Gaussians:
    return replace(scene, extras={**scene.extras, **extras})


def trainer(
    example: Edit, scene: Gaussians | None = None, roi: Tensor | int = EDITED, **options
) -> EditTrainer:
    options = {"provider": lambda view, image: example.targets[view], "config": BUSY, **options}
    return EditTrainer(example.before if scene is None else scene, roi, example.cameras, **options)


def same_bits(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))


def test_a_noisy_edit_succeeds_and_anchors_hold_what_is_not_edited() -> None:
    """The published scheme's promise, from targets that disagree about every colour by a tenth."""
    example = edited_scenes.edit(seed=8)
    held, free = (outcome(example, EditConfig(steps=700), anchors) for anchors in (AnchorConfig(), None))
    assert held.inside > 25
    assert held.outside > 50
    assert free.wandered > 2 * held.wandered


def test_everything_outside_is_the_same_to_the_bit(example) -> None:
    number = torch.arange(example.before.num)
    scene = with_extras(example.before, number=number)
    # Density control would see these gone.
    scene = replace(scene, opacities=torch.where(number % 7 == 0, -9.0, scene.opacities))
    edit = trainer(example, scene)
    edited = edit.run()
    assert edited.num != scene.num
    outside = edited.extras[LABEL] != EDITED
    rows = edited.extras["number"][outside]
    assert torch.equal(rows, number[scene.extras[LABEL] != EDITED])
    for name, value in edited.params.items():
        assert same_bits(value[outside], scene.params[name][rows]), name
    for value in edit._store.params.values():
        assert not any(edit._adam.state[value][key][outside].any() for key in ("exp_avg", "exp_avg_sq"))
    assert torch.equal(edit.region, ~outside)
    assert FROZEN not in edited.extras


def test_children_inherit_the_label_and_are_a_new_generation(example) -> None:
    edit = trainer(example)
    edit.run()
    added = edit.anchors.generations > 0
    assert bool(added.any())
    assert bool((edit.scene.extras[LABEL][added] == EDITED).all())
    assert edit.anchors.generations.unique().tolist() == [0, 1, 2]


def test_at_most_a_share_of_those_with_a_gradient_multiplies() -> None:
    need = torch.tensor([5.0, 0.0, 3.0, 9.0, 4.0, 0.0, 1.0])
    free = torch.tensor([True, True, True, False, True, True, True])
    assert keenest(need, free, 0.5).tolist() == [1, 0, 0, 0, 1, 0, 0]
    assert keenest(need, free, 0.01).tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert keenest(need, free, 1.0).tolist() == [1, 0, 1, 0, 1, 0, 1]
    assert keenest(0 * need, free, 0.5).tolist() == [0] * 7


def test_absolute_gradients_may_decide(example) -> None:
    density = ADCConfig(gradient_threshold=1e-9, absgrad=True)
    assert trainer(example, config=replace(BUSY, density=density)).run().num > example.before.num


def test_without_density_control_rows_stay_in_their_places(example) -> None:
    edited = trainer(example, config=replace(BUSY, densify_until=0.0)).run()
    assert torch.equal(edited.extras[LABEL], example.before.extras[LABEL])


def test_fields_with_a_rate_of_0_stay(example) -> None:
    rates = dict.fromkeys(("means", "quats", "scales", "opacities"), 0.0)
    edited = trainer(example, config=replace(BUSY, rates=rates)).run()
    inside = example.before.extras[LABEL] == EDITED
    for name in PARAMETERS:
        same = same_bits(edited.params[name], example.before.params[name])
        assert same == (name not in ("sh0", "shN")), name
    # All but those that nobody sees.
    assert (edited.sh0[inside] != example.before.sh0[inside]).float().mean() > 0.9


def test_rates_of_fields_are_factors(example) -> None:
    """Of the first step, in which all start from one place."""
    config = replace(BUSY, densify_until=0.0)
    plain, slow = (
        trainer(example, config=config),
        trainer(example, config=replace(config, rates={"sh0": 0.5})),
    )
    for edit in (plain, slow):
        edit.advance()
    steps = [edit.scene.sh0 - example.before.sh0 for edit in (plain, slow)]
    torch.testing.assert_close(steps[1], 0.5 * steps[0], rtol=1e-4, atol=3e-7)
    assert same_bits(plain.scene.means, slow.scene.means)


def test_rows_that_were_frozen_and_paces_are_heeded(example) -> None:
    inside = example.before.extras[LABEL] == EDITED
    frozen = inside & (torch.arange(example.before.num) % 2 == 0)
    pace = torch.ones(example.before.num)
    pace[::3] = 0.0
    scene = with_extras(example.before, **{FROZEN: frozen, PACE: pace})
    edited = trainer(example, scene, config=replace(BUSY, densify_until=0.0)).run()
    assert torch.equal(edited.extras[FROZEN], frozen)
    stays = frozen | ~inside | (pace == 0)
    for name, value in edited.params.items():
        assert same_bits(value[stays], scene.params[name][stays]), name
        assert not bool((value[~stays] == scene.params[name][~stays]).flatten().all())
    with pytest.raises(UsageError, match="all of them are frozen"):
        trainer(example, with_extras(example.before, **{FROZEN: inside}))


def test_the_scene_that_was_given_stays_as_it_was(example) -> None:
    before = {name: value.clone() for name, value in example.before.params.items()}
    trainer(example).run()
    assert all(same_bits(value, before[name]) for name, value in example.before.params.items())
    assert list(example.before.extras) == [LABEL]


def test_a_ready_made_gradient_trains_as_the_loss_that_it_is_of(example) -> None:
    """dL/dI of L = |I - I*|^2 / 2."""

    def loss(view: int, image: Tensor, target: Tensor | None) -> Tensor:
        assert target is not None
        return 0.5 * (image - target).square().sum()

    def gradient(view: int, image: Tensor, target: Tensor | None) -> Tensor:
        assert target is None
        return with_gradient(image, image - example.targets[view])

    ordinary = trainer(example, loss=loss).run()
    external = trainer(example, loss=gradient, provider=None).run()
    for name, value in ordinary.params.items():
        torch.testing.assert_close(external.params[name], value, rtol=1e-6, atol=1e-6)


def test_targets_are_made_once_per_view_and_anew_every_so_many_steps(example) -> None:
    asked: list[int] = []
    steps: list[int] = []
    edits: list[EditTrainer] = []

    def provider(view: int, image: Tensor) -> Tensor:
        asked.append(view)
        steps.append(edits[0].step + 1)
        assert not image.requires_grad
        return image.clamp(0, 1)

    edits.append(trainer(example, provider=provider, config=replace(BUSY, steps=20, refresh_every=8)))
    edits[0].run()
    assert steps == [1, 2, 3, 4, 5, 8, 16]
    assert sorted(asked[:5]) == list(range(5))


def test_pixels_that_are_masked_out_do_not_count(example) -> None:
    masks = [torch.zeros(24, 24, dtype=torch.bool) for _ in example.cameras]
    for mask in masks:
        mask[:, :12] = True
    spoilt = [target.where(mask[..., None], 0.7) for target, mask in zip(example.targets, masks, strict=True)]
    first, second = (
        trainer(example, provider=lambda view, image, t=targets: t[view], masks=masks).run()
        for targets in (example.targets, spoilt)
    )
    assert all(same_bits(first.params[name], second.params[name]) for name in PARAMETERS)


def test_a_region_is_a_label_or_a_mask(example) -> None:
    labels = example.before.extras[LABEL]
    assert torch.equal(region_of(example.before, OTHER), labels == OTHER)
    assert torch.equal(region_of(example.before, labels == NEIGHBOUR), labels == NEIGHBOUR)
    unlabelled = replace(example.before, extras={})
    with pytest.raises(UsageError, match="no labels; `gsplat-core segment`"):
        region_of(unlabelled, 1)
    with pytest.raises(UsageError, match="No Gaussian has the label 17; there are: 0, 1, 2, 3"):
        region_of(example.before, 17)
    with pytest.raises(UsageError, match="No Gaussian is in the region"):
        region_of(example.before, labels == 17)
    with pytest.raises(ValueError, match=r"roi: expected bool \[141\], got torch.int32 \[141\]"):
        region_of(example.before, labels)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (torch.zeros(24, 23, 3), r"expected the shape of the image, \[24, 24, 3\], got \[24, 23, 3\]"),
        (torch.zeros(24, 24, 3).double(), "float32 or uint8, got torch.float64"),
        (torch.full((24, 24, 3), torch.nan), "not finite"),
        (None, "float32 or uint8, got NoneType"),
    ],
)
def test_targets_that_are_none_are_refused(example, target, message) -> None:
    with pytest.raises(ValueError, match=message):
        trainer(example, provider=lambda view, image: target).advance()


def test_what_makes_no_sense_is_refused(example) -> None:
    with pytest.raises(ValueError, match="at least one camera"):
        EditTrainer(example.before, EDITED, [])
    with pytest.raises(ValueError, match="no field 'colour'; the scene has means"):
        trainer(example, config=EditConfig(rates={"colour": 0}))
    with pytest.raises(ValueError, match="all fields have 0"):
        trainer(example, config=EditConfig(rates=dict.fromkeys(PARAMETERS, 0.0)))
    with pytest.raises(ValueError, match=r"rates\['means'\] = -1"):
        EditConfig(rates={"means": -1})
    with pytest.raises(ValueError, match="one for each of the 5 cameras, got 1"):
        trainer(example, masks=[None])
    with pytest.raises(ValueError, match="a provider of them is needed"):
        trainer(example, provider=None).advance()
    with pytest.raises(ValueError, match="pixel_weighted: edits do not count pixels"):
        EditConfig(density=ADCConfig(pixel_weighted=True))
    with pytest.raises(ValueError, match="most_densified = 0"):
        EditConfig(most_densified=0)


def test_a_loss_that_is_not_finite_changes_nothing(example) -> None:
    edit = trainer(example, loss=lambda view, image, target: image.sum() * torch.nan)
    with pytest.raises(NumericalError, match="loss of step 1"):
        edit.run()
    assert all(same_bits(value, example.before.params[name]) for name, value in edit.scene.params.items())


@pytest.mark.parametrize("name", ["mip", "ges", "6dgs"])
def test_scenes_of_other_primitives_are_edited_too(example, name) -> None:
    scene = example.before.with_primitive(name)
    edited = trainer(example, scene).run()
    outside = edited.extras[LABEL] != EDITED
    assert edited.primitive == name
    assert edited.num > scene.num
    for field, value in edited.params.items():
        assert same_bits(value[outside], scene.params[field][scene.extras[LABEL] != EDITED]), field
