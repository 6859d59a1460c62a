"""The first stage of a frame: the Gaussians of the frame before go to where they are now, as they are."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import torch

from gsplat_core import primitive
from gsplat_core.io import export_verified
from gsplat_core.losses import l1_dssim
from gsplat_core.optim import Adam
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.sequence.motion_field import MotionField
from trainers.background import with_background
from trainers.config import TrainConfig
from trainers.coordinates import share_coordinates
from trainers.evaluation import backdrop
from trainers.sequence.pieces import Frame, Piece
from trainers.sequence.settings import FrameConfig
from trainers.session import choose_device
from trainers.sources import load_photographs, load_scene
from trainers.views import Feed
from trainers.waiting import counted

MOVED = "moved.ply"
"""In the run of a frame: what its second stage starts with."""


class Motion(Piece):
    """Trains a motion field from the frame before, and lets the training start with what it moved."""

    def __init__(self, settings: FrameConfig) -> None:
        self._settings = settings

    def prepared(self, frame: Frame, config: TrainConfig) -> TrainConfig:
        if frame.previous is None or not self._settings.motion_steps:
            return config
        path = frame.run.path / MOVED
        if not path.exists():  # written whole or not at all, so it is what this stage would find again
            dataset = load_photographs(config)
            device = choose_device(config.device)
            before = load_scene(frame.start, frame.note).detached().to(device)
            share_coordinates(dataset, before)
            export_verified(path, moved(before, dataset, with_background(config, dataset), self._settings))
        return replace(config, start=str(path.resolve()))


def moved(
    before: Gaussians,
    dataset: Dataset,
    config: TrainConfig,
    settings: FrameConfig,
) -> Gaussians:
    """The scene of the frame before, moved so that it fits the photographs of this one.

    Args:
        config: of this frame: how it is drawn and compared.
    """
    field = MotionField(before.means, settings.field, config.seed)
    groups = [{"params": [p], "name": name, "whole": True} for name, p in field.named_parameters()]
    adam = Adam(groups, lr=settings.motion_rate, eps=1e-15)
    constant = {name: value.detach() for name, value in before.fields.items()}
    per_camera = primitive.get(before.primitive).per_camera
    steps = range(1, settings.motion_steps + 1)
    with closing(Feed(dataset.train, config.seed, before.device)) as feed:
        for step in counted(steps, "moving", len(steps)):
            background = _background(config, step, before.device)
            target = feed(step).on(background)
            means, quats = field(constant["means"], constant["quats"])
            context = {"viewmats": Cameras.of(target, before.device).viewmats} if per_camera else None
            shown = constant | {"means": means, "quats": quats}
            rendered = render(
                primitive.evaluate(shown, context, before.primitive), target, config.drawn,
                background=background,
            )  # fmt: skip
            loss = l1_dssim(target.compared(rendered.colors), target.image[None], config.lambda_dssim)
            adam.zero_grad()
            loss.backward()
            adam.step()
    with torch.no_grad():
        means, quats = field(constant["means"], constant["quats"])
    return replace(before, means=means.detach(), quats=quats.detach())


def _background(config: TrainConfig, step: int, device: torch.device) -> torch.Tensor | None:
    if config.background == "random":
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        return torch.rand(1, 3, generator=generator).to(device)
    return backdrop(config.background, device)
