"""A training run from photographs to results: what `gsplat-core train` does, as one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import torch
from rich.console import Console

from gsplat_core.densify.rendered_views import RenderedViews
from gsplat_core.errors import DataError, NumericalError, UsageError
from gsplat_core.io import export_verified
from gsplat_core.io.usable import keep_usable
from gsplat_core.render.seam import TURN
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.strict_json import write_json
from trainers.background import with_background
from trainers.capacity import within_capacity
from trainers.config import TrainConfig
from trainers.coordinates import share_coordinates
from trainers.dilation import Dilation, refuse_dilation
from trainers.evaluation import backdrop, evaluate, mean
from trainers.few_views import advice
from trainers.learnt_model import write_learnt_model
from trainers.loop import Loop
from trainers.messages import tell
from trainers.observer import Observer, Observers
from trainers.parts.density import Density
from trainers.parts.registry import create
from trainers.parts.results import AtTest, write_part_results
from trainers.primitives import refuse_cameras, refuse_primitive
from trainers.progress import TrainingProgress, peak_memory_bytes
from trainers.resolution import ResolutionSchedule
from trainers.results import test_background, write_results
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs
from trainers.start import initial_gaussians
from trainers.summary import summary
from trainers.time_left import TimeLeft
from trainers.trainer import Trainer
from trainers.visibility import complaint, unseen
from trainers.waiting import counted

MEASURED_VIEWS = 8


def train(
    config: TrainConfig,
    run: RunFolder,
    console: Console,
    resume: bool = False,
    overwrite: bool = False,
    observers: Sequence[Observer] = (),
) -> dict[str, Any]:
    """Trains in a run folder and returns its metrics.

    Args:
        resume: continue from the newest checkpoint of the folder, or start where there is none.
        overwrite: replace the run that is in the folder.
        observers: who watches the training; they are closed in the end.

    Raises:
        UsageError: the folder holds or is used by another run; or the optimizer or the codec of the
            configuration cannot handle its primitive, or that not the lenses of the photographs.
        DataError: photographs, poses or checkpoints that cannot be used.
        ResourceError: memory or disk are not sufficient.
        NumericalError: training diverged.
        Interrupted: stopped by a signal, after writing a checkpoint.
    """

    def note(text: str) -> None:
        tell(console, text)

    if config.active_set is not None:
        from trainers.active_set.session import train_active_set

        return train_active_set(config, run, console, resume, overwrite, observers)
    refuse_primitive(config.primitive, config)
    watching = Observers(observers, lambda text: note(f"warning: {text}"))
    with run.owned(), run.crash_reports(), closing(watching):
        device = choose_device(config.device)
        dataset = load_photographs(config)
        note(summary(dataset, config.downscale))
        for warning in dataset.warnings:
            note(f"warning: {warning}")
        if text := advice(config, dataset):
            note(text)
        refuse_cameras(config.primitive, dataset)
        refuse_dilation(config, dataset.train)
        if config.optimizer == "lm" and any(view.camera.model in TURN for view in dataset.train):
            raise UsageError("--optimizer lm does not know the seam of panoramas; leave it out.")
        # A damaged file shall be found now and not in the middle of the training.
        for view in counted(dataset.train, "reading photographs", len(dataset.train)):
            view.image()
        config = with_background(config, dataset)
        limited = within_capacity(config, dataset.train)
        gaussians = initial_gaussians(limited, dataset, note).to(device)
        if config.start is not None:
            share_coordinates(dataset, gaussians)
        if not resume:
            note(f"{gaussians.num:,} Gaussians to begin with, on {device}.")
        views = rendered_views(config, dataset)
        trainer = Trainer(limited, gaussians, dataset.scale, views, create(limited, dataset.train))
        trainer.parts.prepare(dataset, note)
        factor_at, seen = resolution(config, dataset), Dilation(config)
        foreseen = time_left(trainer, dataset.train, factor_at, seen)
        with TrainingProgress(config.last_step, console, foreseen) as progress:
            loop = Loop(
                trainer,
                dataset.train,
                run,
                progress,
                measure=lambda: quick_scores(trainer, dataset),
                factor_at=factor_at,
                seen=seen,
                observers=watching,
            )
            if resume and loop.resume():
                progress.note(f"Continuing after step {trainer.step:,}.")
                share_coordinates(dataset, trainer.gaussians)
            else:
                if overwrite:
                    run.remove_results()
                write_json(run.config, config.to_json())
            # Now, and not only after hours, when the results say so again.
            unseen_views = unseen(trainer.gaussians, dataset.train)
            if text := complaint(unseen_views, len(dataset.train), "training"):
                progress.note(f"warning: {text}")
            watching.started(trainer, dataset, run)
            totals = loop.fit()
            watching.finished(trainer)
        result = trainer.parts.coded(trainer.gaussians.detached(), run)
        result = keep_usable(result, run.point_cloud, strict=False)
        if not result.num:
            raise NumericalError(
                "no Gaussian can be rendered any more. Smaller learning rates (--config) may help; --resume "
                "goes on from the last checkpoint."
            )
        dropped = trainer.num_gaussians - result.num
        export_verified(run.point_cloud, result)
        write_part_results(run.parts, trainer.parts.result())
        trainer.parts.keep(run)
        _keep_cameras(run, config, trainer, dataset, note)
        costs = {
            "steps": trainer.step,
            "train_seconds": totals.train_seconds,
            "train_cpu_seconds": totals.cpu_seconds,
            "rollbacks": totals.rollbacks,
            "dropped": dropped,
            "peak_memory_bytes": peak_memory_bytes(),
        }
        if device.type == "cuda":
            costs["peak_device_memory_bytes"] = torch.cuda.max_memory_allocated(device)
        return write_results(run, config, dataset, result, costs)


def _keep_cameras(
    run: RunFolder, config: TrainConfig, trainer: Trainer, dataset: Dataset, note: Callable[[str], None]
) -> None:
    try:
        if write_learnt_model(run, config, trainer.parts, dataset.train):
            note(f"cameras {run.sparse / '0'}")
    except DataError as error:
        note(f"warning: the cameras that were learnt cannot be written as a COLMAP model: {error}")


def rendered_views(config: TrainConfig, dataset: Dataset) -> RenderedViews:
    """The training views as the density control may look at them."""
    return RenderedViews(
        dataset.train,
        config.sh_degree,
        config.drawn,
        dataset.points.xyz,
        dataset.sightings,
        backdrop(test_background(config), torch.device("cpu")),
    )


def resolution(config: TrainConfig, dataset: Dataset) -> Callable[[int], int]:
    """By which factor the photograph of a step is shrunk."""
    if config.resolution is None:
        return lambda step: 1
    return ResolutionSchedule(config.resolution, dataset.train)


def time_left(
    trainer: Trainer, views: Sequence[View], factor_at: Callable[[int], int], seen: Dilation
) -> TimeLeft:
    """What foresees the end of a run on these photographs."""
    whole = sum(view.camera.width * view.camera.height for view in views) / len(views)

    def pixels_at(step: int) -> float:
        factor = factor_at(step)
        return 1 / (factor * seen.every_at(step, whole / factor**2, factor)) ** 2

    density = trainer.parts.find(Density)
    grows_until, most = (0, None) if density is None else (density.strategy.ends, density.strategy.most)
    return TimeLeft(trainer.config.last_step, pixels_at, grows_until, most)


def quick_scores(trainer: Trainer, dataset: Dataset) -> dict[str, float]:
    """PSNR and SSIM over a few test views, for the curve of the report."""
    views = dataset.test[:: max(len(dataset.test) // MEASURED_VIEWS, 1)][:MEASURED_VIEWS]
    if not views:
        return {}
    gaussians, config = trainer.gaussians.detached(), trainer.config
    compared = AtTest(trainer.parts, dataset.train)
    scored = list(evaluate(gaussians, views, test_background(config), compared))
    return {
        "test_psnr": mean(result.psnr for result in scored),
        "test_ssim": mean(result.ssim for result in scored),
    }


def choose_device(name: str) -> torch.device:
    """The device for `--device`: `auto` takes the GPU when there is one that this build supports.

    Raises:
        UsageError: `cuda` was asked for and is not there.
    """
    usable = torch.cuda.is_available() and _built_with_cuda()
    if name == "cuda" and not usable:
        reason = (
            "this build has no CUDA backend" if torch.cuda.is_available() else "PyTorch sees no CUDA device"
        )
        raise UsageError(
            f"--device cuda: {reason}. Use --device cpu; `gsplat-core doctor` shows what is installed."
        )
    return torch.device("cuda" if usable and name != "cpu" else "cpu")


def _built_with_cuda() -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key("gsplat_core::composite", "CUDA")
