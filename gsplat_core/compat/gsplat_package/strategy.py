"""``gsplat.strategy``: density control with gsplat's calls, done by ours (`gsplat_core.densify`).

A training loop of gsplat holds a dictionary of parameters and one of optimizers; after every backward pass it
hands both to the strategy with what the rasterizer said. Where rows come or go, new parameters take the
places of the old ones in both, and the moments follow.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gsplat_core.densify.adc import ADC, ADCConfig
from gsplat_core.densify.mcmc import MCMC, MCMCConfig
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import RenderStats, SceneView
from gsplat_core.densify.strategy import Strategy as Density

Params = MutableMapping[str, Tensor]
Optimizers = Mapping[str, torch.optim.Optimizer]
State = MutableMapping[str, Any]
NEEDED = ("means", "scales", "quats", "opacities")


class Strategy:
    """What strategies have in common."""

    def check_sanity(self, params: Params, optimizers: Optimizers) -> None:
        """
        Raises:
            ValueError: a parameter is missing, or has no optimizer of its own name with one group.
        """
        for name in NEEDED:
            if name not in params:
                raise ValueError(f"params must have {', '.join(NEEDED)}; {name} is missing")
        for name, parameter in params.items():
            if not parameter.requires_grad:
                continue
            groups = optimizers[name].param_groups if name in optimizers else []
            if len(groups) != 1 or not any(p is parameter for p in groups[0]["params"]):
                raise ValueError(f"optimizers[{name!r}] must train params[{name!r}], in one group")

    def step_pre_backward(
        self, params: Params, optimizers: Optimizers, state: State, step: int, info: Mapping[str, Any]
    ) -> None:
        """To be called before the backward pass, with the rasterizer's meta."""


def _refine(params: Params, optimizers: Optimizers, density: Density, step: int, view: SceneView) -> None:
    """What the density control asks for in this step."""
    edits = density.on_step(step, view)
    if not edits:
        return
    # As gsplat does: a loop that still holds the last step's graph has the old parameters in it, unchanged.
    for name, old in list(params.items()):
        new = params[name] = torch.nn.Parameter(old.detach().clone(), requires_grad=old.requires_grad)
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["params"] = [new if parameter is old else parameter for parameter in group["params"]]
            if old in optimizer.state:
                optimizer.state[new] = optimizer.state.pop(old)
    density.follow(ParameterStore(dict(params), optimizers).apply(edits))


def _started(state: State, params: Params) -> Density:
    """The density control of a state, which begins with the scene of the first call."""
    density: Density = state["density"]
    if not state["started"]:
        density.initialize(len(params["means"]), params["means"].device)
        state["started"] = True
    return density


@dataclass
class DefaultStrategy(Strategy):
    """Adaptive density control as 3DGS has it (Kerbl et al. 2023), with gsplat's names.

    Args:
        prune_opa: Gaussians less opaque are removed.
        grow_grad2d: gradient, in halves of the image, from which on a Gaussian multiplies.
        grow_scale3d: share of the scene's scale up to which it is copied; larger ones are split.
        prune_scale3d: share of the scene's scale beyond which it is removed, once opacities were reset.
        refine_start_iter, refine_stop_iter, refine_every: when.
        reset_every: opacities are lowered to twice `prune_opa`. (gsplat 1.5.3 never does so, by a slip in the
            precedence of operators.)
        pause_refine_after_reset: for so many steps after that nothing multiplies.
        absgrad: absolute gradients; the rasterizer needs the same.
        revised_opacity: copies keep the joint opacity.
        grow_scale2d, prune_scale2d, refine_scale2d_stop_iter, verbose, key_for_gradient: sizes on the screen
            are no criterion here, so `refine_scale2d_stop_iter` must be 0 and the key "means2d".

    Raises:
        NotImplementedError: an option asks for what is not there.
        ValueError: a value outside its range.
    """

    prune_opa: float = 0.005
    grow_grad2d: float = 0.0002
    grow_scale3d: float = 0.01
    grow_scale2d: float = 0.05
    prune_scale3d: float = 0.1
    prune_scale2d: float = 0.15
    refine_scale2d_stop_iter: int = 0
    refine_start_iter: int = 500
    refine_stop_iter: int = 15_000
    reset_every: int = 3000
    refine_every: int = 100
    pause_refine_after_reset: int = 0
    absgrad: bool = False
    revised_opacity: bool = False
    verbose: bool = False
    key_for_gradient: str = "means2d"

    def __post_init__(self) -> None:
        if self.refine_scale2d_stop_iter > 0:
            raise NotImplementedError("refine_scale2d_stop_iter: sizes on the screen are no criterion here")
        if self.key_for_gradient != "means2d":
            raise NotImplementedError(f"key_for_gradient {self.key_for_gradient!r}: there is only 'means2d'")
        self._config = ADCConfig(
            gradient_threshold=self.grow_grad2d,
            scale="published",
            grow_scale=self.grow_scale3d,
            prune_opacity=self.prune_opa,
            prune_scale=self.prune_scale3d,
            prune_scale_start=self.reset_every,
            refine_start=self.refine_start_iter,
            refine_stop=self.refine_stop_iter,
            refine_every=self.refine_every,
            reset_every=self.reset_every,
            reset_opacity=2 * self.prune_opa,
            absgrad=self.absgrad,
            revised_opacity=self.revised_opacity,
        )

    def initialize_state(self, scene_scale: float = 1.0) -> dict[str, Any]:
        """What the other methods take as `state`.

        Args:
            scene_scale: the length that sizes are shares of.
        """
        return {"scene_scale": scene_scale, "density": ADC(self._config), "started": False}

    def step_pre_backward(
        self, params: Params, optimizers: Optimizers, state: State, step: int, info: Mapping[str, Any]
    ) -> None:
        """Keeps the gradient of the centres on the screen."""
        info["means2d"].retain_grad()

    @torch.no_grad()
    def step_post_backward(
        self,
        params: Params,
        optimizers: Optimizers,
        state: State,
        step: int,
        info: Mapping[str, Any],
        packed: bool = False,
    ) -> None:
        """To be called after the optimizers' step, which counts from 0.

        Args:
            info: the rasterizer's meta, of one scene.
            packed: whether that has a row for each visible pair only.
        """
        if step >= self.refine_stop_iter:
            return
        density = _started(state, params)
        density.on_backward(step, _stats(info, packed, len(params["means"]), self.absgrad))
        # Step 0 is a multiple of everything, and no time for anything.
        paused = step % self.reset_every < self.pause_refine_after_reset
        if step > 0 and not (paused and density.grows_at(step)):
            view = SceneView(params, float(state["scene_scale"]))
            _refine(params, optimizers, density, step, view)


