"""gsplat_core/labels.py: labels of pixels become labels of Gaussians, which stay with them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from splat_files import typical_scene
from splats import intrinsics, look_at
from torch import Tensor

import gsplat_core.io
from gsplat_core.labels import LABEL, counts, heaviest_label, label_weights, labelled, labels_of, owners
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

EYES = [(1.5 * x, -0.5, -4.0 + 0.2 * x) for x in range(-2, 3)]


def camera(eye: tuple[float, float, float], width: int = 48, height: int = 36) -> Camera:
    K = intrinsics(60, 60, width / 2, height / 2)
    return Camera(viewmat=look_at(eye).double().numpy(), K=K.double().numpy(), width=width, height=height)


def two_balls(num: int = 200) -> tuple[Gaussians, Tensor]:
    """Two objects side by side, and which one a Gaussian belongs to."""
    g = torch.Generator().manual_seed(0)
    label = torch.arange(num) % 2
    means = 0.3 * torch.randn(num, 3, generator=g) + torch.where(label == 0, -0.8, 0.8)[
        :, None
    ] * torch.tensor([1.0, 0, 0])
    scene = Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(num, 1),
        scales=torch.full((num, 3), -2.3),
        opacities=torch.full((num,), 2.0),
        sh0=torch.zeros(num, 1, 3),
        shN=torch.zeros(num, 0, 3),
    )
    return scene, label


def rendered_labels(scene: Gaussians, label: Tensor, view: Camera) -> Tensor:
    """2 where nothing is, else the label that most of the pixel's light is from."""
    hot = torch.nn.functional.one_hot(label, 2).float()
    drawn = render(scene, view, features={"hot": hot})
    shares = drawn.meta["features"]["hot"][0]
    return torch.where(drawn.alphas[0, ..., 0] < 0.5, 2, shares.argmax(-1))


def test_objects_are_found_again_from_their_masks_although_some_pixels_are_wrong() -> None:
    scene, label = two_balls()
    g, views = torch.Generator().manual_seed(1), []
    for eye in EYES:
        labels = rendered_labels(scene, label, camera(eye))
        wrong = torch.rand(labels.shape, generator=g) < 0.1
        views.append(
            (camera(eye), torch.where(wrong, torch.randint(0, 3, labels.shape, generator=g), labels))
        )
    weights = label_weights(scene, views, 3)
    found = heaviest_label(weights[:2])
    seen = found >= 0
    assert seen.sum() > 150
    assert (found == label)[seen].double().mean() > 0.97


def test_the_closed_form_is_the_best_of_all_choices() -> None:
    """Of what a choice of Gaussians blends to, in the sum of absolute differences from the mask."""
    scene, _ = two_balls(8)
    view = camera(EYES[1])
    mask = torch.arange(48)[None, :].expand(36, 48) < 25
    weights = label_weights(scene, [(view, mask.int())], 2)
    dense = render(scene, view, features={"each": torch.eye(8)}).meta["features"]["each"][0].double()

    def loss(choice: Tensor) -> float:
        return float((dense @ choice - mask.double()).abs().sum())

    best = min(loss(torch.tensor(choice).double()) for choice in product((0.0, 1.0), repeat=8))
    assert loss(owners(weights)[1].double()) == pytest.approx(best, rel=1e-5)


def test_a_bias_grows_and_shrinks_objects() -> None:
    weights = torch.rand(3, 500, generator=torch.Generator().manual_seed(2)).double()
    for norm in ("l1", "l2"):
        sizes = [owners(weights, bias, norm).sum() for bias in (-0.8, -0.2, 0.0, 0.2, 0.8)]  # type: ignore[arg-type]
        assert sizes == sorted(sizes, reverse=True)
        assert len(set(map(int, sizes))) == 5
    fractions = weights / weights.sum(0)
    assert torch.equal(owners(weights, 0.3), fractions > 0.65)
    assert torch.equal(owners(weights, 0.0, "l1"), owners(weights, 0.0, "l2"))


def test_whom_nobody_sees_has_no_label() -> None:
    weights = torch.tensor([[0.2, 0.0, 1e-4], [0.1, 0.0, 2e-4]]).double()
    assert heaviest_label(weights).tolist() == [0, -1, -1]
    assert owners(weights).tolist() == [[True, False, False], [False, False, False]]


def test_sums_of_views_are_those_of_the_renderings() -> None:
    scene, label = two_balls()
    views = [(camera(eye), rendered_labels(scene, label, camera(eye))) for eye in EYES[:2]]
    each = [render(scene, view, labels=(labels[None], 3)).meta["label_weights"] for view, labels in views]
    assert torch.allclose(label_weights(scene, views, 3), (each[0] + each[1]).double(), rtol=1e-6)
    large = replace(views[0][0], width=96)
    with pytest.raises(ValueError, match=r"'labels\[0\]' must have shape \[1, 36, 96\], got \[1, 36, 48\]"):
        label_weights(scene, [(large, views[0][1])], 3)
    with pytest.raises(ValueError, match="need at least one view"):
        label_weights(scene, [], 3)


@pytest.mark.parametrize("name", ["a.ply", "a.gsz"])
def test_files_hold_labels(name: str, tmp_path: Path) -> None:
    scene = labelled(typical_scene(50, 1), torch.arange(50) % 4 - 1)
    gsplat_core.io.export_verified(tmp_path / name, scene)
    read = gsplat_core.io.load(tmp_path / name)
    nearest = torch.cdist(scene.means, read.means).argmin(dim=1)
    assert read.extras[LABEL].dtype == torch.int32
    assert torch.equal(read.extras[LABEL][nearest], scene.extras[LABEL])


def test_rows_from_scenes_without_labels_have_none() -> None:
    scene = labelled(typical_scene(3), torch.tensor([0, 2, 1]))
    assert Gaussians.merge([scene, typical_scene(2)]).extras[LABEL].tolist() == [0, 2, 1, -1, -1]
    assert Gaussians.merge([typical_scene(1), scene]).extras[LABEL].tolist() == [-1, 0, 2, 1]
    assert scene.subset(torch.tensor([2, 0])).extras[LABEL].tolist() == [1, 0]
    assert scene.baked().with_sh_degree(0).extras[LABEL].tolist() == [0, 2, 1]


def test_a_field_of_labels_is_known_by_its_name_and_kind() -> None:
    scene = typical_scene(3)
    assert labels_of(scene) is None
    scene.extras[LABEL] = torch.tensor([0.5, 1.0, 2.0])
    assert labels_of(scene) is None
    known = labelled(scene, torch.tensor([2, -1, 2]))
    assert scene.extras[LABEL].is_floating_point()
    assert labels_of(known).tolist() == [2, -1, 2]
    assert counts(known.extras[LABEL]) == {-1: 1, 2: 2}
