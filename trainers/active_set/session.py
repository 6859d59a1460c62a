"""A training run of a scene larger than memory, from photographs to results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gsplat_core.densify.registry import create
from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import export_pieces
from gsplat_core.io.pieces import Pieces
from gsplat_core.io.usable import usable_pieces
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.store.active import ActiveSet
from gsplat_core.store.filling import store_of
from gsplat_core.store.store import SceneStore, is_store
from gsplat_core.strict_json import write_json
from trainers.active_set.block import BYTES_PER_GAUSSIAN
from trainers.active_set.loop import Loop
from trainers.active_set.refusals import refuse_active_set
from trainers.background import with_background
from trainers.capacity import within_capacity
from trainers.config import TrainConfig
from trainers.coordinates import share_coordinates
from trainers.dilation import Dilation, refuse_dilation
from trainers.evaluation import evaluate, mean, picture
from trainers.messages import tell
from trainers.observer import Observer, Observers
from trainers.parts.part import Picture
from trainers.primitives import refuse_cameras
from trainers.progress import TrainingProgress, peak_memory_bytes
from trainers.results import test_background, write_results
from trainers.run_folder import RunFolder
from trainers.session import MEASURED_VIEWS, choose_device, resolution
from trainers.sources import load_photographs, load_scene_pieces
from trainers.start import initial_gaussians
from trainers.summary import summary
from trainers.waiting import counted


def train_active_set(
    config: TrainConfig,
    run: RunFolder,
    console: Console,
    resume: bool = False,
    overwrite: bool = False,
    observers: Sequence[Observer] = (),
) -> dict[str, Any]:
    """`trainers.session.train` for configurations that have an `active_set`; arguments and errors are the
    same, and `UsageError` where something needs the whole scene in memory."""

    def note(text: str) -> None:
        tell(console, text)

    assert config.active_set is not None
    refuse_active_set(config)
    most = int(config.active_set * 2**30) // BYTES_PER_GAUSSIAN
    watching = Observers(observers, lambda text: note(f"warning: {text}"))
    with run.owned(), run.crash_reports(), closing(watching):
        device = choose_device(config.device)
        dataset = load_photographs(config)
        note(summary(dataset, config.downscale))
        for warning in dataset.warnings:
            note(f"warning: {warning}")
        refuse_cameras(config.primitive, dataset)
        refuse_dilation(config, dataset.train)
        for view in counted(dataset.train, "reading photographs", len(dataset.train)):
            view.image()
        config = with_background(config, dataset)
        with closing(_store(config, run, dataset, resume, overwrite, note)) as store:
            share_coordinates(dataset, store.template)
            note(f"{store.num:,} Gaussians, of which up to {most:,} are in memory at a time, on {device}.")
            with TrainingProgress(config.steps, console) as progress:
                limited = within_capacity(config, dataset.train)
                loop = Loop(
                    limited, store, dataset, run, progress, most, _remedy(config), device,
                    lambda: _quick_scores(config, dataset, store, device),
                    resolution(config, dataset), Dilation(config), watching,
                )  # fmt: skip
                if store.facts:
                    loop.resume()
                    progress.note(f"Continuing after step {loop.passed.step:,}.")
                passed = loop.fit()
            result = usable_pieces(store.pieces(), run.point_cloud)
            num = export_pieces(run.point_cloud, result)
            costs = {
                "steps": passed.step,
                "train_seconds": passed.totals.train_seconds,
                "train_cpu_seconds": passed.totals.cpu_seconds,
                "rollbacks": 0,
                "dropped": store.num - num,
                "num_gaussians": num,
                "most_active_gaussians": passed.most_active,
                "peak_memory_bytes": peak_memory_bytes(),
            }
            if device.type == "cuda":
                costs["peak_device_memory_bytes"] = torch.cuda.max_memory_allocated(device)
            template = store.template.to(device)
            return write_results(run, config, dataset, template, costs, _drawn(store, device))


def _store(
    config: TrainConfig,
    run: RunFolder,
    dataset: Dataset,
    resume: bool,
    overwrite: bool,
    note: Callable[[str], None],
) -> SceneStore:
    """The store to train: that of the run that is resumed, or a new one with the first Gaussians."""
    if run.store.is_symlink():
        raise DataError(run.store, "this is a link, which nothing is written through", remedy="Remove it.")
    if resume and is_store(run.store):
        store = SceneStore(run.store, writable=True)
        if store.facts:
            return store
        store.close()  # the run was stopped before its first step
        overwrite = True
    if overwrite:
        if config.start is not None and Path(config.start).resolve().is_relative_to(run.path.resolve()):
            raise UsageError("--start names what --overwrite removes; choose another folder with -o.")
        run.remove_results()
    write_json(run.config, config.to_json())
    return store_of(run.store, _first_gaussians(config, dataset, note), moments=True)


def _first_gaussians(config: TrainConfig, dataset: Dataset, note: Callable[[str], None]) -> Pieces:
    """Those that `initial_gaussians` has, of a scene piece by piece."""
    limited = within_capacity(config, dataset.train)
    drawn = {
        "antialiased": config.antialiased, "eps2d": config.eps2d, "pixel_order": config.order == "pixel",
        "unscented": config.footprint == "unscented",
    }  # fmt: skip
    if config.start is None:
        return Pieces.of(initial_gaussians(limited, dataset, note)).mapped(
            lambda piece: piece.with_metadata(**drawn)
        )
    pieces = load_scene_pieces(Path(config.start), note, {}).mapped(
        lambda piece: (
            piece.with_sh_degree(config.sh_degree).with_primitive(config.primitive).with_metadata(**drawn)
        )
    )
    most = create(limited.strategy, limited.densify).most
    if most is not None and pieces.most > most:
        raise UsageError(
            f"--start: {config.start} has {pieces.most:,} Gaussians, more than the {most:,} allowed; use "
            f"--max-gaussians {pieces.most} or more."
        )
    return pieces


def _remedy(config: TrainConfig) -> str:
    assert config.active_set is not None
    return f"Give it more than --active-set {config.active_set:g}, or use smaller photographs of parts of it."


def _drawn(store: SceneStore, device: torch.device) -> Callable[[Gaussians, View, str], Picture]:
    """What makes the picture of a view, for as long as nothing is trained: of the scene in the store, only
    what the view shows is in memory."""
    active = ActiveSet(store)

    def drawn(_: Gaussians, view: View, background: str) -> Picture:
        return picture(active.look(view.camera).to(device), view.camera, background)

    return drawn


def _quick_scores(
    config: TrainConfig, dataset: Dataset, store: SceneStore, device: torch.device
) -> dict[str, float]:
    """PSNR and SSIM over a few test views, for the curve of the report."""
    views = dataset.test[:: max(len(dataset.test) // MEASURED_VIEWS, 1)][:MEASURED_VIEWS]
    if not views:
        return {}
    scored = list(evaluate(store.template, views, test_background(config), _drawn(store, device)))
    return {
        "test_psnr": mean(result.psnr for result in scored),
        "test_ssim": mean(result.ssim for result in scored),
    }
