"""Several parts as one: who is asked in which order, and what becomes of the answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gsplat_core.densify.edits import Prune
from gsplat_core.densify.strategy import SceneView, Wants
from gsplat_core.errors import UsageError
from gsplat_core.scene.cameras import Camera
from trainers.config import TrainConfig, from_json
from trainers.parts.part import Group, Part, Picture, Rendering
from trainers.parts.parts import Parts
from trainers.parts.registry import create, settings_class
from trainers.views import Target

PARAMS = {"means": torch.arange(6.0).reshape(2, 3)}
SCENE = SceneView(PARAMS, 1.0)


class Affine(Part):
    """Multiplies what it sees by a factor, then adds a shift."""

    def __init__(self, factor: float, shift: float, holds: bool = False) -> None:
        self.factor, self.shift, self.holds = factor, shift, holds
        self.weight = torch.full((2,), factor)

    def change(self, value):
        return self.factor * value + self.shift

    def parameters(self):
        return [Group("weight", self.weight, rate=lambda step: self.factor)]

    def learning_rate_factor(self, step):
        return self.factor

    def wants(self, step):
        return Wants(absgrad=self.factor > 2, weights=self.factor < 2)

    def shown(self, step, params, target):
        return {name: self.change(value) for name, value in params.items()}

    def image(self, step, rendering, target):
        return self.change(rendering.image)

    def at_test(self, picture, view):
        return self.change(picture.image)

    def loss(self, step, rendering, target):
        return torch.tensor(self.factor)

    def holds_rows(self, step):
        return self.holds

    def edits(self, step, scene):
        return [Prune(torch.tensor([round(self.factor)]))]

    def state_dict(self):
        return {"shift": self.shift}

    def load_state_dict(self, state):
        self.shift = state["shift"]

    def result(self):
        return {"factor": self.factor}

    def settle(self, result):
        self.factor = result["factor"]


def rendering() -> Rendering:
    image = torch.rand(1, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    return Rendering(image, torch.ones(1, 4, 5, 1), None, {}, {}, SCENE)


def target() -> Target:
    eye = torch.eye(4)[None]
    return Target(torch.zeros(4, 5, 3, dtype=torch.uint8), eye, eye[:, :3, :3], 5, 4, 0)


def camera() -> Camera:
    return Camera(np.eye(4), np.diag([5.0, 5.0, 1.0]), 5, 4, near=3.0)


def test_what_is_shown_passes_through_all_in_order() -> None:
    parts = Parts({"a": Affine(2, 1), "b": Affine(3, 5)})
    for change in (
        lambda x: parts.shown(1, {"means": x}, target())["means"],
        lambda x: parts.image(1, replace(rendering(), image=x), target()),
        lambda x: parts.at_test(Picture(x, x, None), None),
    ):
        x = torch.rand(1, 4, 5, 3)
        assert torch.allclose(change(x), 3 * (2 * x + 1) + 5)


def test_what_is_asked_for_is_put_together() -> None:
    parts = Parts({"a": Affine(1.5, 0), "none": Part(), "b": Affine(3, 0)})
    assert parts.wants(1) == Wants(absgrad=True, weights=True)
    assert parts.learning_rate_factor(1) == 4.5
    loss = parts.loss(1, rendering(), target())
    assert loss is not None
    assert float(loss) == 4.5
    groups = parts.parameters()
    assert [(group.name, group.rate(1)) for group in groups] == [("a.weight", 1.5), ("b.weight", 3)]


def test_all_edit_unless_one_holds_the_rows() -> None:
    def rows(parts: Parts) -> list[int]:
        return [int(edit.rows) for edit in parts.edits(1, SCENE)]  # type: ignore[union-attr,arg-type]

    assert rows(Parts({"a": Affine(1, 0), "b": Affine(2, 0)})) == [1, 2]
    held = Parts({"a": Affine(1, 0), "b": Affine(2, 0, holds=True)})
    assert rows(held) == [2]
    assert held.holds_rows(1)
    assert not Parts({"a": Affine(1, 0)}).holds_rows(1)


def test_parts_that_say_nothing_change_nothing() -> None:
    parts, seen = Parts({"a": Part(), "b": Part()}), rendering()
    assert parts.shown(1, PARAMS, target()) is PARAMS
    assert parts.image(1, seen, target()) is seen.image
    assert parts.at_test(seen, 0) is seen.image
    assert parts.loss(1, seen, target()) is None
    assert parts.edits(1, SCENE) == []
    assert parts.result() == {}
    assert Parts({}).learning_rate_factor(1) == 1


def test_state_and_results_come_back_by_name() -> None:
    first, second = (Parts({"a": Affine(2, shift), "b": Affine(3, shift)}) for shift in (1, 7))
    second.load_state_dict(first.state_dict())
    assert [part.shift for part in second if isinstance(part, Affine)] == [1, 1]
    state = first.state_dict()
    state["b"]["trained"]["weight"] = torch.tensor([8.0, 9.0])
    second.load_state_dict(state)
    assert [group.tensor.tolist() for group in second.parameters()] == [[2, 2], [8, 9]]
    assert first.parameters()[1].tensor.tolist() == [3, 3], "a state is a copy"
    second.settle({"a": {"factor": 11}})
    assert second.result() == {"a": {"factor": 11}, "b": {"factor": 3}}


def test_the_parts_of_a_run_follow_from_its_configuration() -> None:
    assert list(create(TrainConfig()).state_dict()) == ["density"]
    compressed = from_json(TrainConfig, {"compression": {"codec": "scalar"}})
    assert list(create(compressed).state_dict()) == ["density", "codec"]
    replaced = create(TrainConfig(), given={"codec": Part()})
    assert list(replaced.state_dict()) == ["density", "codec"]


def test_a_part_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="Unknown part 'nothing'"):
        settings_class("nothing")
    with pytest.raises(ValueError, match="parts: Unknown part 'density'"):
        TrainConfig(parts={"density": {}})
    with pytest.raises(ValueError, match="parts: Unknown part 'nothing'"):
        from_json(TrainConfig, {"parts": {"nothing": {}}})


class Listening(Part):
    """Notes all that it is asked, and answers nothing."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[object, ...]]] = []

    def __getattribute__(self, name: str):
        answer = super().__getattribute__(name)
        if name.startswith("_") or name == "heard" or not callable(answer):
            return answer

        def noted(*given):
            self.heard.append((name, given))
            return answer(*given)

        return noted


