"""Finding the settings with which a codec reaches a size or keeps a quality.

One path from the finished scene to ever smaller ones: each round prunes some more, coarsens the codec's
steps, trains briefly as the codec will show the scene, codes it, decodes the file and measures the test views
(the training views where there are none). Each round goes on from the one before, so nothing is trained
twice. The choice among the rounds is made by what was measured after decoding, never by an estimate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gsplat_core.compress.container import Container
from gsplat_core.compress.registry import CODECS, decode, encode
from gsplat_core.errors import UsageError
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from trainers.config import TrainConfig
from trainers.evaluation import evaluate, mean
from trainers.fine_tuning import fine_tune
from trainers.parts.results import AtTest, settled
from trainers.results import test_background
from trainers.waiting import counted

SSIM_PER_DB = 1 / 60
"""How much SSIM a decibel is worth: about what coding alone costs in both (docs/compression.md)."""

MAX_ROUNDS = 12
FIRST_KEEP = 0.6
NEXT_KEEP = 0.8
FIRST_COARSENESS = 0.9
NEXT_COARSENESS = 1.08
# Where even the first round is too much: nothing pruned, fine steps.
GENTLE_KEEP = 0.9
GENTLE_COARSENESS = 0.45


@dataclass(frozen=True)
class Goal:
    """Either a loss or a size.

    Args:
        max_loss_db: how much lower the PSNR may be than that of the scene before.
        max_loss_ssim: how much lower the SSIM may be; by default what `max_loss_db` is worth in it. Short
            training can raise the one while the other falls.
        target_bytes: how large the file may be.
    """

    max_loss_db: float | None = None
    max_loss_ssim: float | None = None
    target_bytes: int | None = None

    def __post_init__(self) -> None:
        if (self.max_loss_db is None) == (self.target_bytes is None):
            raise UsageError("Give either a loss in dB or a size in MB.")
        if self.max_loss_db is None and self.max_loss_ssim is not None:
            raise UsageError("A loss in SSIM goes with a loss in dB, not with a size in MB.")
        if self.max_loss_db is not None and not 0 < self.max_loss_db < math.inf:
            raise UsageError(f"A loss of {self.max_loss_db} dB cannot be asked for; it must be positive.")
        if self.max_loss_db is not None and self.max_loss_ssim is None:
            object.__setattr__(self, "max_loss_ssim", self.max_loss_db * SSIM_PER_DB)
        if self.max_loss_ssim is not None and not 0 < self.max_loss_ssim < math.inf:
            raise UsageError(
                f"A loss of {self.max_loss_ssim} in SSIM cannot be asked for; it must be positive."
            )
        if self.target_bytes is not None and self.target_bytes < 1:
            raise UsageError("The size must be positive.")


@dataclass(frozen=True)
class Round:
    """One point of the path."""

    kept: float
    """Fraction of the scene's Gaussians."""
    coarseness: float
    steps: int
    num_gaussians: int
    size: int
    """Of the file, in bytes."""
    psnr: float
    ssim: float
    loss_db: float
    loss_ssim: float
    train_seconds: float
    encode_seconds: float
    decode_seconds: float
    data: bytes = field(repr=False)

    @property
    def loss(self) -> float:
        """The worse of the two losses, in decibels."""
        return max(self.loss_db, self.loss_ssim / SSIM_PER_DB)

    def summary(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "data"}


@dataclass(frozen=True)
class Search:
    rounds: list[Round]
    chosen: Round
    reached: bool
    """Whether the chosen round meets the goal."""
    reference_psnr: float
    reference_ssim: float


