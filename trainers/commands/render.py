"""`gsplat-core render`"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from gsplat_core.errors import DataError, UsageError
from trainers.options import (
    OptionalCount,
    OptionalFolder,
    OptionalFootprint,
    OptionalName,
    OptionalOrder,
    OptionalRenderer,
    optional,
)
from trainers.paths import must_be_scene

if TYPE_CHECKING:
    from torch import Tensor

    from gsplat_core.scene.cameras import Camera
    from gsplat_core.scene.dataset import Dataset
    from gsplat_core.scene.gaussians import Gaussians

PATHS = ("orbit", "test", "train")
ORBIT_FRAMES = 120
MOST = {"frames": 1_000_000, "fps": 1000, "width": 32768, "height": 32768}
UP = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1), "-x": (-1, 0, 0), "-y": (0, -1, 0), "-z": (0, 0, -1)}


def render(
    source: Positional[Path],
    output: Annotated[Path | None, optional("FILE|FOLDER", "-o")] = None,
    path: Annotated[str, arg(metavar="{orbit,test,train}|FILE")] = "orbit",
    scene: OptionalFolder = None,
    images: OptionalFolder = None,
    what: Literal["color", "depth", "normal"] = "color",
    frames: OptionalCount = None,
    fps: int = 30,
    width: OptionalCount = None,
    height: OptionalCount = None,
    up: Literal["x", "y", "z", "-x", "-y", "-z"] = "-y",
    background: Literal["black", "white"] = "black",
    device: Literal["cpu", "cuda", "auto"] = "auto",
    renderer: OptionalRenderer = None,
    order: OptionalOrder = None,
    footprint: OptionalFootprint = None,
    mesh_sequence: OptionalFolder = None,
    normal_mode: Literal["unit", "similar", "volume"] = "unit",
    still: OptionalName = None,
    frame: OptionalCount = None,
    read: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")] = (),
) -> None:
    """Render a run or a splat file along a camera path: a video, or a folder of PNG images.

    Args:
        source: run folder or splat file; or, with --frame, the folder of a sequence.
        output: a video (.mp4, .webm, .gif ...) or else a folder for images (default: orbit.mp4 in the run
            folder or beside the file, or called as the file of its path; for path test and train the folder
            render_test or render_train).
        path: orbit around the scene, the cameras of the photographs, or a path that was made with the path
            editor of view.
        scene: photographs whose cameras are used (default: those of the run; a bare file has none and is
            orbited about the middle of its Gaussians).
        images: the folder of these photographs, if it is not the usual one.
        what: the images show: colours; depth from blue (near) to red; or normals, whose directions to the
            right, upward and to the camera are red, green and blue.
        frames: number of images (default: 120 of an orbit, or as many as a path's seconds need).
        fps: frames per second of a video.
        width: of the images (default: that of the photographs or of the path's file, or 800).
        height: of the images (default: that of the photographs or of the path's file, or 600).
        up: direction that is up in a splat file without photographs (-y as in COLMAP).
        background: colour behind the scene.
        device: auto uses a GPU when there is one.
        renderer: how the scene is drawn: as splats, or as a density that rays are cast through (default: as
            it was trained; docs/raygauss.md).
        order: in which order a pixel blends Gaussians: by the depths of their centres, or each pixel by its
            own, which does not pop (default: as the scene was trained; docs/orders.md).
        footprint: what splat a camera makes of a Gaussian: by its linearization, or of sigma points, for wide
            lenses (default: as the scene was trained; docs/cameras.md).
        mesh_sequence: of a run that bind wrote: where its mesh goes, one file (.ply, .obj, .glb, or vertices
            as .npy) for each image in the order of their names; after the last comes the first again.
        normal_mode: how thick what hangs on a face becomes when the mesh stretches: as before, as the face
            grows, or so that its volume is the same.
        still: all images of the mesh sequence are seen from the camera of this photograph.
        frame: of a sequence that stream wrote: which one, from 0 on, or from -1 at the end backward.
        read: an option of reading a file, such as axes=ply for .spz, or antialiased=true for one that does
            not say so (may be repeated).
    """
    sizes = {"frames": frames, "fps": fps, "width": width, "height": height}
    for name, value in sizes.items():
        if value is not None and not 1 <= value <= MOST[name]:
            raise UsageError(f"--{name} must be from 1 to {MOST[name]:,}, not {value:,}.")
    if frame is not None:
        from trainers.sequence.sequence import frame_of

        source = frame_of(source, frame)
    must_be_scene(source)
    if path not in PATHS and not Path(path).is_file():
        raise UsageError(f"--path must be {', '.join(PATHS)} or the file of a path, not {path!r}.")
    if mesh_sequence is None and still is not None:
        raise UsageError("--still is for a scene that moves: add --mesh-sequence DIR.")
    if mesh_sequence is not None and what == "depth":
        raise UsageError("--mesh-sequence has no colours of depths; use --what color or normal.")
    from trainers import media
    from trainers.coordinates import share_coordinates
    from trainers.false_colors import DRAWINGS
    from trainers.keyed_path import KeyedPath
    from trainers.messages import say, warn
    from trainers.parts.results import AtTest
    from trainers.primitives import drawn_by
    from trainers.session import choose_device
    from trainers.sources import load_scene, photographs_of
    from trainers.visibility import complaint
    from trainers.waiting import counted

    gaussians = load_scene(source, warn, list(read)).detached().to(choose_device(device))
    if not gaussians.num:
        raise DataError(source, "there are no Gaussians to render")
    gaussians = drawn_by(gaussians, renderer)
    if order is not None:
        gaussians = gaussians.with_metadata(pixel_order=order == "pixel")
    if footprint is not None:
        gaussians = gaussians.with_metadata(unscented=footprint == "unscented")
    dataset, config = photographs_of(source, scene, images)
    if dataset is not None:
        share_coordinates(dataset, gaussians)
        at_test = AtTest.of(source, config, dataset, gaussians.device)
        for view in dataset.train:
            view.camera = at_test.camera(view)
    animation = None
    if mesh_sequence is not None:
        from trainers.animation import Animation

        animation = Animation.open(source, gaussians, mesh_sequence, normal_mode)
        frames = frames or len(animation)
    if still is not None:
        cameras = _one_camera(dataset, still, frames or 1)
    elif path in PATHS:
        cameras = _cameras(gaussians, dataset, path, frames or ORBIT_FRAMES, up)
    else:
        keyed = KeyedPath.read(Path(path))
        cameras = keyed.cameras(frames or max(round(keyed.seconds * fps), 1), Path(path))
    if width or height:
        cameras = [_resized(camera, width, height) for camera in cameras]
    empty = []

    def pictures() -> Iterator[Tensor]:
        draw = DRAWINGS[what](gaussians, cameras, background)
        for number, camera in enumerate(counted(cameras, "rendering", len(cameras))):
            if animation is not None:
                draw = DRAWINGS[what](animation.at(number), cameras, background)
            picture = draw(camera)
            if picture.empty:
                empty.append(camera.name)
            yield picture.shown

    folder = source if source.is_dir() else source.parent
    video = f"{Path(path).stem if path not in PATHS else path}.mp4" if still is None else "still.mp4"
    one_each = path in ("test", "train") and still is None
    target = output or folder / (f"render_{path}" if one_each else video)
    if media.is_video(target):
        media.write_video(target, pictures(), fps)
    else:
        files = media.png_names([camera.name for camera in cameras])
        for file, image in zip(files, pictures(), strict=True):
            media.save_png(target / file, image, below=output or folder)
    if problem := complaint(empty, len(cameras), path):
        warn(problem)
    say(f"wrote {target}: {len(cameras)} images")


def _cameras(gaussians: Gaussians, dataset: Dataset | None, path: str, frames: int, up: str) -> list[Camera]:
    import numpy as np

    from trainers import camera_paths

    if path == "orbit" and dataset is None:
        orbit = camera_paths.orbit_of_gaussians(gaussians, np.array(UP[up], dtype=np.float64))
        return orbit.cameras(frames, camera_paths.default_lens(800, 600))
    if dataset is None:
        raise UsageError(f"--path {path} needs the photographs' cameras: add --scene DATA.")
    if path == "orbit":
        cameras = [view.camera for view in dataset.train]
        first = cameras[0]
        # The cameras of a path are pinholes, and one cannot see what a fisheye lens or a panorama does.
        perspective = first.model in ("pinhole", "opencv")
        lens = first if perspective else camera_paths.default_lens(800, 600)
        return camera_paths.orbit_of_cameras(cameras).cameras(frames, like=lens)
    cameras = [view.camera for view in (dataset.test if path == "test" else dataset.train)]
    if not cameras:
        raise UsageError(f"there are no {path} views; use another --path.")
    return cameras


def _one_camera(dataset: Dataset | None, name: str, frames: int) -> list[Camera]:
    """That of a photograph, as many times."""
    if dataset is None:
        raise UsageError("--still needs the photographs' cameras: add --scene DATA.")
    for view in (*dataset.train, *dataset.test):
        if view.camera.name == name:
            return [replace(view.camera, name=f"still_{number:04d}") for number in range(frames)]
    raise UsageError(f"--still: there is no photograph {name!r}.")


def _resized(camera: Camera, width: int | None, height: int | None) -> Camera:
    """The camera with another image size; one side alone keeps the proportions.

    The picture is scaled to cover the new size and what hangs over is cut off, so nothing is distorted.
    """
    width = width or round(camera.width * (height or camera.height) / camera.height)
    height = height or round(camera.height * width / camera.width)
    scale = max(width / camera.width, height / camera.height)
    K = camera.K.copy()
    K[:2] *= scale
    K[0, 2] += (width - camera.width * scale) / 2
    K[1, 2] += (height - camera.height * scale) / 2
    return replace(camera, K=K, width=width, height=height)
