"""Density control: strategies that decide which Gaussians to add, remove and change while a scene is trained.

Nothing here needs the rest of this package's training. In another PyTorch project, with a plain dictionary of
parameters and `torch.optim.Adam`:

    >>> import torch
    >>> from gsplat_core.densify import ADC, ADCConfig, ParameterStore, RenderStats, SceneView
    >>> n = 8
    >>> params = {
    ...     "means": torch.randn(n, 3),
    ...     "quats": torch.randn(n, 4),
    ...     "scales": torch.full((n, 3), -5.0),  # log
    ...     "opacities": torch.zeros(n),  # logit
    ...     "colors": torch.rand(n, 3),
    ... }
    >>> params = {name: torch.nn.Parameter(tensor) for name, tensor in params.items()}
    >>> groups = [{"params": [p], "lr": 1e-3} for p in params.values()]
    >>> optimizer = torch.optim.Adam(groups, eps=1e-15)
    >>> store = ParameterStore(params, optimizer)
    >>> strategy = ADC(ADCConfig(refine_start=0, refine_every=10))  # or MCMC(), or LPM(ADC(), matcher=...)
    >>> strategy.initialize(store.num, "cpu")
    >>> for step in range(1, 11):
    ...     means2d = params["means"][None, :, :2] * 100  # your renderer
    ...     means2d.retain_grad()
    ...     means2d.mean().backward()
    ...     radii = torch.ones(1, store.num, 2, dtype=torch.int32)
    ...     strategy.on_backward(step, RenderStats(means2d.grad, radii, width=640, height=480, num_cameras=1))
    ...     optimizer.step()
    ...     optimizer.zero_grad()
    ...     view = SceneView(params, scene_extent=1.0, learning_rates=store.learning_rates())
    ...     strategy.follow(store.apply(strategy.on_step(step, view)))
    >>> store.num, params["colors"].shape
    (16, torch.Size([16, 3]))
"""

from gsplat_core.densify.adc import ADC, ADCConfig
from gsplat_core.densify.edits import Clone, Edit, Move, Prune, Reset, Split
from gsplat_core.densify.lpm import LPM, LPMConfig
from gsplat_core.densify.mcmc import MCMC, MCMCConfig
from gsplat_core.densify.plan import RowPlan, compile_edits
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.registry import PLUGINS, STRATEGIES, configurations, create, parts
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import Guidance, Initialization, RenderStats, SceneView, Strategy, Wants
from gsplat_core.densify.views import Lens, Shares, Views

__all__ = [
    "ADC",
    "LPM",
    "MCMC",
    "PLUGINS",
    "STRATEGIES",
    "ADCConfig",
    "Clone",
    "Edit",
    "Guidance",
    "Initialization",
    "LPMConfig",
    "Lens",
    "MCMCConfig",
    "Move",
    "ParameterStore",
    "Plugin",
    "Prune",
    "RenderStats",
    "Reset",
    "RowPlan",
    "SceneView",
    "Shares",
    "Split",
    "Strategy",
    "Views",
    "Wants",
    "compile_edits",
    "configurations",
    "create",
    "parts",
]