def search(
    gaussians: Gaussians,
    dataset: Dataset,
    config: TrainConfig,
    codec: str,
    goal: Goal,
    steps: int,
    report: Callable[[Round], None],
    results: Mapping[str, Any] | None = None,
) -> Search:
    """Walks the path until the goal is passed, and chooses.

    Args:
        config: how the scene was trained, or scenes of the codec's primitive are, where it is not that.
        codec: name in `gsplat_core.compress.registry`.
        steps: of training per round.
        report: called after each round.
        results: what the parts of that training found (`trainers.parts.results`).

    Returns:
        for a loss, the smallest file within it; for a size, the best one within it. Where no round meets the
        goal, the one that comes nearest.
    """
    path = _Path(gaussians, dataset, config, codec, steps, results or {})
    first = path.scene
    while len(path.rounds) < MAX_ROUNDS:
        last = path.rounds[-1] if path.rounds else None
        if last is None:
            done = path.advance(first, FIRST_KEEP, FIRST_COARSENESS)
        elif goal.target_bytes is not None:
            if last.size <= goal.target_bytes:
                break
            keep = min(0.9, max(0.5, (goal.target_bytes / last.size) ** 0.75))
            done = path.advance(path.scene, keep, last.coarseness * NEXT_COARSENESS)
        elif _within(last, goal):
            done = path.advance(path.scene, NEXT_KEEP, last.coarseness * NEXT_COARSENESS)
        elif len(path.rounds) == 1:
            done = path.advance(first, GENTLE_KEEP, GENTLE_COARSENESS)
        else:
            break
        report(done)
    fitting = [entry for entry in path.rounds if _within(entry, goal)]
    if goal.target_bytes is not None:
        chosen = min(fitting, key=lambda entry: entry.loss) if fitting else path.rounds[-1]
    else:
        chosen = min(fitting or path.rounds, key=lambda entry: entry.size if fitting else entry.loss)
    return Search(path.rounds, chosen, bool(fitting), *path.reference)


def _within(entry: Round, goal: Goal) -> bool:
    if goal.target_bytes is not None:
        return entry.size <= goal.target_bytes
    return (
        goal.max_loss_db is not None
        and goal.max_loss_ssim is not None
        and entry.loss_db <= goal.max_loss_db
        and entry.loss_ssim <= goal.max_loss_ssim
    )


class _Path:
    """The rounds so far, and the scene of the last one as it was trained."""

    def __init__(
        self,
        gaussians: Gaussians,
        dataset: Dataset,
        config: TrainConfig,
        codec: str,
        steps: int,
        results: Mapping[str, Any],
    ) -> None:
        self.dataset, self.config, self.codec, self.steps = dataset, config, codec, steps
        self.results = results
        parts = settled(config, dataset.train, results, gaussians.device)
        self.compared = AtTest(parts, dataset.train)
        self.start_count = gaussians.num
        self.scene = gaussians.with_primitive(CODECS[codec].primitive)
        self.rounds: list[Round] = []
        self.reference = self._score(gaussians)

    def advance(self, scene: Gaussians, keep: float, coarseness: float) -> Round:
        codec = CODECS[self.codec].create(coarseness)
        start = time.perf_counter()
        self.scene = fine_tune(
            scene, self.dataset, self.config, codec, self.steps, keep, results=self.results
        )
        trained = time.perf_counter()
        data = encode(codec, self.scene).to_bytes()
        encoded = time.perf_counter()
        shown = decode(Container.from_bytes(data, Path("(memory)")))
        decoded = time.perf_counter()
        quality, similarity = self._score(shown)
        done = Round(
            kept=self.scene.num / self.start_count,
            coarseness=coarseness,
            steps=self.steps,
            num_gaussians=self.scene.num,
            size=len(data),
            psnr=quality,
            ssim=similarity,
            loss_db=self.reference[0] - quality,
            loss_ssim=self.reference[1] - similarity,
            train_seconds=trained - start,
            encode_seconds=encoded - trained,
            decode_seconds=decoded - encoded,
            data=data,
        )
        self.rounds.append(done)
        return done

    def _score(self, gaussians: Gaussians) -> tuple[float, float]:
        """Mean PSNR and SSIM of the views."""
        views = self.dataset.test or self.dataset.train
        background = test_background(self.config)
        shown = counted(views, "measuring", len(views))
        scored = list(evaluate(gaussians, shown, background, self.compared))
        return mean(entry.psnr for entry in scored), mean(entry.ssim for entry in scored)
