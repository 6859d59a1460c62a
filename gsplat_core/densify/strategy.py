"""The protocol between a density control and whatever trains the scene.

In each iteration, counted **from 1** as in 3DGS:

    loss = photometric_loss + (strategy.regularization(...) or 0)
    loss.backward()
    strategy.on_backward(step, RenderStats(...))
    optimizer.step(); optimizer.zero_grad()
    plan = store.apply(strategy.on_step(step, SceneView(store.params, scene_extent)))
    strategy.follow(plan)

A strategy sees statistics of the rendering and the current values, and answers with a list of edits. It never
sees the trainer or the optimizer, and changes nothing itself.

`ADC` and `MCMC` heed a `Guidance`; plug-ins (`plugin.py`) stand in front of one of them, give such guidance,
and add to its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.views import Views
from gsplat_core.losses import as_float
from gsplat_core.primitive import Evaluated
from gsplat_core.scene.scale import SceneScale
from gsplat_core.scene.schema import GAUSSIAN, Schema

ScaleRule: TypeAlias = Literal["seen", "published"]
"""What sizes and steps are in proportion to: the distance at which things are seen (scene/scale.py), or, as
in 3DGS, the extent of the cameras."""


@dataclass(frozen=True)
class Wants:
    """What a strategy has to know about the rendering of one iteration beyond what every backward pass knows.

    Args:
        absgrad: `RenderStats.means2d_grad` must hold absolute gradients (rasterize with `absgrad=True`).
        weights: `RenderStats.weights` (rasterize with `statistics=True`).
        depth: the depth of each pixel, for whoever sees the rendering itself.
        surfaces: the normal of each pixel, and what lies at which depths along its ray, likewise.
    """

    absgrad: bool = False
    weights: bool = False
    depth: bool = False
    surfaces: bool = False

    def __or__(self, other: Wants) -> Wants:
        return Wants(
            self.absgrad or other.absgrad,
            self.weights or other.weights,
            self.depth or other.depth,
            self.surfaces or other.surfaces,
        )


@dataclass(frozen=True, eq=False)
class RenderStats:
    """What one rendering and its backward pass tell about every Gaussian.

    What is None was not given; a strategy that cannot do without says so.

    Args:
        means2d_grad: [C, N, 2] gradient of the loss with respect to the projected centres, in pixels
            (`meta["means2d"].grad`), or the per-pixel absolute sums (`.absgrad`) if the strategy wants those.
        radii: [C, N, 2] integer extents in pixels; 0 where a Gaussian is not in the image.
        width, height: size of the images in pixels.
        num_cameras: how many views the loss is averaged over (undoes that mean); C unless views are
            distributed.
        depths: [C, N] along the viewing axis, scene units (`meta["depths"]`).
        weights: [C, N, 3] sums over the pixels p of a view: of w e, of w, and how many there are, where w is
            the Gaussian's blending weight in p and e the mean absolute error of p's colour channels.
        scales_grad: [N, 3] gradient of the loss with respect to the raw (log) scales.
        means_grad: [N, 3] gradient of the loss with respect to the centres, per scene unit.
        images: [C, H, W, 3] the renderings before this iteration's update, float32 in [0, 1].
        targets: [C, H, W, 3] the photographs, float32 in [0, 1] or uint8, which stands for value / 255; read
            them through `photographs`.
        masks: [C, H, W] bool, the pixels that count; outside, both images are black. None: all do.
        views: [C] which of `SceneView.views` these are.
        scene_extent: as in `SceneView`.
    """

    means2d_grad: Tensor
    radii: Tensor
    width: int
    height: int
    num_cameras: int
    depths: Tensor | None = None
    weights: Tensor | None = None
    scales_grad: Tensor | None = None
    means_grad: Tensor | None = None
    images: Tensor | None = None
    targets: Tensor | None = None
    masks: Tensor | None = None
    views: Sequence[int] | None = None
    scene_extent: float = 1.0

    @property
    def photographs(self) -> Tensor | None:
        """`targets` as float32. Made when asked for: most strategies do not, and an image is large."""
        return None if self.targets is None else as_float(self.targets)

    def pulls(self, camera: int) -> Tensor:
        """[N] lengths of the gradients of the projected centres in one view, in normalised device units (the
        pixel gradient times half the image size), of that view's own loss."""
        # In every step, over every Gaussian: norms of pairs and sums over single views would take far longer.
        gradient = self.means2d_grad[camera]
        x = gradient[:, 0] * (self.width / 2 * self.num_cameras)
        y = gradient[:, 1] * (self.height / 2 * self.num_cameras)
        return x.square_().add_(y.square_()).sqrt_()

    def pulls_in_space(self) -> Tensor:
        """[N] lengths of the gradients of the centres in space, for a scene of the length 1.

        Raises:
            ValueError: they were not given.
        """
        if self.means_grad is None:
            raise ValueError("gradients in space need RenderStats.means_grad")
        return self.means_grad.norm(dim=1) * self.scene_extent


