"""Editing a region of a finished scene towards images of what it is to look like.

The Gaussians of the region are trained, all others are frozen: drawn, and the same to the bit afterwards.
Where the images come from is left open: a callable gives them, view by view, and may look at the rendering;
or another loss, or a ready-made gradient of the image, takes their place. The scheme is GaussianEditor's
(Chen et al. 2024): anchors hold what the images disagree about (`gsplat_core.anchors`), and density control
may multiply only the few Gaussians of the region that ask for it most.

    trainer = EditTrainer(scene, 3, cameras, lambda view, image: paint(photographs[view]))
    trainer.run()
    trainer.scene
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, TypeAlias

import torch
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.anchors import AnchorConfig, Anchors
from gsplat_core.densify.adc import ADC, ADCConfig
from gsplat_core.densify.rows import indices
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import Guidance, RenderStats, SceneView
from gsplat_core.errors import NumericalError, UsageError
from gsplat_core.labels import LABEL, counts, labels_of
from gsplat_core.losses import l1_dssim
from gsplat_core.optim import Adam
from gsplat_core.ranges import INTERVAL, NOT_NEGATIVE, POSITIVE, SEED, SOME_SHARE, STEP, check_ranges
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.drawing import Outputs, Rendered
from gsplat_core.render.scene import render
from gsplat_core.render.settings import USUAL
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.scale import SceneScale, scene_scale
from gsplat_core.scene.schema import FROZEN, Field
from gsplat_core.scene.view_order import ViewOrder

Provider: TypeAlias = Callable[[int, Tensor], Tensor]
"""Of the number of a camera and its rendering [H, W, 3] float32, which may lie outside [0, 1], makes the
target [H, W, 3]: float32 in [0, 1], or uint8, which stands for value / 255."""

Loss: TypeAlias = Callable[[int, Tensor, Tensor | None], Tensor]
"""Of the number of a camera, its rendering [H, W, 3] and its target, if there is a provider, makes a scalar
to be differentiated."""

_NEVER = 2**40
# Kept among the fields of the scene while it is edited.
_FROZEN_BEFORE = "frozen before the edit"


def l1_dssim_to(view: int, image: Tensor, target: Tensor | None) -> Tensor:
    """The loss of 3D Gaussian splatting, against the target."""
    if target is None:
        raise ValueError("this loss compares with targets: a provider of them is needed")
    return l1_dssim(image, target)


@dataclass(frozen=True)
class EditConfig:
    """How a region is edited.

    Args:
        steps: one view each.
        refresh_every: every so many steps, the target of the view at hand is made anew, from what it looks
            like now; 0: the first ones stay.
        rate: factor on all learning rates, which are those of a training from the start; an edit has less
            time.
        final_rate: by the end, they fall to this share.
        rates: further factors on those of single fields. A field with 0 is not trained and stays as it is;
            where means, scales or opacities do, nothing multiplies.
        densify_every: density control comes every so many steps ...
        densify_until: ... up to this share of them; 0: never.
        most_densified: only so large a share of the region's Gaussians may multiply at a time, of those that
            have a gradient at all: the ones with the largest.
        density: what density control does; its schedule, resets and seed are not used.
        seed: of the order of views and of density control.

    Raises:
        ValueError: a value outside its range.
    """

    steps: Annotated[int, INTERVAL] = 1000
    refresh_every: Annotated[int, STEP] = 10
    rate: Annotated[float, POSITIVE] = 3.0
    final_rate: Annotated[float, SOME_SHARE] = 0.1
    rates: Mapping[str, float] = field(default_factory=dict)
    densify_every: Annotated[int, INTERVAL] = 100
    densify_until: Annotated[float, NOT_NEGATIVE] = 0.75
    most_densified: Annotated[float, SOME_SHARE] = 0.01
    density: ADCConfig = field(default_factory=ADCConfig)
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.density.pixel_weighted:
            raise ValueError("density.pixel_weighted: edits do not count pixels")
        for name, factor in self.rates.items():
            if factor not in NOT_NEGATIVE:
                raise ValueError(f"rates[{name!r}] = {factor!r}: expected a number {NOT_NEGATIVE}")

    def schedule(self) -> ADCConfig:
        """Density control at the times that are said here, which never lowers all opacities."""
        return replace(
            self.density,
            refine_start=0,
            refine_stop=math.floor(self.densify_until * self.steps) + 1,
            refine_every=self.densify_every,
            reset_every=_NEVER,
            prune_scale_start=_NEVER,
            white_background=False,
            seed=self.seed,
        )


class EditTrainer:
    """Edits a region of a scene.

    Args:
        scene: is copied. Rows that are `frozen` stay so, and a `pace` is heeded.
        roi: the region: bool [N], or a label of the field `label`.
        cameras: to look at it from; `view` is a number among them.
        provider: of the images to come near to; None: the loss does without.
        anchors: what holds the region in its place; None: nothing.
        config: see there.
        loss: of each view's image. By default L1 + D-SSIM against the target.
        masks: bool [H, W] for each view, False where image and target are black for the loss; None for views
            of which all pixels count, or for all views.
        background: [1, 3] in [0, 1], the colour behind the scene; None for black.
        scale: of the scene; None: it is taken from cameras and Gaussians.

    Attributes:
        step: the number of steps done.

    Raises:
        UsageError: no such label, no labels at all, or nothing in the region that could be trained.
        ValueError: a region of another shape or type, no cameras, rates of unknown fields or all of them 0.
    """

    def __init__(
        self,
        scene: Gaussians,
        roi: Tensor | int,
        cameras: Sequence[Camera],
        provider: Provider | None = None,
        anchors: AnchorConfig | None = AnchorConfig(),  # noqa: B008 - it is frozen
        *,
        config: EditConfig | None = None,
        loss: Loss = l1_dssim_to,
        masks: Sequence[Tensor | None] | None = None,
        background: Tensor | None = None,
        scale: SceneScale | None = None,
    ) -> None:
        if not cameras:
            raise ValueError("a scene is edited by what it looks like: at least one camera is needed")
        if masks is not None and len(masks) != len(cameras):
            raise ValueError(f"masks: expected one for each of the {len(cameras)} cameras, got {len(masks)}")
        self.config = config = EditConfig() if config is None else config
        self.step = 0
        self._cameras = list(cameras)
        self._order = ViewOrder(len(cameras), config.seed)
        self._masks = [None] * len(cameras) if masks is None else list(masks)
        self._provider, self._loss, self._background = provider, loss, background
        self._targets: dict[int, Tensor] = {}
        self._metadata, self._primitive, self._schema = scene.metadata, scene.primitive, scene.schema
        self._shared = {name: tensor.detach() for name, tensor in scene.shared.items()}
        self._per_camera = primitive.get(scene.primitive).per_camera
        self._settings = USUAL.as_trained(scene.metadata)
        self._scale = scale or scene_scale(self._cameras, scene.means.detach().double().cpu().numpy())
        region = region_of(scene, roi)

        params = {name: value.detach().clone() for name, value in scene.params.items()}
        self._rates = {
            known.name: rate * (self._scale.length if known.measures_lengths else 1.0)
            for known, rate in _rates(scene, config)
        }
        self._adam = Adam(
            [{"params": [params[name].requires_grad_()], "name": name, "lr": 0.0} for name in self._rates]
        )
        extras = {name: value.clone() for name, value in scene.extras.items()}
        if FROZEN in extras:
            extras[_FROZEN_BEFORE] = extras[FROZEN]
            region = region & ~extras[FROZEN]
        if not bool(region.any()):
            raise UsageError("No Gaussian of the region may be trained: all of them are frozen.")
        extras[FROZEN] = ~region
        self._store = ParameterStore(params, self._adam, extras)
        multiplies = config.densify_until > 0 and {"means", "scales", "opacities"} <= self._rates.keys()
        self._density = ADC(config.schedule()) if multiplies else None
        if self._density is not None:
            self._density.initialize(scene.num, scene.device)
        self.anchors = None
        if anchors is not None:
            self.anchors = Anchors(anchors, params, region, self._scale.length, self._schema)

    @property
    def scene(self) -> Gaussians:
        """The scene as it is now; its tensors are not copies."""
        extras = {name: value for name, value in self._store.extras.items() if name != FROZEN}
        if _FROZEN_BEFORE in extras:
            extras[FROZEN] = extras.pop(_FROZEN_BEFORE)
        params = {name: value.detach() for name, value in self._store.params.items()}
        return Gaussians.of(params, self._primitive, extras, self._metadata, self._shared)

    @property
    def region(self) -> Tensor:
        """bool [N], the Gaussians that are trained."""
        frozen = self._store.frozen
        assert frozen is not None
        return ~frozen

    def run(self, watch: Callable[[int, Tensor], None] = lambda step, loss: None) -> Gaussians:
        """All steps that are left.

        Args:
            watch: called with the number of each step and its loss.

        Returns:
            The edited scene.

        Raises:
            NumericalError: a loss is not finite.
        """
        while self.step < self.config.steps:
            loss = self.advance()
            watch(self.step, loss)
        return self.scene

    def advance(self) -> Tensor:
        """One step on one view. Returns its loss, anchors included.

        Raises:
            NumericalError: it is not finite; the scene is as it was before the step.
            ValueError: the provider's target is no image of the camera's size.
        """
        step = self.step + 1
        view = self._order(step)
        rendered = self._rendered(view)
        image = rendered.colors[0]
        target = self._target(view, step, image.detach())
        if (mask := self._masks[view]) is not None:
            kept = mask.to(image.device)[..., None]
            image, target = image.where(kept, 0), None if target is None else target.where(kept, 0)
        loss = self._loss(view, image, target)
        if self.anchors is not None:
            loss = loss + self.anchors.loss(self._store.params)
        if not bool(loss.isfinite()):
            raise NumericalError(f"The loss of step {step} of the edit is not finite.")
        centres: list[Tensor] = []
        if rendered.meta["means2d"].requires_grad:
            rendered.meta["means2d"].register_hook(centres.append)
        loss.backward()
        with torch.no_grad():
            self._optimize(step)
            if self._density is not None and centres:
                self._multiply(step, view, rendered, centres[0])
        self.step = step
        return loss.detach()

    def _rendered(self, view: int) -> Rendered:
        camera, params = self._cameras[view], self._store.params
        context = {"viewmats": Cameras.of(camera, params["means"].device).viewmats}
        shown = primitive.evaluate({**self._store.extras, **params}, context, self._primitive)
        absgrad = self._density is not None and self._density.wants(self.step + 1).absgrad
        return render(
            shown, camera, self._settings, outputs=Outputs(absgrad=absgrad), background=self._background
        )

    def _target(self, view: int, step: int, image: Tensor) -> Tensor | None:
        if self._provider is None:
            return None
        every = self.config.refresh_every
        if view not in self._targets or (every > 0 and step % every == 0):
            self._targets[view] = _checked(self._provider(view, image), view, image)
        return self._targets[view]

    def _optimize(self, step: int) -> None:
        fall = self.config.final_rate ** (step / self.config.steps)
        for group in self._adam.param_groups:
            group["lr"] = self._rates[group["name"]] * fall
        self._adam.step(visible=self._store.free, pace=self._store.pace)
        for group in self._adam.param_groups:
            group["params"][0].grad = None

    def _multiply(self, step: int, view: int, rendered: Rendered, gradient: Tensor) -> None:
        """Density control, and the anchors that follow it."""
        density, camera = self._density, self._cameras[view]
        assert density is not None
        if density.wants(step).absgrad:
            gradient = rendered.meta["means2d"].absgrad
        density.on_backward(
            step,
            RenderStats(
                means2d_grad=gradient,
                radii=rendered.meta["radii"],
                width=camera.width,
                height=camera.height,
                num_cameras=1,
                depths=rendered.meta["depths"],
                scene_extent=self._scale.length,
            ),
        )
        if not density.grows_at(step):
            return
        scene = SceneView(
            self._store.params,
            self._scale.length,
            self._store.learning_rates(),
            scale=self._scale,
            schema=self._schema,
            frozen=self._store.frozen,
            labels=self._store.extras.get(LABEL),
            evaluated=None if self._per_camera else self._evaluated,
        )
        eager = keenest(density.need(scene), scene.free, self.config.most_densified)
        scene = replace(scene, guidance=Guidance(eagerness=eager))
        plan = self._store.apply(density.on_step(step, scene))
        density.follow(plan)
        if self.anchors is not None:
            self.anchors.densified(plan, self._store.params, self.region)

    def _evaluated(self, params: Mapping[str, Tensor]) -> primitive.Evaluated:
        return primitive.evaluate({**self._store.extras, **self._shared, **params}, None, self._primitive)


def region_of(scene: Gaussians, roi: Tensor | int) -> Tensor:
    """The region as bool [N], at least one of them True.

    Raises:
        UsageError, ValueError: as for `EditTrainer`.
    """
    if isinstance(roi, Tensor):
        if roi.dtype != torch.bool or roi.shape != (scene.num,):
            raise ValueError(f"roi: expected bool [{scene.num}], got {roi.dtype} {list(roi.shape)}")
        region = roi.to(scene.device)
        if not bool(region.any()):
            raise UsageError("No Gaussian is in the region.")
        return region
    labels = labels_of(scene)
    if labels is None:
        raise UsageError("The scene's Gaussians have no labels; `gsplat-core segment` gives them some.")
    region = labels == roi
    if not bool(region.any()):
        known = ", ".join(map(str, counts(labels)))
        raise UsageError(f"No Gaussian has the label {roi}; there are: {known or 'no Gaussians at all'}.")
    return region


def keenest(need: Tensor, free: Tensor, share: float) -> Tensor:
    """[N] 1 for those of the free rows whose need [N] is largest, up to a share of those that have any; else
    0. At least one has 1, if any has a need."""
    needy = indices(free & (need > 0))
    chosen = needy[need[needy].topk(math.ceil(share * len(needy))).indices]
    return torch.zeros_like(need).index_fill_(0, chosen, 1.0)


def _rates(scene: Gaussians, config: EditConfig) -> list[tuple[Field, float]]:
    """The fields that are trained, with their learning rates."""
    if unknown := sorted(set(config.rates) - set(scene.params)):
        raise ValueError(f"rates: there is no field {unknown[0]!r}; the scene has {', '.join(scene.params)}")
    rates = [
        (known, config.rate * config.rates.get(known.name, 1.0) * (known.learning_rate or 0.0))
        for known in scene.schema.trained
    ]
    trained = [(known, rate) for known, rate in rates if rate > 0]
    if not trained:
        raise ValueError("rates: all fields have 0, so nothing is left to be edited")
    return trained


def _checked(target: Tensor, view: int, image: Tensor) -> Tensor:
    """The target on the image's device.

    Raises:
        ValueError: it is no image like that.
    """
    if not isinstance(target, Tensor) or target.dtype not in (torch.float32, torch.uint8):
        kind = target.dtype if isinstance(target, Tensor) else type(target).__name__
        raise ValueError(f"target of view {view}: expected a tensor of float32 or uint8, got {kind}")
    if target.shape != image.shape:
        raise ValueError(
            f"target of view {view}: expected the shape of the image, {list(image.shape)}, "
            f"got {list(target.shape)}"
        )
    if not bool(target.isfinite().all()):
        raise ValueError(f"target of view {view}: has numbers that are not finite")
    return target.detach().to(image.device)
