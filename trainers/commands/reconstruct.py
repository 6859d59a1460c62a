"""`gsplat-core reconstruct`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from gsplat_core.errors import UsageError
from gsplat_core.ranges import ranges_of
from gsplat_core.sfm.settings import CameraModel, Mapper, Matcher, Quality, Settings, SingleCamera
from trainers.fields import check_option
from trainers.options import OptionalCount, OptionalFolder, optional
from trainers.paths import must_exist


def reconstruct(
    source: Positional[Annotated[Path, arg(metavar="PHOTOS|VIDEO")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="DATA")],
    quality: Quality = "medium",
    max_image_size: OptionalCount = None,
    frames: OptionalCount = None,
    matcher: Matcher = "auto",
    mapper: Mapper = "auto",
    camera_model: CameraModel = "OPENCV",
    single_camera: SingleCamera = "auto",
    seed: int = 0,
    train: bool = False,
    run: OptionalFolder = None,
    preset: Annotated[
        Literal["default", "fast", "tiny", "published"] | None, optional("{default,fast,tiny,published}")
    ] = None,
    overwrite: bool = False,
) -> None:
    """Find where photographs, or the frames of a video, were taken from, and the points that they show.

    Writes images/ and sparse/0/, as COLMAP leaves them, which `train` takes. Needs pycolmap: pip install
    'gsplat-core[sfm]'. An interrupted or failed reconstruction goes on with the same command; with other
    options, what they do not concern is kept (docs/reconstructing.md).

    Args:
        source: folder of photographs, or a video file. It is not changed.
        output: folder to write.
        quality: how large photographs are looked at, and how many features are kept: low 1000 pixels and
            2048 features, medium 1600 and 4096, high 2400 and 8192, extreme 4800 and 16384.
        max_image_size: pixels of the longer side, instead of the quality's.
        frames: how many of a video are used (default: by how far its camera went, from 40 to 300).
        matcher: which photographs are compared: all with all, neighbours in the order of names, neighbours
            by GPS, or those that look alike; auto: all with all up to 100, of a video neighbours in order.
        mapper: incremental places one after the other, global all at once; auto: global from 400 on.
        camera_model: COLMAP's name of the lens.
        single_camera: auto: photographs of one size, camera and focal length share a camera; yes: all do;
            folder: those of each folder; no: none.
        seed: of everything random.
        train: go on and train a scene, as `train DATA` does.
        run: run folder of --train (default: runs/NAME_OF_DATA).
        preset: of --train (default: default).
        overwrite: begin anew where there is a reconstruction.
    """
    must_exist(source)
    for option, value in {"--run": run, "--preset": preset}.items():
        if value is not None and not train:
            raise UsageError(f"{option} is for the training: add --train.")
    numbers = {"max_image_size": max_image_size, "frames": frames, "seed": seed}
    for name, allowed in ranges_of(Settings).items():
        check_option(name, numbers[name], allowed)
    from trainers.messages import say
    from trainers.next_steps import next_steps, quoted
    from trainers.reconstruction import reconstructed

    settings = Settings(camera_model, single_camera, quality, max_image_size, matcher, mapper, frames, seed)
    reconstructed(source, output, settings, overwrite)
    if not train:
        say(f"capture  {output}", *next_steps(("train", quoted(output), "make a scene of it")))
        return
    from trainers.commands.train import TrainOptions
    from trainers.commands.train import train as fit

    fit(TrainOptions(output, run, preset))