@dataclass(frozen=True, eq=False)
class Guidance:
    """What a plug-in asks of the strategy behind it, for one step.

    Args:
        limit: at most this many Gaussians after the step. None: no limit.
        eagerness: [N] factor on the strategy's own measure of a Gaussian's need to multiply; 1 leaves it, 2
            lets it at half the threshold (or with twice the probability), 0 forbids. None: all 1.
        order: [N] who goes first when the limit is not enough for all; higher first. None: the strategy's own
            measure.
        leaving: [N] bool, who is to be removed, which makes room; over MCMC, as if dead. None: nobody.
    """

    limit: int | None = None
    eagerness: Tensor | None = None
    order: Tensor | None = None
    leaving: Tensor | None = None

    def also(
        self,
        limit: int | None = None,
        eagerness: Tensor | None = None,
        order: Tensor | None = None,
        leaving: Tensor | None = None,
    ) -> Guidance:
        """Both this guidance and more: the smaller limit, the product of factors, the newer order, and all
        who leave."""
        limits = [value for value in (self.limit, limit) if value is not None]
        if self.eagerness is not None:
            eagerness = self.eagerness if eagerness is None else self.eagerness * eagerness
        if self.leaving is not None:
            leaving = self.leaving if leaving is None else self.leaving | leaving
        return Guidance(min(limits, default=None), eagerness, self.order if order is None else order, leaving)


@dataclass(frozen=True, eq=False)
class SceneView:
    """Read access to the scene.

    Args:
        params: raw parameters by name; at least means [N, 3], quats [N, 4], scales [N, 3] (log), opacities
            [N] (logit).
        scene_extent: the scene's length, in its units: what thresholds and learning rates are in proportion
            to.
        learning_rates: of this step, by parameter (`ParameterStore.learning_rates`). MCMC's noise follows
            that of the means.
        views: the training photographs, for strategies that look at more than one per step.
        guidance: what plug-ins ask for.
        downscale: by which factor the images of this step were smaller than the photographs.
        scale: how far away things are seen. None: all at the distance `scene_extent`.
        schema: the fields of the rows.
        frozen: [N] bool, rows that stay as they are, whatever is asked for (`densify/frozen.py`). None: none.
        labels: [N] integers, what each Gaussian belongs to, -1 where that is not known. None: of none it is.
        evaluated: what makes of parameters what is drawn. None: they are those of plain Gaussians, or of
            Gaussians that are others for each camera and at most as opaque as those.
        shared: what all rows share, by name (`Schema.shared`).
    """

    params: Mapping[str, Tensor]
    scene_extent: float
    learning_rates: Mapping[str, float] = field(default_factory=dict)
    views: Views | None = None
    guidance: Guidance = field(default_factory=Guidance)
    downscale: float = 1.0
    scale: SceneScale | None = None
    schema: Schema = GAUSSIAN
    frozen: Tensor | None = None
    labels: Tensor | None = None
    evaluated: Callable[[Mapping[str, Tensor]], Evaluated] | None = None
    shared: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def free(self) -> Tensor:
        """[N] bool, the rows that edits may concern."""
        means = self.params["means"]
        everything = torch.ones(len(means), dtype=torch.bool, device=means.device)
        return everything if self.frozen is None else ~self.frozen

    @property
    def num(self) -> int:
        """Number of Gaussians."""
        return self.params["means"].shape[0]

    @torch.no_grad()
    def logits_of(self, opacity: float) -> Tensor:
        """[N] the raw opacities with which Gaussians are drawn with this opacity, infinity where their
        primitive never draws them as opaque as that (`models/mip.py`)."""
        raw = self.params["opacities"].detach()
        # What is decoded is drawn as it is (`Field.decoded_from`), and asks nobody what it would be.
        if self.evaluated is None or self.schema["opacities"].decoded_from is not None:
            return raw.new_tensor(opacity).logit().expand_as(raw)
        half = self.evaluated({**self.params, "opacities": torch.zeros_like(raw)}).opacities.double()
        return (0.5 * opacity / half.clamp(min=1e-30)).clamp(max=1).logit().to(raw.dtype)

    def reach(self, rule: ScaleRule) -> Tensor:
        """[N] the length that each Gaussian's size is compared with, in scene units.

        Args:
            rule: "seen": the distance at which it is seen, at least `scene_extent`. "published": the extent
                for all.
        """
        means = self.params["means"].detach()
        if rule == "seen" and self.scale is not None:
            return self.scale.reach(means).clamp(min=self.scene_extent)
        return torch.full_like(means[:, 0], self.scene_extent)


