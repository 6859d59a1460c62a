"""What a part of a training may do in each step. A part overrides what it needs; all hooks have a neutral
default.

A step, in the order in which a part is asked, counted from 1:

    posed               where and with which lens the photograph was taken
    carried             what the scene's rows carry for their primitive
    wants, shown        what is rendered
    image               what becomes of the rendering before it is compared with the photograph
    counted             which pixels of the photograph count
    loss                what is added to the photometric loss
    on_backward         what the gradients tell
    edits, follow       after the optimizer's step: who is added and removed, and whose rows moved where

Tensors that a part trains itself are named by `parameters`; they are optimized, checked and saved by whoever
runs the training. What else a part remembers is its `state_dict`, so that a run goes on to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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
from trainers.schedules import exponential
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig
    from trainers.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class Group:
    """A tensor that a part trains, and Adam's settings for it.

    Args:
        name: within the part.
        tensor: a leaf, float32, of any shape.
        rate: the learning rate at a step.
        betas, eps, by_row: as in `gsplat_core.optim.Adam`.
    """

    name: str
    tensor: Tensor
    rate: Callable[[int], float]
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-15
    by_row: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """What the rasterizer made of the scene, seen from one camera.

    Args:
        image: [1, H, W, 3] float32, the scene in front of the background.
        alphas: [1, H, W, 1] how much of the background the scene covers.
        background: [1, 3] in [0, 1]; None for black.
    """

    image: Tensor
    alphas: Tensor
    background: Tensor | None

    @property
    def empty(self) -> bool:
        """Whether no Gaussian is visible."""
        return not bool((self.alphas > 0).any())

    @property
    def shown(self) -> Tensor:
        """[H, W, 3] the image as it is looked at, clamped to [0, 1]."""
        return self.image[0].clamp(0, 1)


@dataclass(frozen=True, eq=False)
class Rendering(Picture):
    """The picture of a training step, with what it was made of.

    Args:
        splats: the arguments of `gsplat_core.rasterization` that describe the Gaussians shown, activated.
        meta: what that function returned with it.
        scene: the scene before the step.
        depths: [1, H, W] the mean depth, along the viewing axis, of what a pixel shows, in scene units; None
            where no part wants it.
        hits: [1, H, W, 3], `gsplat_core.render.drawing.Rendered.hits`, where a part wants surfaces; then the
            meta has "normals".
    """

    splats: Mapping[str, Any]
    meta: Mapping[str, Any]
    scene: SceneView
    depths: Tensor | None = None
    hits: Tensor | None = None


FITTING_STEPS = 100
"""For which what is a photograph's own is fitted to one that was not trained on (`Part.for_unseen`)."""


def of_unseen(name: str, tensor: Tensor, rate: float) -> Group:
    """What is so fitted, with a rate that falls to a hundredth; steps are few and their gradients exact, so
    that Adam need not remember long."""
    return Group(
        name, tensor, lambda step: exponential(rate, rate / 100, step, FITTING_STEPS), betas=(0.8, 0.95)
    )


