"""What one training step does: 3D Gaussian splatting as published (Kerbl et al. 2023, section 5 and 6).

One photograph, one rendering, L1 + D-SSIM, Adam, density control. Saving, logging and recovery are `fit`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gsplat_core import primitive, rasterization
from gsplat_core.compress.training import CompressedTraining
from gsplat_core.densify.edits import Edit
from gsplat_core.densify.registry import create
from gsplat_core.densify.rendered_views import RenderedViews
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import RenderStats, SceneView, Wants
from gsplat_core.losses import l1_dssim
from gsplat_core.morton import morton_order
from gsplat_core.optim import Adam
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.scale import SceneScale
from gsplat_core.second_order.linearization import Settings
from gsplat_core.second_order.objective import as_float
from trainers.config import TrainConfig
from trainers.evaluation import backdrop
from trainers.lm import LevenbergMarquardt, Refinement
from trainers.schedules import exponential, sh_degree_at
from trainers.views import Target

# What is still looked at after backward.
WATCHED = ("means2d", "radii", "depths", "statistics")


class Trainer:
    """Parameters, optimizer and strategy of one run.

    `step` is the number of steps done. Two trainers with the same state, fed the same targets, stay equal
    to the bit on the CPU.
    """

    def __init__(
        self,
        config: TrainConfig,
        gaussians: Gaussians,
        scale: SceneScale,
        views: RenderedViews | None = None,
        compression: CompressedTraining | None = None,
    ) -> None:
        self.config = config
        self.compression = compression
        self.scale = scale
        self.step = 0
        self.lr_factor = 1.0
        self.lm = LevenbergMarquardt(
            config.lm, config.lambda_dssim, config.seed, config.lm.iterations(config.steps)
        )
        self.views = views
        self._adopt(gaussians)
        self.strategy = create(config.strategy, config.densify)
        self.strategy.initialize(gaussians.num, gaussians.device)
        self.scene_extent = scale.published if self.strategy.scale == "published" else scale.length

    def _adopt(self, gaussians: Gaussians) -> None:
        """Makes these Gaussians the parameters, with a fresh optimizer (betas and eps as in 3DGS)."""
        self.metadata = replace(gaussians.metadata, antialiased=self.config.antialiased)
        self.primitive = gaussians.primitive
        rates = self.config.learning_rates
        params = {name: value.detach().clone().requires_grad_() for name, value in gaussians.params.items()}
        self.adam = Adam(
            [{"params": [value], "name": name, "lr": getattr(rates, name)} for name, value in params.items()],
            betas=(0.9, 0.999),
            eps=1e-15,
        )
        self.store = ParameterStore(params, self.adam, gaussians.extras, most=self.config.max_gaussians)

    @property
    def gaussians(self) -> Gaussians:
        return Gaussians.of(self.store.params, self.primitive, self.store.extras, self.metadata)

    @property
    def device(self) -> torch.device:
        return self.store.params["means"].device

    @property
    def num_gaussians(self) -> int:
        return self.store.params["means"].shape[0]

    def advance(self, target: Target) -> tuple[Tensor, Tensor]:
        """One step on one photograph. Returns the loss (a scalar on the device) and the image [H, W, 3]."""
        step = self.step + 1
        target = self.composited(target, step)
        self._set_learning_rates(step)
        view = self._scene_view(step, target)

        wants = self.strategy.wants(step)
        shown = self._shown(step)
        splats = primitive.evaluate({**self.store.extras, **shown}, primitive=self.primitive).arguments()
        # What is drawn as it is gets its gradients from the photograph alone.
        sh_optimizer = self.adam if shown is self.store.params else None
        colors, _, meta = self._render(splats, target, step, wants, sh_optimizer)
        compared = target.compared(colors)
        loss = l1_dssim(compared, target.image[None], self.config.lambda_dssim)
        compared = compared.detach()
        total = loss + self._side_terms(step, splats, compared[0], target, meta, view)
        # Memory peaks during backward: shapes and tile lists go as soon as they have served, and the gradient
        # of the centres is not copied, as retain_grad() would.
        meta = {name: meta[name] for name in WATCHED if name in meta}
        centre_gradients: list[Tensor] = []
        meta["means2d"].register_hook(centre_gradients.append)
        total.backward()

        with torch.no_grad():
            gradient = meta["means2d"].absgrad if wants.absgrad else centre_gradients[0]
            self.strategy.on_backward(step, self._render_stats(meta, gradient, compared, target, wants))
            self.adam.step()
            for param in self.store.params.values():
                param.grad = None
            edits = self._edits(step, view)
            if edits:
                self.strategy.follow(self.store.apply(edits))
            if self._reorders_at(step):
                self.strategy.follow(self.store.reorder(morton_order(self.store.params["means"])))
        self.step = step
        return loss.detach(), colors[0].detach()

    def refine(self, targets: Sequence[Target]) -> Refinement:
        """One step of Levenberg-Marquardt, after those of Adam, whose moments are given up."""
        self.adam.state.clear()
        step = self.step + 1
        background = self._background(step)
        settings = Settings(
            sh_degree=self._sh_degree(step),
            background=None if background is None else background[0],
            antialiased=self.config.antialiased,
            near_plane=targets[0].near,
        )
        with torch.no_grad():
            refinement = self.lm.iterate(
                self.gaussians.detached(),
                [self.composited(target, step) for target in targets],
                settings,
                self.step - self.config.adam_steps,
                self.lr_factor,
            )
        self.step = step
        return refinement

    def _shown(self, step: int) -> Mapping[str, Tensor]:
        """What this step renders: the scene's parameters, or what a codec would make of them."""
        params = self.store.params
        return params if self.compression is None else self.compression.shown(step, params)

    def _edits(self, step: int, view: SceneView) -> list[Edit]:
        """Once a scene is trained for its codec, that alone edits it."""
        if self.compression is not None and step >= self.compression.schedule.start:
            return self.compression.on_step(step, self.store.params)
        return self.strategy.on_step(step, view)

    def _reorders_at(self, step: int) -> bool:
        """A codec knows the rows of the scene that it was fitted to, so their order stays from then on."""
        fitted = self.compression is not None and step >= self.compression.schedule.start
        every = self.config.reorder_every
        return every > 0 and (step - 1) % every == 0 and not fitted

    def _side_terms(
        self,
        step: int,
        splats: Mapping[str, Tensor],
        image: Tensor,
        target: Target,
        meta: dict[str, Any],
        view: SceneView,
    ) -> Tensor | float:
        """What is added to the photometric loss for the sake of strategy and codec."""
        terms: Tensor | float = 0.0
        if (regularization := self.strategy.regularization(splats, view)) is not None:
            terms = terms + regularization
        if self.compression is not None:
            terms = terms + self.compression.penalty(step, self.store.params)
        if "probe" in meta:
            # Zero itself; its gradient makes the statistics (see gsplat_core.rasterization).
            error = (image - as_float(target.image)).abs().mean(dim=-1)
            terms = terms + (meta["probe"][0] * error).sum()
        return terms

    def _scene_view(self, step: int, target: Target) -> SceneView:
        if self.views is not None:
            self.views.sh_degree = self._sh_degree(step)
        return SceneView(
            self.store.params,
            self.scene_extent,
            self.store.learning_rates(),
            self.views,
            downscale=1.0 if self.views is None else self.views.lens(target.view).width / target.width,
            scale=self.scale,
        )

    def _sh_degree(self, step: int) -> int:
        return sh_degree_at(step, self.config.sh_degree_every, self.config.sh_degree)

    def _render(
        self, splats: dict[str, Any], target: Target, step: int, wants: Wants, sh_optimizer: Adam | None
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        return rasterization(
            **splats,
            viewmats=target.viewmat,
            Ks=target.K,
            width=target.width,
            height=target.height,
            near_plane=target.near,
            sh_degree=self._sh_degree(step),
            backgrounds=self._background(step),
            rasterize_mode="antialiased" if self.config.antialiased else "classic",
            absgrad=wants.absgrad,
            statistics=wants.weights,
            sh_optimizer=sh_optimizer,
        )

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
            images=compared,
            targets=target.image[None],
            masks=None if target.mask is None else target.mask[None],
            views=[target.view],
            scene_extent=self.scene_extent,
        )

    def _set_learning_rates(self, step: int) -> None:
        rates = self.config.learning_rates
        factor = self.lr_factor
        if self.compression is not None:
            factor *= self.compression.schedule.learning_rate_factor(step)
        for group in self.adam.param_groups:
            rate = getattr(rates, group["name"])
            if group["name"] == "means":
                rate = (
                    exponential(rates.means, rates.means_final, step, self.config.steps) * self.scene_extent
                )
            group["lr"] = rate * factor

    def is_finite(self, losses: list[Tensor]) -> bool:
        """Whether these losses and all parameters are finite; one synchronisation with the device."""
        sums = [value.detach().sum() for value in self.store.params.values()]
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
            "strategy": self.strategy.state_dict(),
            "compression": {} if self.compression is None else self.compression.state_dict(),
            "lm": self.lm.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        device = self.device
        self._adopt(Gaussians.from_state_dict(state["gaussians"]).to(device))
        for group in self.adam.param_groups:
            moments = state["adam"][group["name"]]
            self.adam.state[group["params"][0]] = {
                key: value.clone() if key == "step" else value.to(device, copy=True)
                for key, value in moments.items()
            }
        self.strategy.load_state_dict(state["strategy"])
        if self.compression is not None:
            self.compression.load_state_dict(state["compression"])
        self.lm.load_state_dict(state["lm"], device)
        self.step = state["step"]
        self.lr_factor = state["lr_factor"]
