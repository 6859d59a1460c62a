"""The commands of `gsplat-core`: one module each, one line each in this registry.

A command is a function whose arguments tyro turns into options; its docstring is the help text. Modules are
imported when their command runs, so help and errors come at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from gsplat_core.apps.registry import APPS


class Command(NamedTuple):
    module: str
    function: str
    summary: str

    def load(self) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), self.function)
        return function


class AppCommand(NamedTuple):
    """The command of an application of `gsplat_core.apps`."""

    name: str
    summary: str

    def load(self) -> Callable[..., Any]:
        from trainers.commands.app import command_of

        return command_of(self.name)


def commands() -> dict[str, Command | AppCommand]:
    """All commands: those of this registry, then the applications."""
    return {**COMMANDS, **{name: AppCommand(name, app.summary) for name, app in APPS.items()}}


COMMANDS = {
    "train": Command("trainers.commands.train", "train", "fit a scene to photographs, with poses or without"),
    "reconstruct": Command(
        "trainers.commands.reconstruct",
        "reconstruct",
        "find where photographs or a video were taken from",
    ),
    "sfm": Command(
        "trainers.commands.sfm", "sfm", "find poses by optical flow, where there are few features"
    ),
    "stream": Command("trainers.commands.stream", "stream", "fit a moving scene frame by frame"),
    "eval": Command("trainers.commands.eval", "evaluate", "measure a run or splat file against photographs"),
    "render": Command("trainers.commands.render", "render", "images or a video along a camera path"),
    "localize": Command("trainers.commands.localize", "localize", "find where photographs were taken"),
    "export": Command("trainers.commands.export", "export", "write a run or file in another format"),
    "compose": Command(
        "trainers.commands.compose",
        "compose",
        "put scenes together, move them, cut out parts, choose by labels",
    ),
    "mesh": Command("trainers.commands.mesh", "mesh", "make a triangle mesh of a run or file"),
    "bind": Command("trainers.commands.bind", "bind", "hang a scene on a mesh, to move with it"),
    "compress": Command(
        "trainers.commands.compress",
        "compress",
        "make a run's scene small, at a quality or size of your choice",
    ),
    "ct": Command("trainers.commands.ct", "ct", "reconstruct a volume from X-ray projections"),
    "segment": Command("trainers.commands.segment", "segment", "give Gaussians the labels of masks"),
    "edit": Command("trainers.commands.edit", "edit", "change a region until it looks like edited pictures"),
    "info": Command("trainers.commands.info", "info", "what is in a splat file, a run or a photo folder"),
    "report": Command("trainers.commands.report", "report", "compare runs on one page"),
    "view": Command("trainers.commands.view", "view", "look at a run or splat file in the browser"),
    "bench": Command("trainers.commands.bench", "bench", "how fast the rasterizer is on this machine"),
    "doctor": Command("trainers.commands.doctor", "doctor", "what is installed, used and missing"),
}
