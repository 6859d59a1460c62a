"""The command of an application: its source and output are the same for all, its options are its settings."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.apps.registry import APPS
from gsplat_core.errors import DataError, UsageError
from trainers.options import OptionalFolder, optional

ELEVATIONS = (-30, 15, 50)  # degrees

ARGUMENTS = """
The new file is read back before it takes its name; what became of the test views is printed, or how much
the images of an orbit differ where there are no photographs.

Args:
    source: run folder or splat file.
    output: file to write; its ending chooses the format.
    scene: the photographs (default: those of the run; without any, if the command can do so, an orbit
        around the scene is rendered instead).
    images: the folder of these photographs, if it is not the usual one.
    device: where to compute; auto takes a GPU when there is one.
    read: an option of reading a file, such as axes=ply for .spz, or antialiased=true for one that does
        not say so (may be repeated).
"""


def command_of(name: str) -> Callable[..., None]:
    """The function whose arguments become the options of `gsplat-core NAME`."""
    app = importlib.import_module(APPS[name].module)

    def command(
        source: Positional[Annotated[Path, arg(metavar="RUN|FILE")]],
        output: Annotated[Path, arg(aliases=["-o"], metavar="FILE")],
        config: Any,
        scene: OptionalFolder = None,
        images: OptionalFolder = None,
        device: Literal["cpu", "cuda", "auto"] = "auto",
        read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
    ) -> None:
        _apply(app, config, source, output, scene, images, device, read)

    settings = _with_plain_help(app.Config)
    command.__annotations__["config"] = Annotated[settings, arg(name="")]
    command.__defaults__ = (settings(), *(command.__defaults__ or ()))
    command.__doc__ = f"{app.__doc__}{ARGUMENTS}"
    return command


def _with_plain_help(settings: type[Any]) -> type[Any]:
    """The settings with options whose help shows nothing of Python's None where that is the default: their
    own texts say what it means."""
    open_ones = {field.name: field for field in dataclasses.fields(settings) if field.default is None}
    hints = get_type_hints(settings)
    body: dict[str, Any] = dict.fromkeys(open_ones)
    body["__annotations__"] = {
        name: Annotated[hints[name], optional("N" if int in get_args(hints[name]) else "X")]
        for name in open_ones
    }
    body |= {"__doc__": settings.__doc__, "__module__": settings.__module__}
    return dataclasses.dataclass(frozen=True)(type(settings.__name__, (settings,), body))


def _apply(
    app: Any,
    config: Any,
    source: Path,
    output: Path,
    scene: Path | None,
    images: Path | None,
    device: str,
    read: tuple[str, ...],
) -> None:
    from gsplat_core.io import export_verified, format_of
    from trainers.camera_paths import views_around
    from trainers.coordinates import share_coordinates
    from trainers.fidelity import ORBIT_SIZE, ORBIT_VIEWS, in_words
    from trainers.messages import say, warn
    from trainers.outputs import must_not_be_source
    from trainers.parts.results import AtTest
    from trainers.results import test_background
    from trainers.session import choose_device
    from trainers.sources import load_scene, photographs_of
    from trainers.waiting import busy

    format_of(output)
    must_not_be_source(output, [source])
    # What an application makes of rows that share their decoders are rows of their own.
    before = load_scene(source, warn, list(read)).detached().baked().to(choose_device(device))
    if not before.num:
        raise DataError(source, "there are no Gaussians in it")
    dataset, settings = photographs_of(source, scene, images)
    if dataset is not None:
        share_coordinates(dataset, before)
        at_test = AtTest.of(source, settings, dataset, before.device)
        cameras = [at_test.camera(view) for view in dataset.train]
    elif hasattr(app, "unphotographed"):
        config = app.unphotographed(config)
        cameras = views_around(before, ORBIT_VIEWS, ORBIT_SIZE, ELEVATIONS)
    else:
        raise UsageError("A splat file alone does not tell from where it is seen: add --scene DATA.")
    with busy("working"):
        after, done = app.run(before, cameras, config)
        export_verified(output, after)
    compared = {} if dataset is None else {"camera": at_test.camera}
    measured = in_words(before, after, dataset, test_background(settings), **compared)
    say(*done.split("\n"), measured, f"wrote {output}")
