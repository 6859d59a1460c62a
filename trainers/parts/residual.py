"""A frame of a moving scene, trained as what is different from the frame before (QUEEN, Girish et al. 2024).

The scene's own parameters are those of the frame before, and stay. What is trained are shifts of the centres
behind gates, the latents of all other attributes, their decoders (`gsplat_core/sequence/residuals.py`) and
the Gaussians that are added. Everything is shown as the file of the frame will have it, so that nothing is
lost when it is written. A gate starts the more open, the more what changed in the photographs pulls at its
Gaussian, and being open costs; a latent that is not zero does, too, which is not so in QUEEN: Adam would
move the latents of what the images say little of as far as all others.

Gaussians are only added: copies beside those that the images pull at, and only such copies are removed again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.compress import residual
from gsplat_core.compress.container import Container
from gsplat_core.densify.edits import Clone, Edit
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import RenderStats, SceneView
from gsplat_core.errors import UsageError
from gsplat_core.io import gsz
from gsplat_core.io.atomic import write_bytes
from gsplat_core.io.source import read_whole
from gsplat_core.losses import as_float
from gsplat_core.ranges import NOT_NEGATIVE, POSITIVE, SHARE, check_ranges
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients
from gsplat_core.sequence.additions import Additions, AdditionsConfig
from gsplat_core.sequence.change import moving_pixels, pulls
from gsplat_core.sequence.gates import WIDE_OPEN, gates, logits_of, probabilities
from gsplat_core.sequence.residuals import LATENTS, NEVER_DRAWN, as_stored, changed, rounded
from trainers.parts.part import Group, Part, Rendering
from trainers.run_folder import RunFolder
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig

DRAWS = 20
"""As many draws of random gates take turns."""
_DECODERS = {"sh0": 0.05, "shN": 0.02, "quats": 0.02, "scales": 0.05, "opacities": 0.1}
"""Standard deviations of what decoders start with: so large that a latent of 1 shows at once, in hundreds of
steps. (1e-4, 1e-2 and 1e-3 for colours, rotations and scales as published.)"""


@dataclass(frozen=True)
class ResidualConfig:
    """Rates are those of Adam.

    Args:
        before: the run of the frame before.
        quantum: of shifts, in lengths of the scene.
        shift_rate: of shifts, in lengths of the scene, at the first step,
        shift_rate_final: and at the last.
        sh0_rate, shN_rate, quats_rate, scales_rate, opacities_rate: of latents.
        decoder_rate: of all decoders.
        rate_weight: how much a latent of 1 or -1 adds to the loss, divided by the number of Gaussians.
        gate_rate: of the logits of gates.
        gate_weight: of the share of gates that are not shut.
        random_gates: gates are random in training.
        moving: pull, in the mean over the photographs, above which a Gaussian counts as moving.
        masked: share of the steps in which only pixels near such Gaussians count.
        additions: what is added.

    Raises:
        ValueError: a number outside its range.
    """

    before: str = ""
    quantum: Annotated[float, POSITIVE] = 1e-4
    shift_rate: Annotated[float, NOT_NEGATIVE] = 3e-3
    shift_rate_final: Annotated[float, NOT_NEGATIVE] = 2e-4
    sh0_rate: Annotated[float, NOT_NEGATIVE] = 0.0125
    shN_rate: Annotated[float, NOT_NEGATIVE] = 0.0125
    quats_rate: Annotated[float, NOT_NEGATIVE] = 0.025
    scales_rate: Annotated[float, NOT_NEGATIVE] = 0.01
    opacities_rate: Annotated[float, NOT_NEGATIVE] = 0.025
    decoder_rate: Annotated[float, NOT_NEGATIVE] = 1e-3
    rate_weight: Annotated[float, NOT_NEGATIVE] = 2e-3
    gate_rate: Annotated[float, NOT_NEGATIVE] = 0.1
    gate_weight: Annotated[float, NOT_NEGATIVE] = 7e-4
    random_gates: bool = False
    moving: Annotated[float, NOT_NEGATIVE] = 5e-5
    masked: Annotated[float, SHARE] = 0.3
    additions: AdditionsConfig = field(default_factory=AdditionsConfig)

    def __post_init__(self) -> None:
        check_ranges(self)


class Residual(Part):
    """`gsplat-core stream --residual` gives it to every frame but the first."""

    settings: ClassVar[type[Any] | None] = ResidualConfig
    first_order: ClassVar[str | None] = "trains all of a scene and not what changes; leave out --residual"
    neighbours: ClassVar[str | None] = "counts what changed of whole photographs, pixel by pixel"

    def __init__(self, settings: ResidualConfig, config: TrainConfig, views: Sequence[View]) -> None:
        if not settings.before:
            raise UsageError(
                "the part residual needs residual.before; `gsplat-core stream --residual` sets it for each "
                "frame."
            )
        self._settings, self._config, self._views = settings, config, views
        self._length = 1.0
        self._counted: dict[int, Tensor] = {}
        self._store: ParameterStore | None = None
        self._edits: list[Edit] = []

    def initialize(self, num: int, device: torch.device) -> None:
        self._device, self._before = device, num
        columns = {"sh0": 3, "shN": 3 * (num_coefficients(self._config.sh_degree) - 1), "quats": 4}
        columns |= {"scales": 3, "opacities": 1}
        random = torch.Generator().manual_seed(self._config.seed)
        self._decoders = {
            name: (_DECODERS[name] * torch.randn(size, columns[name], generator=random)).to(device)
            for name, size in LATENTS.items()
            if columns[name]
        }
        for decoder in self._decoders.values():
            decoder.requires_grad_()
        self._allocate(num)
        self._additions = Additions(
            self._settings.additions, num, len(self._views), self._config.steps,
            self._config.max_gaussians, self._config.seed,
        )  # fmt: skip
        self._additions.initialize(num, device)

    def _allocate(self, num: int) -> None:
        """What has a row for each Gaussian."""
        sizes = {"shifts": (3,), "gates": (), **{name: (LATENTS[name],) for name in self._decoders}}
        self._rows = {
            name: torch.zeros(num, *size, device=self._device).requires_grad_()
            for name, size in sizes.items()
        }
        self._ancestors = {"ancestors": torch.arange(num, device=self._device)}

    def adopted(self, store: ParameterStore) -> None:
        if store.num != len(self._rows["shifts"]):  # of a checkpoint, whose numbers come next
            self._allocate(store.num)
            self._additions.initialize(store.num, self._device)
        self._store = store
        self._own = ParameterStore(self._rows, store.optimizers, self._ancestors, most=store.most)

    def prepare(self, dataset: Dataset, note: Callable[[str], None]) -> None:
        """Compares the photographs with those of the frame before: how far gates are open at the start, and
        which pixels count at first."""
        from trainers.config import read_config
        from trainers.sources import load_photographs

        assert self._store is not None
        self._length = dataset.scale.length
        before = load_photographs(read_config(RunFolder(self._settings.before).config), decode=False)
        old = {view.name: view for view in before.train}
        both = [(number, view) for number, view in enumerate(dataset.train) if view.name in old]
        cameras = [view.camera for _, view in both]
        scene = Gaussians.of(self._store.params)
        drawn = self._config.drawn
        pulled = pulls(
            scene, cameras, (as_float(old[view.name].image()) for _, view in both),
            (as_float(view.image()) for _, view in both), drawn,
        )  # fmt: skip
        with torch.no_grad():
            self._rows["gates"].copy_(logits_of(pulled))
        moving = scene.subset(pulled > self._settings.moving * len(both))
        for number, view in both:
            self._counted[number] = moving_pixels(moving, view.camera, drawn)

    def parameters(self) -> Sequence[Group]:
        s = self._settings
        rates = {"gates": s.gate_rate} | {name: getattr(s, f"{name}_rate") for name in self._decoders}
        return [
            Group("shifts", self._rows["shifts"], self._shift_rate),
            *(Group(name, self._rows[name], partial(_constant, rate)) for name, rate in rates.items()),
            *(
                Group(f"decoder.{name}", decoder, partial(_constant, s.decoder_rate))
                for name, decoder in self._decoders.items()
            ),
        ]

    def _shift_rate(self, step: int) -> float:
        first, last = self._settings.shift_rate, self._settings.shift_rate_final
        return self._length * (first + (last - first) * step / self._config.steps)

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        return self._now(params, self._draws(step))

    def shown_at_test(
        self, params: Mapping[str, Tensor], camera: Any, view: int | None
    ) -> Mapping[str, Tensor]:
        return params if self._store is None else self._now(params)

    def _draws(self, step: int) -> Tensor | None:
        if not self._settings.random_gates:
            return None
        random = torch.Generator().manual_seed(self._config.seed * 1_000_003 + step % DRAWS)
        return torch.rand(len(self._rows["gates"]), generator=random).to(self._device)

    def _now(self, params: Mapping[str, Tensor], draws: Tensor | None = None) -> dict[str, Tensor]:
        """The frame's parameters, as its file will have them. Differentiable."""
        return changed(
            params,
            {name: rounded(self._rows[name]) for name in self._decoders},
            {name: as_stored(decoder) for name, decoder in self._decoders.items()},
            rounded(self._shifts(draws)) * self._quantum,
        )

    @property
    def _quantum(self) -> float:
        return self._settings.quantum * self._length

    def _shifts(self, draws: Tensor | None = None) -> Tensor:
        """[N, 3] behind their gates, in units of the quantum."""
        return gates(self._rows["gates"], draws)[:, None] * self._rows["shifts"] / self._quantum

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        s = self._settings
        total = s.gate_weight * probabilities(self._rows["gates"]).mean()
        if s.rate_weight:
            for name in self._decoders:
                total = total + s.rate_weight / len(self._rows[name]) * self._rows[name].abs().sum()
        return total

    def counted(self, step: int, rendering: Rendering, target: Target) -> Target:
        counts = self._counted.get(target.view)
        if step > self._settings.masked * self._config.steps or counts is None:
            return target
        return target.only(counts) if counts.shape == (target.height, target.width) else target

    def on_backward(self, step: int, stats: RenderStats) -> None:
        self._additions.on_backward(step, stats)

    def holds_rows(self, step: int) -> bool:
        return True

    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        if not self._additions.grows_at(step):
            return []
        now = self._now(scene.params)
        edits = self._additions.on_step(step, replace(scene, params=now))
        # A copy is as its original of the frame before; what makes it another are its shift and latents.
        self._edits = [self._of_own(edit, scene.params["means"]) for edit in edits]
        return [Clone(edit.rows) if isinstance(edit, Clone) else edit for edit in edits]

    def _of_own(self, edit: Edit, before: Tensor) -> Edit:
        if not isinstance(edit, Clone):
            return edit
        shifts = edit.values["means"] - before[edit.rows]
        return Clone(edit.rows, {"shifts": shifts, "gates": torch.full_like(shifts[:, 0], WIDE_OPEN)})

    def follow(self, plan: RowPlan) -> None:
        self._own.apply(self._edits)
        self._additions.follow(plan)
        self._edits = []

    def coded(self, scene: Gaussians, run: RunFolder) -> Gaussians:
        with torch.no_grad():
            found, before = self._found(scene), scene.subset(slice(0, self._before))
        if "key_frame" in self._config.parts:  # written as a whole
            return found.applied(before)
        file = RunFolder(self._settings.before).compressed
        opened = Container.from_bytes(read_whole(file), file)
        name = os.path.relpath(file.resolve(), run.path.resolve())
        after_key = opened.header.get("after_key", 0) + 1
        assert opened.checksum is not None
        try:
            written = residual.encoded(found, before, Path(name).as_posix(), opened.checksum, after_key)
        except ValueError as error:
            raise UsageError(f"residual.before has to be a run beside this one: {error}") from None
        write_bytes(run.compressed, written.to_bytes())
        return gsz.load(run.compressed).to(scene.device)

    def _found(self, scene: Gaussians) -> residual.Residual:
        """What is written; without the Gaussians that have become too faint to be drawn."""
        stays = sigmoid(self._now(scene.params)["opacities"]) >= NEVER_DRAWN
        kept, ancestors = stays.nonzero().squeeze(1), self._own.extras["ancestors"]
        added = kept[kept >= self._before]
        added = added[ancestors[added].sort(stable=True).indices]
        rows = torch.cat([kept[kept < self._before], added])
        return residual.Residual(
            (~stays[: self._before]).nonzero().squeeze(1),
            ancestors[added],
            self._shifts()[rows].round().int(),
            {name: self._rows[name][rows].round().int() for name in self._decoders},
            {name: decoder.half() for name, decoder in self._decoders.items()},
            self._quantum,
        )

    def state_dict(self) -> dict[str, Any]:
        return {"ancestors": self._own.extras["ancestors"].clone(), "additions": self._additions.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._own.extras["ancestors"].copy_(state["ancestors"])
        self._additions.load_state_dict(state["additions"])


def _constant(rate: float, step: int) -> float:
    return rate
