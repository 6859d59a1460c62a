"""What one training step does: 3D Gaussian splatting as published (Kerbl et al. 2023, section 5 and 6).

One photograph, one rendering, L1 + D-SSIM, Adam, density control. Saving, logging and recovery are `fit`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.densify.rendered_views import RenderedViews
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import RenderStats, SceneView, Wants
from gsplat_core.errors import UsageError
from gsplat_core.labels import LABEL
from gsplat_core.losses import l1_dssim
from gsplat_core.morton import morton_order
from gsplat_core.optim import Adam
from gsplat_core.ranges import Range
from gsplat_core.render.cameras import Cameras, Posed
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render, seen_by
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.scale import SceneScale
from gsplat_core.scene.schema import Field, Shared
from gsplat_core.second_order.linearization import Settings
from trainers.config import TrainConfig
from trainers.dilation import dilated
from trainers.evaluation import backdrop
from trainers.fields import from_json
from trainers.lm import LevenbergMarquardt, Refinement
from trainers.parts.part import Picture, Rendering
from trainers.parts.parts import Parts
from trainers.parts.registry import create
from trainers.primitives import refuse_primitive
from trainers.schedules import exponential, sh_degree_at
from trainers.views import Target

# What is still looked at after backward.
WATCHED = ("means2d", "radii", "depths", "statistics")


@dataclass(frozen=True)
class _Progress:
    step: Annotated[int, Range(0)]
    lr_factor: Annotated[float, Range(0, 1)]


class Trainer:
    """Parameters, optimizer and parts of one run.

    `step` is the number of steps done. Two trainers with the same state, fed the same targets, stay equal
    to the bit on the CPU.

    Args:
        views: the training photographs for parts that look at more than one per step.
        parts: what the training is made of; None: what the configuration says, without photographs.
    """

    def __init__(
        self,
        config: TrainConfig,
        gaussians: Gaussians,
        scale: SceneScale,
        views: RenderedViews | None = None,
        parts: Parts | None = None,
    ) -> None:
        self.config = config
        self.settings = config.drawn
        self.scale = scale
        self.scene_extent = scale.published if config.scale_rule == "published" else scale.length
        if config.primitive == "raygauss":
            self.settings = replace(self.settings, ray_step=config.ray_step * self.scene_extent)
        self.step = 0
        self.lr_factor = 1.0
        self.lm = LevenbergMarquardt(
            config.lm, config.lambda_dssim, config.seed, config.lm.iterations(config.steps)
        )
        self.views = views
        self.parts = create(config) if parts is None else parts
        self.parts.initialize(gaussians.num, gaussians.device)
        if views is not None:
            views.evaluated = self._evaluated
            views.counts = self.parts.counts
            behind = views.background
            views.posed = self.parts.camera_at_test
            views.shown = self.parts.shown_at_test
            views.as_photographed = lambda image, alphas, view: self.parts.at_test(
                Picture(image, alphas, behind), view
            )
        self._adopt(gaussians)

    def _adopt(self, gaussians: Gaussians) -> None:
        """Makes these Gaussians the parameters, with a fresh optimizer (betas and eps as in 3DGS)."""
        self.metadata = replace(
            gaussians.metadata, antialiased=self.config.antialiased, eps2d=self.config.eps2d,
            pixel_order=self.config.order == "pixel", unscented=self.config.footprint == "unscented",
            ray_step=self.settings.ray_step,
        )  # fmt: skip
        self.primitive = gaussians.primitive
        self._per_camera = primitive.get(self.primitive).per_camera
        refuse_primitive(self.primitive, self.config)
        self.schema = gaussians.schema
        params = {name: value.detach().clone() for name, value in gaussians.params.items()}
        rates = {known.name: self._scene_rate(known) for known in self.schema.optimized}
        self._scene_rates = {name: rate for name, rate in rates.items() if rate > 0}
        self._decays = {
            known.name: known.decay
            for known in self.schema.optimized
            if known.decay < 1 and known.name in self._scene_rates
        }
        self.fixed = frozenset(params) - frozenset(self._scene_rates)
        """The fields that are not trained, because their learning rate is 0 or they have none."""
        if self.fixed and self.config.optimizer == "lm":
            raise UsageError(f"--optimizer lm trains all fields; {', '.join(sorted(self.fixed))} shall stay.")
        shared = {name: value.detach().clone() for name, value in gaussians.shared.items()}
        self.adam = Adam(
            [
                {"params": [params[name].requires_grad_()], "name": name}
                if name in params
                else {"params": [shared[name].requires_grad_()], "name": name, "whole": True}
                for name in self._scene_rates
            ],
            betas=(0.9, 0.999),
            eps=1e-15,
        )
        self.store = ParameterStore(
            params, self.adam, gaussians.extras, most=self.config.max_gaussians, shared=shared
        )
        self.parts.adopted(self.store)
        self.trained = {group.name: group for group in self.parts.parameters()}
        """What the parts train, by name; each tensor is a group of the same optimizer."""
        if not self._scene_rates and not self.trained:
            raise UsageError("Nothing of the scene is trained: the learning rates of all fields are 0.")
        for name, group in self.trained.items():
            self.adam.add_param_group(
                {
                    "params": [group.tensor],
                    "name": name,
                    "betas": group.betas,
                    "eps": group.eps,
                    "whole": True,
                    "by_row": group.by_row,
                }
            )

    @property
    def gaussians(self) -> Gaussians:
        store = self.store
        return Gaussians.of(store.params, self.primitive, store.extras, self.metadata, store.shared)

    @property
    def device(self) -> torch.device:
        return self.store.params["means"].device

    @property
    def num_gaussians(self) -> int:
        return self.store.params["means"].shape[0]

    def advance(self, target: Target) -> tuple[Tensor, Tensor]:
        """One step on one photograph. Returns the loss (a scalar on the device) and the image [H, W, 3], as
        it is compared with the photograph."""
        step, parts = self.step + 1, self.parts
        target = parts.posed(step, self.composited(target, step))
        self._set_learning_rates(step)
        scene = self._scene_view(step, target)
        if carried := parts.carried(step, scene):
            self.store.set_extras(carried)
        wants = parts.wants(step)

        rendering = self._rendering(step, target, wants, scene)
        image = parts.image(step, rendering, target)
        target = parts.counted(step, replace(rendering, image=image), target)
        rendering = replace(rendering, image=target.compared(image))
        loss = l1_dssim(rendering.image, target.image[None], self.config.lambda_dssim)
        further = parts.loss(step, rendering, target)
        total = loss if further is None else loss + further

        # Memory peaks during backward: shapes and tile lists go as soon as they have served, and the gradient
        # of the centres is not copied, as retain_grad() would.
        meta = {name: rendering.meta[name] for name in WATCHED if name in rendering.meta}
        compared = rendering.image.detach()
        del rendering
        centre_gradients: list[Tensor] = []
        if meta["means2d"].requires_grad:
            meta["means2d"].register_hook(centre_gradients.append)
        total.backward()

        with torch.no_grad():
            centres = centre_gradients[0] if centre_gradients else torch.zeros_like(meta["means2d"])
            gradient = meta["means2d"].absgrad if wants.absgrad else centres
            parts.on_backward(step, self._render_stats(meta, gradient, compared, target, wants))
            self._optimize()
            if edits := parts.edits(step, scene):
                parts.follow(self.store.apply(edits))
            if self._reorders_at(step):
                parts.follow(self.store.reorder(morton_order(self.store.params["means"])))
        self.step = step
        return loss.detach(), image[0].detach()

    def _optimize(self) -> None:
        self.adam.step(visible=self.store.free, pace=self.store.pace)
        for group in self.adam.param_groups:
            group["params"][0].grad = None

    def refine(self, targets: Sequence[Target]) -> Refinement:
        """One step of Levenberg-Marquardt, after those of Adam, whose moments are given up as soon as it has
        done good. Where it does none, Adam's state is again what it was before, `step` included.

        Raises:
            UsageError: there are rows or fields that are frozen, or rows with a pace of their own.
        """
        if self.store.frozen is not None and bool(self.store.frozen.any()):
            raise UsageError("--optimizer lm moves every row, also frozen ones; use adam.")
        if self.store.pace is not None or self.fixed:
            raise UsageError("--optimizer lm moves all rows and fields as far as it likes; use adam.")
        step = self.step + 1
        background = self._background(step)
        settings = Settings(
            sh_degree=self._sh_degree(step),
            background=None if background is None else background[0],
            drawn=self.settings.from_near(targets[0].near),
        )
        with torch.no_grad():
            refinement = self.lm.iterate(
                self.gaussians.detached(),
                [self.parts.posed(step, self.composited(target, step)) for target in targets],
                settings,
                self.step - self.config.adam_steps,
                self.lr_factor,
            )
        if self.lm.handed_over:
            self.step = self.config.adam_steps
            return refinement
        if not self.lm.on_trial:
            self.adam.state.clear()
        self.step = step
        return refinement

    @property
    def last_step(self) -> int:
        """The number of the run's last step, as far as it is known now."""
        return self.config.steps if self.lm.handed_over else self.config.last_step

    def is_adams(self, photographs: int, numbers: int) -> bool:
        """Whether the next step is one of Adam: :meth:`advance`, not :meth:`refine`.

        Args:
            photographs: how many there are to train on.
            numbers: of all of them together, three for each pixel.
        """
        if self.step == self.config.adam_steps < self.config.last_step:
            parameters = sum(param.numel() for param in self.store.params.values())
            self.lm.consider(photographs, numbers, parameters)
        return self.step < self.config.adam_steps or self.lm.handed_over

    def _reorders_at(self, step: int) -> bool:
        every = self.config.reorder_every
        return every > 0 and (step - 1) % every == 0 and not self.parts.holds_rows(step)

    def _scene_view(self, step: int, target: Target) -> SceneView:
        if self.views is not None:
            self.views.sh_degree = self._sh_degree(step)
        return SceneView(
            self.store.params,
            self.scene_extent,
            self.store.learning_rates(),
            self.views,
            downscale=1.0
            if self.views is None
            else self.views.width(target.view) / (target.width * target.dilation),
            scale=self.scale,
            schema=self.schema,
            frozen=self.store.frozen,
            labels=self.store.extras.get(LABEL),
            evaluated=None if self._per_camera else self._evaluated,
            shared=self.store.shared,
        )

    def _sh_degree(self, step: int) -> int:
        return sh_degree_at(step, self.config.sh_degree_every, self.config.sh_degree)

    def _rendering(self, step: int, target: Target, wants: Wants, scene: SceneView) -> Rendering:
        """The scene as this step shows it, from the camera of its photograph."""
        store = self.store
        shown = self.parts.shown(
            step, {**store.params, **store.shared} if store.shared else store.params, target
        )
        splats = self._evaluated(shown, target)
        background = self._background(step)
        rendered = render(
            splats,
            target,
            dilated(self.settings, target.dilation),
            outputs=Outputs(
                absgrad=wants.absgrad,
                statistics=wants.weights,
                depth="expected" if wants.depth else "none",
                further=("normals",) if wants.surfaces else (),
                hits=wants.surfaces,
            ),
            background=background,
            sh_degree=self._sh_degree(step),
            sh_optimizer=self.adam if self._steps_while_differentiating(shown) else None,
        )
        return Rendering(
            rendered.colors,
            rendered.alphas,
            background,
            splats.arguments(),
            rendered.meta,
            scene,
            rendered.depths if wants.depth else None,
            rendered.hits,
        )

    def _evaluated(self, params: Mapping[str, Tensor], camera: Posed | None = None) -> primitive.Evaluated:
        """What parameters of the rows that there are now are drawn as, for a camera where that matters."""
        context = None
        if camera is not None and self._per_camera:
            context = seen_by(Cameras.of(camera, self.device))
        fields = {**self.store.extras, **self.store.shared, **params}
        return primitive.evaluate(fields, context, self.primitive)

    def _steps_while_differentiating(self, shown: Mapping[str, Tensor]) -> bool:
        """Whether SH coefficients may make their optimizer's step in the backward pass: where they are drawn
        as they are, so that the photograph alone gives them gradients, and all are trained."""
        params = self.store.params
        as_they_are = shown["sh0"] is params["sh0"] and shown["shN"] is params["shN"]
        fixed = self.fixed & {"sh0", "shN"}
        apart = self.store.frozen is not None or self.store.pace is not None
        return as_they_are and not fixed and not apart

    def composited(self, target: Target, step: int) -> Target:
        """The photograph on what is rendered behind the scene at a step."""
        return target.on(self._background(step))

    def _background(self, step: int) -> Tensor | None:
        """[1, 3]; random ones depend on seed and step only, so a resumed run needs no generator's state."""
        if self.config.background == "random":
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
            return torch.rand(1, 3, generator=generator).to(self.device)
        return backdrop(self.config.background, self.device)

    def _render_stats(
        self, meta: dict[str, Any], means2d_grad: Tensor, compared: Tensor, target: Target, wants: Wants
    ) -> RenderStats:
        return RenderStats(
            means2d_grad=means2d_grad,
            radii=meta["radii"],
            width=target.width,
            height=target.height,
            num_cameras=1,
            depths=meta["depths"],
            weights=meta["statistics"].grad if wants.weights else None,
            scales_grad=self.store.params["scales"].grad,
            means_grad=self.store.params["means"].grad,
            images=compared,
            targets=target.image[None],
            masks=None if target.mask is None else target.mask[None],
            views=[target.view],
            scene_extent=self.scene_extent,
        )

    def _set_learning_rates(self, step: int) -> None:
        factor = self.lr_factor * self.parts.learning_rate_factor(step)
        rates = self.config.learning_rates
        if "means" in self._scene_rates:
            now = exponential(rates.means, rates.means_final, step, self.config.steps)
            self._scene_rates["means"] = now * self.scene_extent
        fallen = self._fallen(step) if self._decays else {}
        for group in self.adam.param_groups:
            name = group["name"]
            if name in self.trained:
                rate = self.trained[name].rate(step)
            else:
                rate = fallen[name] if name in fallen else self._scene_rates[name]
            group["lr"] = rate * factor

    def _fallen(self, step: int) -> dict[str, float]:
        """The rates of fields with a decay."""
        first, steps = self._scene_rates, self.config.steps
        return {
            name: exponential(first[name], first[name] * decay, step, steps)
            for name, decay in self._decays.items()
        }

    def _scene_rate(self, field: Field | Shared) -> float:
        """The rate of a field of the scene, or of what its rows share; the first one, where it falls."""
        rate = self.config.learning_rates.of(field)
        return rate * self.scene_extent if field.measures_lengths else rate

    def is_finite(self, losses: list[Tensor]) -> bool:
        """Whether these losses and all parameters are finite; one synchronisation with the device."""
        sums = [group["params"][0].detach().sum() for group in self.adam.param_groups]
        return bool(torch.isfinite(torch.stack(losses + sums)).all())

    def state_dict(self) -> dict[str, Any]:
        moments = {}
        for group in self.adam.param_groups:
            state = self.adam.state[group["params"][0]]
            moments[group["name"]] = {
                key: state[key] for key in ("step", "exp_avg", "exp_avg_sq") if key in state
            }
        return {
            "step": self.step,
            "lr_factor": self.lr_factor,
            "gaussians": self.gaussians.state_dict(),
            "adam": moments,
            "parts": self.parts.state_dict(),
            "lm": self.lm.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        device = self.device
        self._adopt(Gaussians.from_state_dict(state["gaussians"]).to(device))
        for group in self.adam.param_groups:
            moments = state["adam"][group["name"]]  # none of a parameter that has not been trained yet
            if moments and set(moments) != {"step", "exp_avg", "exp_avg_sq"}:
                raise ValueError(f"adam.{group['name']} has the entries {', '.join(sorted(moments))}")
            shape = group["params"][0].shape
            steps = shape[:1] if group.get("by_row") else ()
            for name, value in moments.items():
                if value.shape != (steps if name == "step" else shape):
                    raise ValueError(f"adam.{group['name']}.{name} has another shape than its parameter")
            self.adam.state[group["params"][0]] = {
                key: value.clone() if value.dim() == 0 else value.to(device, copy=True)
                for key, value in moments.items()
            }
        self.parts.load_state_dict(state["parts"])
        self.lm.load_state_dict(state["lm"], device)
        progress = from_json(_Progress, {name: state[name] for name in ("step", "lr_factor")})
        self.step, self.lr_factor = progress.step, progress.lr_factor