@dataclass
class MCMCStrategy(Strategy):
    """Density control by Markov chain Monte Carlo (Kheradmand et al. 2024), with gsplat's names.

    Args:
        cap_max: the largest number of Gaussians.
        noise_lr: noise per learning rate.
        refine_start_iter, refine_stop_iter, refine_every: when.
        min_opacity: Gaussians up to this opacity are dead.
        verbose: accepted for compatibility.

    Raises:
        ValueError: a value outside its range.
    """

    cap_max: int = 1_000_000
    noise_lr: float = 5e5
    refine_start_iter: int = 500
    refine_stop_iter: int = 25_000
    refine_every: int = 100
    min_opacity: float = 0.005
    verbose: bool = False

    def __post_init__(self) -> None:
        self._config = MCMCConfig(
            max_gaussians=self.cap_max,
            noise=self.noise_lr,
            refine_start=self.refine_start_iter,
            refine_stop=self.refine_stop_iter,
            refine_every=self.refine_every,
            min_opacity=self.min_opacity,
            scale="published",
        )

    def initialize_state(self) -> dict[str, Any]:
        """What the other methods take as `state`."""
        return {"density": MCMC(self._config), "started": False}

    @torch.no_grad()
    def step_post_backward(
        self,
        params: Params,
        optimizers: Optimizers,
        state: State,
        step: int,
        info: Mapping[str, Any],
        lr: float,
    ) -> None:
        """To be called after the optimizers' step, which counts from 0.

        Args:
            lr: the present learning rate of the means.
        """
        density = _started(state, params)
        _refine(params, optimizers, density, step, SceneView(params, 1.0, {"means": lr}))


def _stats(info: Mapping[str, Any], packed: bool, num: int, absgrad: bool) -> RenderStats:
    """What ADC looks at, from the meta of gsplat's rasterizer or ours.

    Raises:
        ValueError: the centres have no gradient.
    """
    means2d, radii = info["means2d"], info["radii"]
    gradient = getattr(means2d, "absgrad", None) if absgrad else means2d.grad
    if gradient is None:
        raise ValueError(
            "info['means2d'] has no gradient: call step_pre_backward before the backward pass"
            + (", and rasterize with absgrad=True" if absgrad else "")
        )
    cameras = int(info["n_cameras"])
    if radii.dim() == means2d.dim() - 1:  # of gsplat 1.4: one number for both sides
        radii = radii[..., None].expand(*radii.shape, 2)
    if packed:
        rows = info["camera_ids"].long() * num + info["gaussian_ids"].long()
        gradient = gradient.new_zeros(cameras * num, 2).index_copy(0, rows, gradient)
        radii = radii.new_zeros(cameras * num, 2).index_copy(0, rows, radii)
    return RenderStats(
        gradient.reshape(cameras, num, 2),
        radii.reshape(cameras, num, 2),
        int(info["width"]),
        int(info["height"]),
        cameras,
    )


__all__ = ["DefaultStrategy", "MCMCStrategy", "Strategy"]