class Part:
    """A part that does nothing."""

    settings: ClassVar[type[Any] | None] = None
    """The dataclass of what can be set, which then stands in `TrainConfig.parts` under the part's name. None
    where nothing can, or where the settings have a place of their own in `TrainConfig`."""

    first_order: ClassVar[str | None] = None
    """Why Levenberg-Marquardt, which fits the scene alone to the photographs as they are, does not finish a
    run with this part, and what to do; None where it may."""

    neighbours: ClassVar[str | None] = None
    """Why it needs whole images, and not every d-th pixel of them (`trainers.dilation`): it looks at what is
    next to a pixel, or at where that is; None where it does not."""

    @classmethod
    def of(cls, name: str, config: TrainConfig, views: Sequence[View]) -> Part | None:
        """The part of a run, or None where the run has none.

        Args:
            name: under which it is registered.
            views: the training views; empty where their photographs do not matter.
        """
        settings = config.parts.get(name)
        return None if settings is None else cls(settings, config, views)

    def __init__(self, settings: Any = None, config: TrainConfig | None = None, views: Sequence[View] = ()):
        """Called by `of`; `settings` is of the class that the part names."""

    def prepare(self, dataset: Dataset, note: Callable[[str], None]) -> None:
        """Reads what a training needs besides photographs, before its first step, after `initialize`. Those
        who only measure or polish a scene do not ask for it: then the part does nothing.

        Args:
            note: told what a person should know, a sentence each.

        Raises:
            DataError: a file cannot be used.
        """

    def initialize(self, num: int, device: torch.device) -> None:
        """Starts with a scene of `num` Gaussians; tensors belong on this device."""

    def adopted(self, store: ParameterStore) -> None:
        """The scene's parameters are these from now on: at the start, and after a state was loaded. The
        part's own `parameters` are asked for after that, so those with a row for each Gaussian may become
        as many as there are."""

    def parameters(self) -> Sequence[Group]:
        """The tensors that the part trains: the same objects from `initialize`, or `adopted`, on. None once
        it settled."""
        return ()

    def learning_rate_factor(self, step: int) -> float:
        """A factor on all learning rates of the training."""
        return 1.0

    def posed(self, step: int, target: Target) -> Target:
        """The photograph with the camera that the scene is rendered from: its own, or a differentiable
        function of that. Its image stays as it is."""
        return target

    def carried(self, step: int, scene: SceneView) -> Mapping[str, Tensor]:
        """Values [N, ...] that fields have from this step on which the primitive reads and nobody trains."""
        return {}

    def wants(self, step: int) -> Wants:
        """What `on_backward` has to be told in this step."""
        return Wants()

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        """The raw parameters to render for a photograph, and what rows share: the scene's, or a function of
        them."""
        return params

    def image(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        """[1, H, W, 3] what is compared with the photograph: `rendering.image`, or a function of it."""
        return rendering.image

    def counted(self, step: int, rendering: Rendering, target: Target) -> Target:
        """The photograph with the mask of what counts in this step, black elsewhere
        (`Target.only`).

        Args:
            rendering: its image is what `image` made of it.
        """
        return target

    def counts(self, view: int) -> Tensor | None:
        """[H, W] bool, which pixels of a training photograph count by now, at its own size; beside its mask,
        and for those who look at it in no step of its own, such as density control. None: all."""
        return None

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        """A scalar to add to the photometric loss.

        Args:
            rendering: its image is what is compared with the photograph, black where that is masked out.
        """
        return None

    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Takes in what the backward pass told."""

    def holds_rows(self, step: int) -> bool:
        """Whether no other part may edit the scene after this step, and rows stay in their order."""
        return False

    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        """The edits after the optimizer's step. Those of all parts are one transaction."""
        return []

    def follow(self, plan: RowPlan) -> None:
        """Rows of the scene have moved: what has one row per Gaussian follows."""

    def camera_at_test(self, camera: Camera, view: int | None) -> Camera:
        """From where and with which lens a finished scene is rendered to be compared with a photograph.

        Args:
            camera: the photograph's own.
            view: as in `at_test`.
        """
        return camera

    def recorded(self, shot: Shot, view: int) -> Shot:
        """What a capture would say of a training photograph's camera after the training: that of
        `camera_at_test`, for the file as it is.

        Args:
            shot: what it says.
        """
        return shot

    def shown_at_test(
        self, params: Mapping[str, Tensor], camera: Camera, view: int | None
    ) -> Mapping[str, Tensor]:
        """The raw parameters that a finished scene is rendered with to be compared with a photograph.

        Args:
            camera: what `camera_at_test` made of the photograph's.
            view: as in `at_test`.
        """
        return params

    def at_test(self, picture: Picture, view: int | None) -> Tensor:
        """[1, H, W, 3] what a finished scene's rendering is compared with photographs as.

        Args:
            view: which of the training views this is; None for one that was not trained on.
        """
        return picture.image

    def for_unseen(self, view: View) -> Part | None:
        """What this part has of one photograph that was not trained on, as a part of its own, which starts
        with what the average photograph has. Its `parameters` are trained for `FITTING_STEPS` steps on half
        of the photograph, as `posed`, `shown` and `at_test` show it, and nothing else is; then the hooks of
        tests measure the other half. To all of them it is view 0. None where photographs have nothing of
        their own.
        """
        return None

    def affine(self, picture: Picture, view: int) -> Tensor | None:
        """[3, 4] the affine change of the scene's light that is nearest to what `at_test` does to a picture
        of a training view; None where it does nothing."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Everything but `parameters` that is needed to go on to the bit: tensors and JSON values; a copy."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state_dict`, after `initialize`."""

    def coded(self, scene: Gaussians, run: RunFolder) -> Gaussians:
        """The trained scene as others will read it. A part that writes it into a file of its own in the
        run's folder, which the caller owns, reads it back from there: that is what is measured and exported.

        Raises:
            ResourceError: the file cannot be written.
        """
        return scene

    def result(self) -> dict[str, Any] | None:
        """JSON values that belong to the trained scene, for those who measure it or train it on; None where
        there is nothing to tell."""
        return None

    def keep(self, run: RunFolder) -> None:
        """Writes the files that belong to the trained scene into its folder, which the caller owns.

        Raises:
            ResourceError: one cannot be written.
        """

    def settle(self, result: Mapping[str, Any]) -> None:
        """Takes what `result` told as given: the part trains nothing any more. Called before `initialize`.

        Raises:
            ValueError: this is no result of such a part.
        """
