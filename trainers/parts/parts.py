"""All parts of a training as one: what several parts say to the same question, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import RenderStats, SceneView, Wants
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.capture import Shot
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.gaussians import Gaussians
from trainers.parts.part import Group, Part, Picture, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.run_folder import RunFolder

P = TypeVar("P", bound=Part)
R = TypeVar("R", bound=Picture)


class Parts(Part):
    """Parts by name, asked in their order. What is shown and what becomes of an image passes through all of
    them, one after the other; losses are added; edits are one transaction.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = dict(parts)
        self._each = tuple(self._parts.values())

    def __iter__(self) -> Iterator[Part]:
        return iter(self._each)

    def find(self, kind: type[P]) -> P | None:
        """The part of this class, if there is one."""
        return next((part for part in self if isinstance(part, kind)), None)

    def initialize(self, num: int, device: torch.device) -> None:
        for part in self._each:
            part.initialize(num, device)

    def prepare(self, dataset: Dataset, note: Callable[[str], None]) -> None:
        for part in self._each:
            part.prepare(dataset, note)

    def adopted(self, store: ParameterStore) -> None:
        for part in self._each:
            part.adopted(store)

    def parameters(self) -> list[Group]:
        return [
            replace(group, name=f"{name}.{group.name}")
            for name, part in self._parts.items()
            for group in part.parameters()
        ]

    def learning_rate_factor(self, step: int) -> float:
        factor = 1.0
        for part in self._each:
            factor *= part.learning_rate_factor(step)
        return factor

    def posed(self, step: int, target: Target) -> Target:
        for part in self._each:
            target = part.posed(step, target)
        return target

    def carried(self, step: int, scene: SceneView) -> dict[str, Tensor]:
        values: dict[str, Tensor] = {}
        for part in self._each:
            values |= part.carried(step, scene)
        return values

    def wants(self, step: int) -> Wants:
        wants = Wants()
        for part in self._each:
            wants = wants | part.wants(step)
        return wants

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        for part in self._each:
            params = part.shown(step, params, target)
        return params

    def image(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        for part in self._each:
            rendering = _with_image(rendering, part.image(step, rendering, target))
        return rendering.image

    def counted(self, step: int, rendering: Rendering, target: Target) -> Target:
        for part in self._each:
            target = part.counted(step, rendering, target)
        return target

    def counts(self, view: int) -> Tensor | None:
        total = None
        for part in self._each:
            counts = part.counts(view)
            if counts is not None:
                total = counts if total is None else total & counts
        return total

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        total = None
        for part in self._each:
            term = part.loss(step, rendering, target)
            if term is not None:
                total = term if total is None else total + term
        return total

    def on_backward(self, step: int, stats: RenderStats) -> None:
        for part in self._each:
            part.on_backward(step, stats)

    def holds_rows(self, step: int) -> bool:
        return any(part.holds_rows(step) for part in self._each)

    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        holders = [part for part in self._each if part.holds_rows(step)]
        return [edit for part in holders or self._each for edit in part.edits(step, scene)]

    def follow(self, plan: RowPlan) -> None:
        for part in self._each:
            part.follow(plan)

    def camera_at_test(self, camera: Camera, view: int | None) -> Camera:
        for part in self._each:
            camera = part.camera_at_test(camera, view)
        return camera

    def recorded(self, shot: Shot, view: int) -> Shot:
        for part in self._each:
            shot = part.recorded(shot, view)
        return shot

    def shown_at_test(
        self, params: Mapping[str, Tensor], camera: Camera, view: int | None
    ) -> Mapping[str, Tensor]:
        for part in self._each:
            params = part.shown_at_test(params, camera, view)
        return params

    def at_test(self, picture: Picture, view: int | None) -> Tensor:
        for part in self._each:
            picture = _with_image(picture, part.at_test(picture, view))
        return picture.image

    def for_unseen(self, view: View) -> Parts | None:
        own = {name: part.for_unseen(view) for name, part in self._parts.items()}
        present = {name: part for name, part in own.items() if part is not None}
        return Parts(present) if present else None

    def affine(self, picture: Picture, view: int) -> Tensor | None:
        """Of the parts one after the other."""
        total = None
        for part in self._each:
            change = part.affine(picture, view)
            picture = _with_image(picture, part.at_test(picture, view))
            if change is not None:
                total = change if total is None else _one_after_other(total, change)
        return total

    def state_dict(self) -> dict[str, Any]:
        """By name: what each part remembers, and the tensors that it trains."""
        return {
            name: {
                "state": part.state_dict(),
                "trained": {group.name: group.tensor.detach().clone() for group in part.parameters()},
            }
            for name, part in self._parts.items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, part in self._parts.items():
            part.load_state_dict(state[name]["state"])
            with torch.no_grad():
                for group in part.parameters():
                    group.tensor.copy_(state[name]["trained"][group.name])

    def coded(self, scene: Gaussians, run: RunFolder) -> Gaussians:
        for part in self._each:
            scene = part.coded(scene, run)
        return scene

    def result(self) -> dict[str, Any]:
        """By name: the results of those that have one."""
        results = {name: part.result() for name, part in self._parts.items()}
        return {name: result for name, result in results.items() if result is not None}

    def keep(self, run: RunFolder) -> None:
        for part in self._each:
            part.keep(run)

    def settle(self, result: Mapping[str, Any]) -> None:
        for name, part in self._parts.items():
            if name in result:
                part.settle(result[name])


def _with_image(picture: R, image: Tensor) -> R:
    return picture if image is picture.image else replace(picture, image=image)


def _one_after_other(first: Tensor, second: Tensor) -> Tensor:
    """[3, 4] the affine change that two of them are together."""
    both = second[:, :3] @ first
    both[:, 3] += second[:, 3]
    return both
