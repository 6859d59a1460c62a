"""A context model that scenes of anchors learn with the scene, so that they are small in a file (HAC++, Chen
et al. 2025; `gsplat_core/compress/context.py`).

In the first part of a run anchors are as without it. Then their numbers are shown with noise as wide as the
usual step, which keeps images from depending on what will be rounded; no anchors come or go at first, so that
the networks get used to that. From `start` on the context model says of each number what it expects and how
wide its step shall be: noise is as wide as that, and what numbers cost, of some of the anchors in each step,
is part of the loss. In the end they are rounded to what will be decoded, straight through.

Meanwhile each splat of an anchor is there or not: the logit of a mask is trained, through which gradients
pass straight (as in Compact3DGS, Lee et al. 2024), and splats that are there cost their offsets' bits and
something besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.compress.anchors import COLUMNS, STEPS, AnchorCodec, counted, numbers_of, params_of
from gsplat_core.compress.context import Context as Model
from gsplat_core.compress.context import Kinds, Said, Size
from gsplat_core.compress.hash_grid import Corners, HashGrid, Middle
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import SceneView
from gsplat_core.errors import UsageError
from gsplat_core.io import gsz
from gsplat_core.io.usable import keep_usable
from gsplat_core.models.scaffold import DROPPED, NAME, SPLATS, Lattice, as_dropped
from gsplat_core.ranges import NOT_NEGATIVE, POSITIVE, SHARE, SOME_SHARE, Range, check_ranges
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from trainers.parts.part import Group, Part, Rendering
from trainers.schedules import exponential
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig
    from trainers.run_folder import RunFolder

MASK_START = 2.0
"""The logit with which every splat is there."""
RATE_FINAL = 0.01
"""What learning rates are multiplied by in the end."""


@dataclass(frozen=True)
class ContextConfig:
    """Args:
        rate: what a bit per number of an anchor adds to the loss.
        masks: what the mean mask of the splats adds to it.
        features, scales, offsets: the usual steps of these numbers, those of scales also of the offsets'
            scales.
        noise: from which share of the run on numbers are shown with noise ...
        still: ... and for which no anchors come or go then ...
        start: ... from which on the context model says how wide, and bits count ...
        rounded: ... and from which on they are rounded.
        share: of the anchors whose bits are counted in a step.
        model_rate, mask_rate: learning rates of the context model and of the masks, at `start`.
        log2_rows: of each of the context model's grids, as a power of two.
        hidden: units of its network.

    Raises:
        ValueError: a number outside its range, or shares of the run that do not follow each other.
    """

    rate: Annotated[float, NOT_NEGATIVE] = 4e-3
    masks: Annotated[float, NOT_NEGATIVE] = 1e-3
    features: Annotated[float, Range(1e-4, 64)] = STEPS["features"]
    scales: Annotated[float, Range(1e-4, 64)] = STEPS["scales"]
    offsets: Annotated[float, Range(1e-4, 64)] = STEPS["offsets"]
    noise: Annotated[float, SHARE] = 0.1
    still: Annotated[float, SHARE] = 1 / 30
    start: Annotated[float, SHARE] = 1 / 3
    rounded: Annotated[float, SHARE] = 0.8
    share: Annotated[float, SOME_SHARE] = 0.05
    model_rate: Annotated[float, POSITIVE] = 5e-3
    mask_rate: Annotated[float, POSITIVE] = 0.05
    log2_rows: Annotated[int, Range(4, 16)] = 12
    hidden: Annotated[int, Range(1, 256)] = 32

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.noise <= self.start <= self.rounded:
            raise ValueError(
                f"noise = {self.noise}, start = {self.start}, rounded = {self.rounded}: expected shares of "
                "the run of which none is smaller than the one before"
            )

    @property
    def kinds(self) -> Kinds:
        """The numbers of an anchor and their steps."""
        steps = {"features": self.features, "offset_scales": self.scales, "scales": self.scales}
        return Kinds(COLUMNS, {**steps, "offsets": self.offsets})

    @property
    def size(self) -> Size:
        """Of the model."""
        return Size(replace(HashGrid(), log2_rows=self.log2_rows), self.hidden)


class Context(Part):
    """`--compress anchors`."""

    settings: ClassVar[type[Any] | None] = ContextConfig
    first_order: ClassVar[str | None] = "learns no context model; leave out --compress anchors"

    def __init__(self, settings: ContextConfig, config: TrainConfig, views: Sequence[View]) -> None:
        if config.primitive != NAME:
            raise UsageError(
                f"--compress anchors trains scenes of anchors; add --model {NAME}, or use another codec."
            )
        self._settings, self._steps, self._seed = settings, config.steps, config.seed
        self._model = Model.started(settings.size, settings.kinds, config.seed)
        self._logits = torch.zeros(0, SPLATS)
        self._store: ParameterStore | None = None
        self._corners: Corners | None = None
        self._said: tuple[Said, Tensor, Tensor] | None = None

    def _at(self, share: float) -> int:
        """The last step of a share of the run; what begins then begins after it."""
        return round(share * self._steps)

    def initialize(self, num: int, device: torch.device) -> None:
        for name, tensor in self._model.tensors.items():
            self._model.tensors[name] = tensor.detach().to(device, copy=True).requires_grad_()
        self._logits = torch.full((num, SPLATS), MASK_START, device=device, requires_grad=True)

    def adopted(self, store: ParameterStore) -> None:
        self._store, self._corners = store, None
        if len(self._logits) != store.num:
            self._logits.data = self._logits.data.new_full((store.num, SPLATS), MASK_START)

    def parameters(self) -> Sequence[Group]:
        return [
            *(Group(name, tensor, self._model_rate) for name, tensor in self._model.tensors.items()),
            Group("masks", self._logits, self._mask_rate),
        ]

    def _model_rate(self, step: int) -> float:
        return self._falling(self._settings.model_rate, step)

    def _mask_rate(self, step: int) -> float:
        return self._falling(self._settings.mask_rate, step)

    def _falling(self, rate: float, step: int) -> float:
        start = self._at(self._settings.start)
        return exponential(rate, RATE_FINAL * rate, max(step - start, 0), max(self._steps - start, 1))

    def carried(self, step: int, scene: SceneView) -> Mapping[str, Tensor]:
        if step <= self._at(self._settings.start):
            return {}
        return {DROPPED: as_dropped(_there(self._logits))}

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        c, self._said = self._settings, None
        if step <= self._at(c.noise):
            return params
        numbers = numbers_of(params)
        if step <= self._at(c.start):
            usual = numbers.new_tensor(list(c.kinds.steps.values()))
            return {**params, **params_of(numbers + c.kinds.of_columns(usual) * self._noise(step, numbers))}
        if step == self._at(c.start) + 1:
            self._model.begin(self._knots(params["means"]), numbers.detach())
            self._corners = None
        if self._corners is None:
            self._corners = self._model.corners(self._knots(params["means"]))
        said = self._model(self._corners)
        if step <= self._at(c.rounded):
            shown = numbers + said.steps * self._noise(step, numbers)
        else:
            shown = said.rounded(numbers)
        probabilities = torch.sigmoid(self._logits)
        kept = probabilities + (_there(self._logits).to(probabilities) - probabilities).detach()
        self._said = said, shown, kept
        return {**params, **params_of(shown), "kept": kept}

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        if self._said is None:
            return None
        said, shown, kept = self._said
        num, total = shown.shape
        few = max(1, round(self._settings.share * num))
        rows = torch.randperm(num, generator=self._random(step, 1))[:few].to(shown.device)
        bits = Said(*(part[rows] for part in said)).bits(shown[rows]) * counted(kept)[rows]
        rate = bits.sum() / (few * total) + self._model.grid_bits() / (num * total)
        return self._settings.rate * rate + self._settings.masks * torch.sigmoid(self._logits).mean()

    def _knots(self, means: Tensor) -> Tensor:
        assert self._store is not None
        return Lattice.of(self._store.shared).knots(means).long()

    def _noise(self, step: int, like: Tensor) -> Tensor:
        """From -1/2 to 1/2, by seed and step alone, so that a resumed run needs no generator's state."""
        return (torch.rand(like.shape, generator=self._random(step, 0)) - 0.5).to(like)

    def _random(self, step: int, which: int) -> torch.Generator:
        return torch.Generator().manual_seed((self._seed * 1_000_003 + step) * 2 + which)

    def holds_rows(self, step: int) -> bool:
        first = self._at(self._settings.noise)
        return first < step <= first + self._at(self._settings.still)

    @torch.no_grad()
    def follow(self, plan: RowPlan) -> None:
        """New anchors have all their splats."""
        self._corners = None
        if plan.stays:
            return
        self._logits.grad = None
        self._logits.data = _followed(self._logits.data, plan, MASK_START)
        for optimizer in () if self._store is None else self._store.optimizers:
            state = optimizer.state.get(self._logits, {})
            for name in ("exp_avg", "exp_avg_sq"):
                if name in state:
                    state[name] = _followed(state[name], plan, 0.0)

    def state_dict(self) -> dict[str, Any]:
        return {"middle": [*self._model.middle.knot, self._model.middle.size]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        x, y, z, size = (int(number) for number in state["middle"])
        self._model.middle, self._corners = Middle((x, y, z), size), None

    def coded(self, scene: Gaussians, run: RunFolder) -> Gaussians:
        gsz.save(run.compressed, keep_usable(scene, run.compressed, strict=False), self.codec)
        return gsz.load(run.compressed).to(scene.device)

    @property
    def codec(self) -> AnchorCodec:
        """With the model as it is trained by now."""
        return AnchorCodec(context=self._model)


def _there(logits: Tensor) -> Tensor:
    """[N, 10] bool, which splats are drawn."""
    return logits.detach() > 0


def _followed(rows: Tensor, plan: RowPlan, new: float) -> Tensor:
    rows = plan.follow(rows)
    rows[plan.num_kept :] = new
    return rows
