"""Thresholds by class: T_k = a_k [tau + lambda (g_k(t) - g_k(t - 1))], whoever is behind."""

from __future__ import annotations

import math

import pytest
import torch
from densify.test_threshold import Scene, config
from torch import Tensor

from gsplat_core.densify import ADC, MCMC, MCMCConfig, SceneView
from gsplat_core.densify.classes import LEAST_THRESHOLD, Classes, ClassesConfig

LARGE = -2.0  # log of a standard deviation that is split at a scene extent of 1
TAU = 2e-4


class Labelled(Scene):
    """Half of the Gaussians are of label 1, half of 0; of each half one half is large."""

    def __init__(self, num: int, classes: ClassesConfig, threshold: str = "absolute") -> None:
        super().__init__(num, config(threshold))
        self.labels = torch.arange(num, dtype=torch.int32) % 2
        self.large = torch.arange(num) % 4 >= 2
        self.store.extras["label"] = self.labels
        self.store.extras["row"] = torch.arange(num)
        self.store.params["scales"][self.large] = LARGE
        self.strategy = Classes(self.strategy, classes)  # type: ignore[assignment]
        self.strategy.initialize(num, "cpu")

    @property
    def view(self) -> SceneView:
        return SceneView(self.store.params, 1.0, labels=self.store.extras["label"])

    def grown(self, gradients: Tensor) -> set[int]:
        """The rows, of those before the refinement, that became two."""
        self.store.extras["row"] = torch.arange(self.store.num)
        self.refine(gradients)
        rows, counts = self.store.extras["row"].unique(return_counts=True)
        return set(rows[counts == 2].tolist())


def rows(mask: Tensor) -> set[int]:
    return set(mask.nonzero().squeeze(1).tolist())


def spread(num: int, seed: int = 0) -> Tensor:
    return torch.rand(num, generator=torch.Generator().manual_seed(seed)) * 3 * TAU


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.0, 2.0])
def test_a_class_has_its_multiple_of_the_threshold_and_others_the_threshold(scale: float) -> None:
    scene, gradients = Labelled(400, ClassesConfig({"1": scale})), spread(400)
    expected = gradients >= TAU * torch.where(scene.labels == 1, scale, 1.0)
    assert scene.grown(gradients) == rows(expected)
    assert 0 < len(rows(expected)) < 400


def test_copies_inherit_the_class() -> None:
    scene = Labelled(400, ClassesConfig({"1": 0.5}))
    before, gradients = scene.labels.clone(), spread(400)
    scene.grown(gradients)
    assert torch.equal(scene.store.extras["label"], before[scene.store.extras["row"]])


@pytest.mark.parametrize(("clone", "split"), [(0.0, -9.0), (-2.0, 0.0), (3.0, -1.5)])
def test_thresholds_follow_the_change_of_the_class_mean(clone: float, split: float) -> None:
    """By the formula, for a class whose gradients fall and one whose gradients rise."""
    a = {0: 1.0, 1: 0.6}
    settings = ClassesConfig({str(k): v for k, v in a.items()}, lambda_clone=clone, lambda_split=split)
    scene = Labelled(400, settings)
    first = spread(400, 1)
    assert scene.grown(first) == rows(first >= torch.where(scene.labels == 1, 0.6, 1.0) * TAU)

    labels, large = scene.store.extras["label"], scene.store.params["scales"][:, 0] > math.log(0.01)
    second = spread(scene.store.num, 2) * torch.where(labels == 1, 1.02, 0.97)
    expected = torch.zeros(scene.store.num, dtype=torch.bool)
    for label, scale in a.items():
        risen = second[labels == label].mean() - first[scene.labels == label].mean()
        for factor, kind in ((clone, ~large), (split, large)):
            threshold = scale * max(TAU + factor * float(risen), LEAST_THRESHOLD * TAU)
            expected |= (labels == label) & kind & (second >= threshold)
    assert scene.grown(second) == rows(expected)


def test_no_threshold_becomes_negative_where_gradients_rise() -> None:
    scene = Labelled(400, ClassesConfig({"1": 0.5}, lambda_clone=-100.0, lambda_split=-100.0))
    scene.grown(torch.full((400,), 1e-6))
    labels, num = scene.store.extras["label"], scene.store.num
    gradients = torch.linspace(0.01, 1, num) * TAU
    expected = gradients >= torch.where(labels == 1, 0.5 * LEAST_THRESHOLD, 1.0) * TAU
    assert scene.grown(gradients) == rows(expected)


def test_over_a_share_of_the_largest_the_class_comes_on_top() -> None:
    scene, gradients = Labelled(400, ClassesConfig({"1": 0.5}), "top:0.1"), spread(400)
    tenth = gradients.sort(descending=True).values[39]
    assert scene.grown(gradients) == rows(gradients >= tenth * torch.where(scene.labels == 1, 0.5, 1.0))


def test_over_mcmc_it_is_a_factor_on_the_probability() -> None:
    asked = []

    class Asked(MCMC):
        def on_step(self, step: int, view: SceneView) -> list:  # type: ignore[type-arg]
            asked.append(view.guidance.eagerness)
            return []

    scene = Labelled(8, ClassesConfig({"1": 0.5}, lambda_split=-9.0))
    strategy = Classes(Asked(MCMCConfig(refine_start=0, refine_every=1)), scene.strategy.config)
    strategy.initialize(8, "cpu")
    for step in (1, 2):
        strategy.on_step(step, scene.view)
    assert [eagerness.tolist() for eagerness in asked] == [[1, 2] * 4] * 2


def test_between_refinements_nothing_is_asked() -> None:
    scene = Labelled(8, ClassesConfig({"1": 0.5}))
    scene.strategy.base.config = config("absolute", refine_every=2)  # type: ignore[attr-defined]
    assert scene.strategy.on_step(1, SceneView(scene.store.params, 1.0)) == []
    with pytest.raises(ValueError, match="labels"):
        scene.strategy.on_step(2, SceneView(scene.store.params, 1.0))


def test_without_scales_labels_are_not_needed() -> None:
    strategy = Classes(ADC(config("absolute")))
    strategy.initialize(4, "cpu")
    strategy.on_step(1, SceneView(Scene(4, config("absolute")).store.params, 1.0))


def test_what_it_remembers_goes_on() -> None:
    settings = ClassesConfig({"1": 0.5}, lambda_split=-9.0)
    first, second = Labelled(40, settings), Labelled(40, settings)
    first.grown(torch.full((40,), TAU))
    second.strategy.load_state_dict(first.strategy.state_dict())
    assert second.strategy.numbers == first.strategy.numbers == {"mean_need_1": pytest.approx(1)}
    first.strategy.initialize(40, "cpu")
    assert math.isnan(first.strategy.numbers["mean_need_1"])


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ({"x": 1.0}, "'x' is no label"),
        ({"01": 1.0}, "'01' is no label"),
        ({"-2": 1.0}, "'-2' is no label"),
        ({"1": -0.5}, "scales.1 must be a number more than 0 .*, got -0.5"),
        ({"1": 0}, "scales.1 must be a number more than 0"),
        ({"1": "0.5"}, "scales.1 must be a number"),
        ({"1": True}, "scales.1 must be a number"),
        ({"1": math.nan}, "scales.1 must be a number"),
        ({"1": None}, "scales.1 must be a number"),
    ],
)
def test_scales_that_are_none_are_refused(scales: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassesConfig(scales)