@dataclass(frozen=True)
class Initialization:
    """How Gaussians start under a strategy.

    Args:
        opacity: of every one.
        scale_factor: on the distance to its neighbours.
    """

    opacity: float = 0.1
    scale_factor: float = 1.0


class Strategy:
    """A density control. A strategy overrides what it needs; `on_step` at least.

    Its state is `rows`, `numbers` and `random`, which are everything needed to go on bit-exactly.

    Attributes:
        rows: tensors [N, ...] by name, one row per Gaussian; they follow the edits. Filled by `initialize`.
        numbers: further state by name.
        random: on the CPU for every device, so that a seed means the same scene everywhere.
    """

    initialization = Initialization()
    changes: frozenset[str] = frozenset({"means", "scales", "opacities"})
    """The fields of new and changed rows: it rests where one of them is not trained."""

    def __init__(self, seed: int = 0) -> None:
        self.rows: dict[str, Tensor] = {}
        self.numbers: dict[str, float] = {}
        self.random = torch.Generator().manual_seed(seed)

    def initialize(self, num: int, device: torch.device | str) -> None:
        """Starts with `num` Gaussians; also to be called after rows were changed by someone else."""

    def wants(self, step: int) -> Wants:
        """What `on_backward` has to be told in this iteration."""
        return Wants()

    def regularization(self, splats: Mapping[str, Tensor], view: SceneView) -> Tensor | None:
        """A term of the loss, differentiable, or None.

        Args:
            splats: "opacities" [N] in [0, 1] and "scales" [N, 3] standard deviations in scene units.
            view: the scene before the step.
        """
        return None

    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Takes in the statistics of iteration `step`.

        Raises:
            ValueError: the statistics are for another number of Gaussians, or lack what is wanted.
        """

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        """The edits to apply after the optimizer's step of iteration `step`.

        Raises:
            ValueError: the scene has another number of Gaussians than the statistics.
        """
        raise NotImplementedError

    @property
    def scale(self) -> ScaleRule:
        """What the scene's length is to be for this strategy: of `SceneView.scene_extent` and of learning
        rates.
        """
        return "seen"

    @property
    def most(self) -> int | None:
        """A number of Gaussians that is never exceeded by growth; None for no cap."""
        return None

    @property
    def ends(self) -> int:
        """The step from which on it lets the scene settle, so that something else may finish
        the run; 0 if that may be at any time."""
        return 0

    def adopted(self, store: ParameterStore) -> None:
        """The scene's parameters are these from now on: at the start, and after a state was loaded. For a
        strategy that edits what rows share (`ParameterStore.shared`); of rows it only returns edits."""

    def grows_at(self, step: int) -> bool:
        """Whether `on_step` may add Gaussians at this step: then plug-ins prepare their guidance."""
        return False

    def need(self, view: SceneView) -> Tensor | None:
        """[N] how much each Gaussian needs to multiply, from 1 on it will; None if that is left to chance."""
        return None

    def divides(self, view: SceneView) -> Tensor | None:
        """[N] bool, which Gaussians it would split rather than clone; None if it makes no such difference."""
        return None

    def follow(self, plan: RowPlan) -> None:
        """To be called with what `ParameterStore.apply` returns: the state's rows follow."""
        if plan.source is not None:
            self.rows = {name: plan.follow(tensor) for name, tensor in self.rows.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """A flat dictionary of tensors; a copy."""
        numbers = {name: torch.tensor(value, dtype=torch.float64) for name, value in self.numbers.items()}
        rows = {name: tensor.clone() for name, tensor in self.rows.items()}
        return {**rows, **numbers, "random": self.random.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from `state_dict`, on the device that `initialize` was called with.

        Raises:
            ValueError: keys are missing or unknown, or the statistics do not fit together.
        """
        expected = [*self.rows, *self.numbers, "random"]
        if sorted(state) != sorted(expected):
            raise ValueError(
                f"{type(self).__name__} state: expected {', '.join(expected)}, got {', '.join(state)}"
            )
        lengths = {name: list(state[name].shape) for name in self.rows}
        if any(not shape or shape[0] != next(iter(lengths.values()))[0] for shape in lengths.values()):
            raise ValueError(f"{type(self).__name__} state: rows must have one length, got {lengths}")
        self.random.set_state(state["random"].cpu())
        self.numbers = {name: float(state[name]) for name in self.numbers}
        self.rows = {
            name: state[name].to(tensor.device, tensor.dtype, copy=True) for name, tensor in self.rows.items()
        }

    def check_rows(self, num: int) -> None:
        """Raises ValueError unless the state is that of `num` Gaussians."""
        for tensor in self.rows.values():
            if len(tensor) != num:
                raise ValueError(
                    f"{type(self).__name__} has statistics of {len(tensor)} Gaussians but there are {num}; "
                    "call follow(plan) after each transaction, or initialize() at the start and whenever "
                    "rows change otherwise"
                )
