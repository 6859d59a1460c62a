"""Adaptive density control of 3D Gaussian splatting (Kerbl et al. 2023, section 5.2), and two refinements of
it.

Where the image keeps pulling at a Gaussian's projected centre, detail is missing: small Gaussians there are
cloned, large ones are split. Nearly transparent and oversized ones are pruned. Every few thousand iterations
all opacities are lowered, so that what the views do not need fades and is pruned.

Refinements, both off by default:
- `absgrad`: gradients are accumulated as absolute values per pixel, so that opposite pulls do not cancel
  (Ye et al. 2024, "AbsGS"). Raise `gradient_threshold` to about 8e-4 with it.
- `revised_opacity`: both members of a cloned pair and both children of a split get the opacity o' with
  1 - (1 - o')^2 = o, so that together they cover what one covered before (Rota Bulo et al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Edit, Prune, Reset, Split
from gsplat_core.densify.strategy import RenderStats, SceneView


@dataclass(frozen=True)
class ADCConfig:
    """Thresholds and schedule; the defaults are those of 3DGS for 30 000 iterations.

    Iterations count from 1. A shorter run scales the schedule by giving other numbers.

    Args:
        gradient_threshold: mean length, over the views that see it, of the gradient of a Gaussian's projected
            centre, above which it is cloned or split. In normalised device units: the pixel gradient times
            half the image size, for a loss that is a mean over the pixels of one view.
        grow_scale: Gaussians up to this largest standard deviation, as a fraction of the scene extent, are
            cloned, larger ones split.
        split_shrink: children have the standard deviations of their parent divided by this.
        prune_opacity: Gaussians less opaque than this are removed.
        prune_scale: Gaussians larger than this fraction of the scene extent are removed ...
        prune_scale_start: ... at refinements after this iteration.
        refine_start, refine_stop, refine_every: refine at the multiples of `refine_every` strictly between.
        reset_every, reset_opacity: at the multiples of `reset_every` before `refine_stop` opacities are
            lowered to at most `reset_opacity`.
        white_background: also lower them at `refine_start` (as 3DGS does for scenes on white).
        absgrad: ask for absolute gradients.
        revised_opacity: keep the joint opacity of clones and children.
        max_gaussians: never grow beyond this number; the Gaussians with the largest gradients grow first.
        seed: of the positions of children.

    Raises:
        ValueError: a value outside its range.
    """

    gradient_threshold: float = 2e-4
    grow_scale: float = 0.01
    split_shrink: float = 1.6
    prune_opacity: float = 0.005
    prune_scale: float = 0.1
    prune_scale_start: int = 3000
    refine_start: int = 500
    refine_stop: int = 15_000
    refine_every: int = 100
    reset_every: int = 3000
    reset_opacity: float = 0.01
    white_background: bool = False
    absgrad: bool = False
    revised_opacity: bool = False
    max_gaussians: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("gradient_threshold", "grow_scale", "split_shrink", "prune_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}: expected a positive number")
        for name in ("prune_opacity", "reset_opacity"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: expected an opacity between 0 and 1")
        for name in ("refine_every", "reset_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: expected at least 1 iteration")
        if self.max_gaussians is not None and self.max_gaussians < 1:
            raise ValueError(f"max_gaussians = {self.max_gaussians}: expected at least 1 or None")


class ADC:
    """The strategy; see the module. Implements `gsplat_core.densify.strategy.Strategy`."""

    def __init__(self, config: ADCConfig | None = None) -> None:
        self.config = ADCConfig() if config is None else config
        # On the CPU for every device: a seed means the same scene everywhere, and the state can be saved.
        self._random = torch.Generator().manual_seed(self.config.seed)
        self._gradient_sum = torch.zeros(0)
        self._seen = torch.zeros(0)

    @property
    def absgrad(self) -> bool:
        return self.config.absgrad

    def initialize(self, num: int, device: torch.device | str) -> None:
        """Forgets all statistics and expects `num` Gaussians from now on."""
        self._gradient_sum = torch.zeros(num, device=device)
        self._seen = torch.zeros(num, device=device)

    @torch.no_grad()
    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Adds the gradient lengths of the views that see each Gaussian.

        Raises:
            ValueError: the statistics are for another number of Gaussians.
        """
        if step >= self.config.refine_stop:
            return
        self._check_rows(stats.radii.shape[1])
        to_device_units = (
            self._gradient_sum.new_tensor([stats.width / 2, stats.height / 2]) * stats.num_cameras
        )
        lengths = (stats.means2d_grad * to_device_units).norm(dim=-1)
        visible = (stats.radii > 0).any(dim=-1)
        self._gradient_sum += torch.where(visible, lengths, 0).sum(dim=0)
        self._seen += visible.sum(dim=0)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        """Refinement and opacity reset where the schedule has them, else nothing."""
        c = self.config
        if step >= c.refine_stop:
            return []
        self._check_rows(view.params["means"].shape[0])
        refine = step > c.refine_start and step % c.refine_every == 0
        reset = step % c.reset_every == 0 or (c.white_background and step == c.refine_start)
        opacities = view.params["opacities"]
        ceiling = opacities.new_tensor(c.reset_opacity).logit() if reset else None
        edits: list[Edit] = []
        if refine:
            edits = self._refine(step, view, ceiling)
            self._forget(edits)
        if ceiling is not None:
            # In front: the opacity of a clone's original, which may be lower still, has the last word.
            edits.insert(0, Reset(None, {"opacities": opacities.clamp(max=ceiling)}))
        return edits

    def _refine(self, step: int, view: SceneView, ceiling: Tensor | None) -> list[Edit]:
        c, extent = self.config, view.scene_extent
        # Not torch.sigmoid: its last bits depend on the number of threads (gsplat_core/activations.py).
        opacities = 1 / (1 + (-view.params["opacities"]).exp())
        sizes = view.params["scales"].amax(dim=1).exp()
        shared = 1 - (1 - opacities).sqrt() if c.revised_opacity else opacities  # opacity of a clone or child

        def superfluous(opacity: Tensor, size: Tensor) -> Tensor:
            oversized = size > c.prune_scale * extent
            return (opacity < c.prune_opacity) | (oversized if step > c.prune_scale_start else False)

        finite = _finite_rows(view.params)
        gradient = self._gradient_sum / self._seen.clamp(min=1)
        hot = (gradient >= c.gradient_threshold) & finite
        small = sizes <= c.grow_scale * extent
        # What would be pruned at once is not made; children of an oversized parent may be small enough to
        # stay.
        clone = hot & small & ~superfluous(shared, sizes)
        split = hot & ~small & ~superfluous(shared, sizes / c.split_shrink)
        prune = superfluous(opacities, sizes) | ~finite
        if c.max_gaussians is not None:
            clone, split = _within_budget(c.max_gaussians, gradient, clone, split, prune)
        edits: list[Edit] = [Prune(_indices(prune & ~split))]
        edits += self._clones(view.params, _indices(clone), ceiling)
        edits += self._children(view.params, _indices(split), ceiling)
        return edits

    def _clones(self, params: Mapping[str, Tensor], rows: Tensor, ceiling: Tensor | None) -> list[Edit]:
        values = {"opacities": self._inherited_opacity(params["opacities"][rows], ceiling)}
        edits: list[Edit] = [Clone(rows, values)]
        if self.config.revised_opacity:
            edits.append(Reset(rows, values))
        return edits

    def _children(self, params: Mapping[str, Tensor], rows: Tensor, ceiling: Tensor | None) -> list[Edit]:
        """Two children each, at random places drawn from the parent as a normal distribution."""
        means, scales = params["means"][rows], params["scales"][rows]
        normal = torch.randn(len(rows), 2, 3, generator=self._random).to(means)
        offsets = normal * scales.exp()[:, None, :]
        turned = torch.einsum("nij,ncj->nci", _rotation_matrices(params["quats"][rows]), offsets)
        opacity = self._inherited_opacity(params["opacities"][rows], ceiling)
        shrink = scales.new_tensor(self.config.split_shrink).log()
        values = {
            "means": means[:, None, :] + turned,
            "scales": (scales - shrink)[:, None, :].expand(-1, 2, -1),
            "opacities": opacity[:, None].expand(-1, 2),
        }
        return [Split(rows, values)]

    def _inherited_opacity(self, logits: Tensor, ceiling: Tensor | None) -> Tensor:
        if self.config.revised_opacity:
            # With r = sqrt(1 - o), the logit of o' = 1 - r is log((1 - r) / r): exact near 0 and 1 too.
            log_r = 0.5 * torch.nn.functional.logsigmoid(-logits)
            logits = torch.log(-torch.expm1(log_r)) - log_r
        return logits if ceiling is None else logits.clamp(max=ceiling)

    def _forget(self, edits: list[Edit]) -> None:
        """Starts new statistics for the rows there will be when these edits are applied."""
        num = len(self._seen)
        for edit in edits:
            if isinstance(edit, Clone):
                num += len(edit.rows)
            elif isinstance(edit, Split):
                num += len(edit.rows) * (edit.children - 1)
            elif isinstance(edit, Prune):
                num -= len(edit.rows)
        self.initialize(num, self._seen.device)

    def _check_rows(self, num: int) -> None:
        if len(self._seen) != num:
            raise ValueError(
                f"ADC has statistics of {len(self._seen)} Gaussians but there are {num}; call initialize() "
                "at the start and whenever rows change other than by its own edits"
            )

    def state_dict(self) -> dict[str, Tensor]:
        """Statistics since the last refinement, and the state of the random numbers."""
        return {
            "gradient_sum": self._gradient_sum.clone(),
            "seen": self._seen.clone(),
            "random": self._random.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from `state_dict`, on the device that `initialize` was called with.

        Raises:
            ValueError: keys are missing or unknown, or the statistics do not fit together.
        """
        if state.keys() != {"gradient_sum", "seen", "random"}:
            raise ValueError(f"ADC state: expected gradient_sum, seen and random, got {', '.join(state)}")
        if state["gradient_sum"].ndim != 1 or state["gradient_sum"].shape != state["seen"].shape:
            raise ValueError("ADC state: gradient_sum and seen must be [N] both")
        device = self._seen.device
        self._random.set_state(state["random"].cpu())
        self._gradient_sum = state["gradient_sum"].to(device, torch.float32, copy=True)
        self._seen = state["seen"].to(device, torch.float32, copy=True)


def _indices(mask: Tensor) -> Tensor:
    return mask.nonzero().squeeze(1)


def _finite_rows(params: Mapping[str, Tensor]) -> Tensor:
    """[N] mask of the rows in which every number of every parameter is finite."""
    masks = [
        tensor.isfinite().flatten(1).all(dim=1) if tensor.ndim > 1 else tensor.isfinite()
        for tensor in params.values()
    ]
    return torch.stack(masks).all(dim=0)


def _within_budget(
    budget: int, gradient: Tensor, clone: Tensor, split: Tensor, prune: Tensor
) -> tuple[Tensor, Tensor]:
    """The clones and splits, largest gradient first, with which the scene has at most `budget` Gaussians."""
    # A split of a Gaussian that goes anyway brings two more, every other growth one.
    cost = clone.long() + split.long() + (split & prune).long()
    room = budget - int((~prune).sum())
    order = gradient.nan_to_num().masked_fill(cost == 0, -1).argsort(descending=True, stable=True)
    affordable = torch.zeros_like(clone)
    affordable[order] = cost[order].cumsum(0) <= room
    return clone & affordable, split & affordable


def _rotation_matrices(quats: Tensor) -> Tensor:
    """Rotation matrices [M, 3, 3] of quaternions [M, 4], (w, x, y, z), of any length but zero."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
