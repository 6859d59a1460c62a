"""`gsplat-core localize`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.apps.localize import DEFAULT, Config
from gsplat_core.errors import DataError, NumericalError, UsageError
from trainers.options import OptionalCount, OptionalFolder, OptionalNumber, optional
from trainers.paths import must_be_scene, must_exist

Intrinsics = tuple[float, float, float, float]
NEAREST = 4


def localize(
    source: Positional[Annotated[Path, arg(metavar="RUN|FILE")]],
    image: Annotated[Path, arg(metavar="PHOTO|FOLDER")],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")],
    settings: Annotated[Config, arg(name="")] = DEFAULT,
    init: Annotated[Path | None, optional("POSE.json")] = None,
    init_nearest: OptionalCount = None,
    matches: Annotated[Path | None, optional("M.npy")] = None,
    focal: OptionalNumber = None,
    intrinsics: Annotated[Intrinsics | None, optional("FX FY CX CY")] = None,
    colmap: bool = False,
    scene: OptionalFolder = None,
    images: OptionalFolder = None,
    device: Literal["cpu", "cuda", "auto"] = "auto",
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
) -> None:
    """Find where photographs were taken, in a run or a splat file, and how certain that is.

    Writes transforms.json with the poses that were found, metrics.json, and for each photograph a picture of
    it, of the scene from its pose, and of their difference. It fails if a pose is not found; those that are
    found are written nevertheless.

    Args:
        source: run folder or splat file.
        image: a photograph, or a folder of them.
        output: folder to write.
        settings: how the pose is found.
        init: where the search starts: a transforms.json with this photograph or with only one, or one frame
            of such a file (default: as --init-nearest).
        init_nearest: start from so many training cameras, those from where the scene looks most like the
            photograph (default: 4).
        matches: start from correspondences, rows of numbers: pixels of the photograph (x, y), and the pixels
            of a rendering from the pose of --init that show the same, or the points (x, y, z) that they show.
        focal: focal length in pixels (default: that of the run's photographs of this shape; or else what the
            photograph's EXIF data say).
        intrinsics: focal lengths and principal point in pixels, of a photograph without distortion.
        colmap: write the poses as a COLMAP model, too, as text in sparse/0.
        scene: the photographs of the scene (default: those of the run).
        images: the folder of these photographs, if it is not the usual one.
        device: where to compute; auto takes a GPU when there is one.
        read: an option of reading a file, such as axes=ply for .spz (may be repeated).
    """
    must_be_scene(source)
    must_exist(image, init, matches, scene)
    if init is not None and init_nearest is not None:
        raise UsageError("--init and --init-nearest exclude each other.")
    if init_nearest is not None and init_nearest < 1:
        raise UsageError(f"--init-nearest must be at least 1, not {init_nearest}.")
    if focal is not None and not 0 < focal < 1e9:
        raise UsageError(f"--focal must be positive, not {focal}.")
    if output.is_file():
        raise UsageError(f"{output} is a file; choose another name for the folder.")
    from gsplat_core.io.links import make_folder
    from gsplat_core.strict_json import write_json
    from trainers.coordinates import share_coordinates
    from trainers.localizing import Localizing, photographs_in
    from trainers.media import png_names
    from trainers.messages import say, warn
    from trainers.query import query_photo
    from trainers.session import choose_device
    from trainers.sources import load_scene, photographs_of
    from trainers.waiting import counted

    files = photographs_in(image)
    if matches is not None and len(files) > 1:
        raise UsageError("--matches are those of one photograph: name it alone.")
    gaussians = load_scene(source, warn, list(read)).detached().to(choose_device(device))
    if not gaussians.num:
        raise DataError(source, "there are no Gaussians in it")
    dataset, config = photographs_of(source, scene, images)
    if dataset is not None:
        share_coordinates(dataset, gaussians)
    elif init is None:
        raise UsageError("A splat file alone has no cameras to start from: add --init POSE.json or --scene.")
    work = Localizing(gaussians, dataset, config, settings, init, init_nearest or NEAREST, matches)
    photos = [query_photo(file, dataset, config, focal, intrinsics) for file in files]
    make_folder(output)
    for photo, picture in zip(
        counted(photos, "localizing", len(photos)), png_names([photo.view.name for photo in photos]),
        strict=True,
    ):  # fmt: skip
        say(work.localize(photo, output / picture))
    write_json(output / "transforms.json", work.transforms())
    write_json(output / "metrics.json", {"source": str(source.resolve()), "photographs": work.measured})
    if colmap:
        work.write_colmap(output)
    lost = len(photos) - len(work.found)
    say(f"{len(work.found)} of {len(photos)} photographs were found", f"wrote {output}")
    if lost:
        raise NumericalError(
            f"{lost} of {len(photos)} photographs were not found, and nothing is claimed of them. Look at "
            "their pictures; start nearer (--init POSE.json) or from more cameras (--init-nearest 12), "
            "search wider (--starts 25 --cone 20), give correspondences (--matches M.npy), or check --focal."
        )