def test_each_part_is_asked_with_what_was_given() -> None:
    one, other = Listening(), Listening()
    parts, seen, photograph = Parts({"a": one, "b": other}), rendering(), target()
    stats, plan, device = object(), object(), torch.device("cpu")
    calls = [
        ("initialize", (5, device)),
        ("learning_rate_factor", (3,)),
        ("wants", (3,)),
        ("posed", (3, photograph)),
        ("shown", (3, PARAMS, photograph)),
        ("image", (3, seen, photograph)),
        ("counted", (3, seen, photograph)),
        ("loss", (3, seen, photograph)),
        ("on_backward", (3, stats)),
        ("holds_rows", (3,)),
        ("edits", (3, SCENE)),
        ("follow", (plan,)),
        ("camera_at_test", (camera(), 4)),
        ("shown_at_test", (PARAMS, camera(), 4)),
        ("at_test", (seen, 4)),
        ("affine", (seen, 4)),
        ("for_unseen", (object(),)),
    ]
    for name, given in calls:
        for part in (one, other):
            part.heard.clear()
        getattr(parts, name)(*given)
        for part in (one, other):
            heard = dict(part.heard)[name]
            assert len(heard) == len(given)
            assert all(a is b for a, b in zip(heard, given, strict=True)), name


class Moved(Part):
    """Counts some pixels alone and looks from elsewhere, in training and at the test."""

    def posed(self, step, target):
        return replace(target, viewmat=2 * target.viewmat)

    def counted(self, step, rendering, target):
        return target.only(torch.arange(5).expand(4, 5) > step)

    def camera_at_test(self, camera, view):
        return replace(camera, near=2 * camera.near)

    def shown_at_test(self, params, camera, view):
        return {name: value * camera.near for name, value in params.items()}


def test_cameras_pass_through_all_and_a_pixel_counts_where_all_count_it() -> None:
    parts = Parts({"a": Moved(), "none": Part(), "b": Moved()})
    assert torch.equal(parts.posed(1, target()).viewmat, 4 * target().viewmat)
    white = replace(target(), image=torch.full((4, 5, 3), 255, dtype=torch.uint8))
    counted = parts.counted(2, rendering(), white)
    assert counted.mask is not None
    assert counted.mask.sum(dim=0).tolist() == [0, 0, 0, 4, 4]
    assert torch.equal(counted.image, 255 * counted.mask[..., None].expand(-1, -1, 3))
    assert parts.camera_at_test(camera(), None).near == 12
    shown = parts.shown_at_test({"x": torch.ones(2)}, camera(), 0)["x"]
    assert torch.equal(shown, torch.full((2,), 9.0))
