"""Objects are found again from masks, with noise and displaced ones among them; clicks reach other views."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from apps.labelled_scene import HEIGHT, WIDTH, arc, labelled_scene, noisy_masks
from paths import real_scene
from torch import Tensor

from gsplat_core.apps.segment import MOST_LABELS, Config, Lifted, lift, propagate_points
from gsplat_core.contributions import contributions
from gsplat_core.errors import DataError, UsageError
from gsplat_core.labels import LABEL, UNSEEN, filled, label_image, labelled, overlap
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from trainers.config import TrainConfig
from trainers.sources import load_photographs
from trainers.start import initial_gaussians

CAMERAS = arc(24)
HELD_OUT, OTHERS = CAMERAS[1::3], [camera for i, camera in enumerate(CAMERAS) if i % 3 != 1]


@pytest.fixture(scope="module")
def scene() -> Gaussians:
    return labelled_scene()


@pytest.fixture(scope="module")
def masks(scene: Gaussians) -> list[Tensor]:
    return noisy_masks(scene, OTHERS)


def miou(found: Gaussians, truth: Gaussians, cameras: list[Camera]) -> float:
    labels = truth.extras[LABEL].unique()
    pixels = sum(
        overlap(label_image(found, camera), label_image(truth, camera), labels) for camera in cameras
    )
    assert isinstance(pixels, Tensor)
    return float((pixels[0] / pixels[1]).mean())


@pytest.mark.parametrize(("views", "least"), [(16, 0.95), (4, 0.85)])
@pytest.mark.parametrize("rule", ["argmax", "overlap"])
def test_held_out_views_show_the_objects_again(scene: Gaussians, views: int, least: float, rule: str) -> None:
    cameras = OTHERS[:: 16 // views]
    lifted = lift(scene, cameras, noisy_masks(scene, cameras), Config(rule=rule))  # type: ignore[arg-type]
    assert miou(labelled(scene, lifted.labels), scene, HELD_OUT) >= least


def test_the_head_of_the_fox_is_found_again() -> None:
    """Real cameras around real points: a box around the head, from masks of the training photographs."""
    config = TrainConfig(data=str(real_scene("fox")), downscale=6.0, sky="never", gaps="never")
    dataset = load_photographs(config, decode=False)
    scene = initial_gaussians(config, dataset).detached()
    scene.opacities[:] = 2.0
    front = next(view.camera for view in dataset.train if view.name == "0021.jpg")
    to_camera = torch.from_numpy(front.viewmat).float()
    seen = scene.means @ to_camera[:3, :3].T + to_camera[:3, 3]
    box = torch.tensor([[-1.15, -2.4, 3.4], [0.65, 0.0, 5.0]])
    truth = labelled(scene, ((seen >= box[0]) & (seen <= box[1])).all(1).int())
    cameras = [view.camera for view in dataset.train]
    lifted = lift(scene, cameras, noisy_masks(truth, cameras))
    assert miou(labelled(scene, lifted.labels), truth, [view.camera for view in dataset.test]) >= 0.95


def test_the_labels_of_two_kinds_are_the_best_of_all_choices(scene: Gaussians, masks: list[Tensor]) -> None:
    """Of the 2^10 masks that ten Gaussians can blend to, in the sum of absolute differences."""
    few = scene.subset(torch.arange(750, 1250, 50))
    drawn = [render(few, camera, features={"each": torch.eye(10)}) for camera in OTHERS[:2]]
    dense = torch.cat([one.meta["features"]["each"].reshape(-1, 10) for one in drawn]).double()
    objects = [(mask == 1).int() for mask in masks[:2]]
    truth = torch.cat([mask.flatten() for mask in objects]).double()
    choices = torch.tensor(list(product((0.0, 1.0), repeat=10))).double()
    losses = (choices @ dense.T - truth).abs().sum(1)
    labels = lift(few, OTHERS[:2], objects).labels
    assert float((dense @ labels.double() - truth).abs().sum()) == pytest.approx(
        float(losses.min()), rel=1e-6
    )


def test_the_weights_of_all_labels_are_those_of_the_gaussians(scene: Gaussians, masks: list[Tensor]) -> None:
    lifted = lift(scene, OTHERS, masks)
    weights = contributions(scene, OTHERS).weights
    torch.testing.assert_close(lifted.weights.sum(0), weights, rtol=1e-5, atol=1e-5)
    assert lifted.values.tolist() == [0, 1, 2]


def test_any_numbers_are_labels_and_negative_ones_say_nothing(scene: Gaussians, masks: list[Tensor]) -> None:
    usual = lift(scene, OTHERS, masks)
    names = torch.tensor([0, 255, 65_535])
    other = lift(scene, OTHERS, [names[mask] for mask in masks])
    assert other.values.tolist() == [0, 255, 65_535]
    assert torch.equal(
        other.labels.long(), torch.where(usual.labels < 0, -1, names[usual.labels.clamp(min=0)])
    )
    silent = lift(scene, OTHERS, [torch.where(mask == 2, -5, mask) for mask in masks])
    assert silent.values.tolist() == [0, 1]
    assert torch.equal(silent.weights, usual.weights[:2])
    # Without any background the label is there nevertheless.
    assert lift(scene, OTHERS[:1], [torch.full_like(masks[0], 7)]).values.tolist() == [0, 7]


def test_a_bias_makes_objects_smaller_or_larger(scene: Gaussians, masks: list[Tensor]) -> None:
    for rule, norm in product(("argmax", "overlap"), ("l1", "l2")):
        sizes = [
            int(lift(scene, OTHERS, masks, Config(rule, bias, norm)).members[1].sum())  # type: ignore[arg-type]
            for bias in (-0.6, 0.0, 0.6)
        ]
        assert sizes[0] > sizes[1] > sizes[2] > 0, (rule, norm)


def test_with_two_labels_both_rules_are_one(scene: Gaussians, masks: list[Tensor]) -> None:
    binary = [(mask == 2).int() for mask in masks]
    for bias, norm in product((-0.3, 0.0, 0.4), ("l1", "l2")):
        both = [
            lift(scene, OTHERS, binary, Config(rule, bias, norm)).labels for rule in ("argmax", "overlap")
        ]  # type: ignore[arg-type]
        assert torch.equal(*both)


def test_objects_that_overlap_share_gaussians(scene: Gaussians, masks: list[Tensor]) -> None:
    lifted = lift(scene, OTHERS, masks, Config("overlap", -0.8))
    assert bool((lifted.members[1] & lifted.members[2]).any())
    heavier = torch.where(lifted.weights[1] > lifted.weights[2], 1, 2)
    shared = lifted.members[1:].all(0)
    assert torch.equal(lifted.labels[shared].long(), heavier[shared])
    assert bool((lifted.of([1, 2]) == lifted.members[1:].any(0)).all())
    assert torch.equal(lifted.members[0], lifted.labels == 0)


def test_who_is_not_seen_has_no_label_or_that_of_its_neighbours(
    scene: Gaussians, masks: list[Tensor]
) -> None:
    unseen = scene.subset(torch.tensor([0, 800, 1100]))
    unseen.opacities[:] = -12.0  # nothing of it is drawn
    together = Gaussians.merge([scene, unseen])
    labels = lift(together, OTHERS, masks).labels
    assert labels[-3:].tolist() == [UNSEEN] * 3
    lifted = lift(together, OTHERS, masks, Config(fill=True))
    assert lifted.labels[-3:].tolist() == [0, 1, 2]
    assert bool((lifted.labels >= 0).all())
    assert torch.equal(lifted.labels[labels >= 0], labels[labels >= 0])
    assert torch.equal(lifted.members, lifted.labels == lifted.values[:, None])


def test_filling_goes_on_to_those_without_neighbours_and_needs_some() -> None:
    line = torch.arange(60.0)[:, None] * torch.tensor([1.0, 0, 0])
    labels = torch.full((60,), -1)
    labels[:4], labels[4], labels[59] = 3, 0, 5
    found = filled(line, labels)
    assert found[:5].tolist() == [3, 3, 3, 3, 0]
    assert found[58] == 5
    assert bool((found >= 0).all())
    assert labels[10] == -1  # of the given ones none is changed
    assert torch.equal(filled(line, torch.full((60,), -1)), torch.full((60,), -1))
    assert torch.equal(filled(line[:5], labels[:5]), labels[:5])


def test_choices_that_there_are_not_are_refused(scene: Gaussians, masks: list[Tensor]) -> None:
    lifted = lift(scene, OTHERS[:2], masks[:2])
    with pytest.raises(UsageError, match="No mask has the label 9; there are 0, 1, 2"):
        lifted.of([1, 9])
    none = Lifted(lifted.values, lifted.weights, lifted.labels, torch.zeros_like(lifted.members))
    with pytest.raises(UsageError, match="No Gaussian belongs to the label 1"):
        none.of([1])
    assert not lifted.of([]).any()
    for bias in (-1.0, 1.0, float("nan")):
        with pytest.raises(UsageError, match="--bias must be between -1 and 1"):
            Config(bias=bias)


def test_masks_that_are_none_are_refused(scene: Gaussians, masks: list[Tensor]) -> None:
    with pytest.raises(ValueError, match=r"must have shape \[1, 72, 96\], got \[1, 72, 95\]"):
        lift(scene, OTHERS[:1], [masks[0][:, 1:]])
    with pytest.raises(ValueError, match="zip"):
        lift(scene, OTHERS[:2], masks[:1])
    with pytest.raises(ValueError, match="at least one view"):
        lift(scene, [], [])
    colours = torch.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % (MOST_LABELS + 1)
    with pytest.raises(DataError, match=rf"{OTHERS[0].name}: up to its mask there are 1,025 labels"):
        lift(scene, OTHERS[:1], [colours])


def test_images_of_labels_do_not_depend_on_how_many_there_are(scene: Gaussians) -> None:
    """Labels are rendered some at a time; empty pixels and what has no label are the background."""
    camera = CAMERAS[11]
    names = torch.arange(40)[torch.tensor([0, 20, 39])]
    many = labelled(scene, names[scene.extras[LABEL].long()])
    many.extras[LABEL][:38] = torch.arange(1, 39)  # one Gaussian each
    shares = render(
        many, camera, features={"hot": torch.nn.functional.one_hot(many.extras[LABEL].long(), 40).float()}
    )
    expected = shares.meta["features"]["hot"][0]
    expected[..., 0] += 1 - shares.alphas[0, ..., 0]
    assert torch.equal(label_image(many, camera), expected.argmax(-1))
    objects = labelled(scene, scene.extras[LABEL] - 1)
    assert sorted(label_image(objects.subset(slice(750, None)), camera).unique().tolist()) == [0, 1]
    with pytest.raises(ValueError, match="no field 'label'"):
        label_image(scene.without_extras(), camera)


def test_overlaps_leave_out_what_is_not_known() -> None:
    truth = torch.tensor([[0, 1, 1, -1]])
    found = torch.tensor([[0, 1, 0, 1]])
    assert overlap(found, truth, torch.arange(3)).tolist() == [[1, 1, 0], [2, 2, 0]]


def test_a_click_becomes_points_in_the_views_that_show_its_gaussian(scene: Gaussians) -> None:
    here, there = CAMERAS[11], CAMERAS[8:15]
    middles = render(scene, here, outputs=Outputs(further=("median_ids",))).meta["median_ids"][0]
    row, column = 36, 30
    click = propagate_points(scene, here, column + 0.9, row + 0.2, there)
    assert click is not None
    assert click.gaussian == int(middles[row, column])
    assert torch.equal(click.point, scene.means[click.gaussian])
    assert len(click.prompts) >= 4
    each = torch.zeros(scene.num, 1)
    each[click.gaussian] = 1
    for prompt in click.prompts:
        camera = there[prompt.view]
        at = torch.as_tensor(
            camera.K @ (camera.viewmat[:3, :3] @ click.point.numpy() + camera.viewmat[:3, 3])
        )
        assert [prompt.x, prompt.y] == pytest.approx((at[:2] / at[2]).tolist(), abs=1e-3)
        shares = render(scene, camera, features={"each": each}).meta["features"]["each"]
        assert prompt.weight == pytest.approx(float(shares.max()), rel=1e-4)
        assert prompt.weight >= 0.01


def test_views_that_do_not_show_a_gaussian_get_no_prompt(scene: Gaussians) -> None:
    """What covers it in one view does not in another; beside the image nothing is clicked at."""
    here, there = CAMERAS[11], CAMERAS[5]
    click = propagate_points(scene, there, 30, 36, [here, there])
    assert click is not None
    assert [prompt.view for prompt in click.prompts] == [0, 1]
    cover = scene.subset(torch.tensor([0, 0]))
    cover.means[:] = torch.lerp(torch.from_numpy(here.center).float(), click.point, 0.1)
    cover.scales[:], cover.opacities[:] = -2.0, 9.0
    covered = propagate_points(Gaussians.merge([scene, cover]), there, 30, 36, [here, there])
    assert covered is not None
    assert covered.gaussian == click.gaussian
    assert [prompt.view for prompt in covered.prompts] == [1]
    nothing = scene.subset(slice(0, 1))
    assert propagate_points(nothing, here, 1, 1, [here]) is None
    for x, y in ((-0.1, 5), (WIDTH, 5), (5, HEIGHT), (float("nan"), 5)):
        with pytest.raises(ValueError, match="is outside an image of 96 x 72 pixels"):
            propagate_points(scene, here, x, y, [here])
