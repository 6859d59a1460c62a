"""Photographs on their way to poses: from where each is searched for, and what is told of it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gsplat_core.apps.localize import Config, Located, Query, localize
from gsplat_core.apps.localize_starts import from_matches, nearest
from gsplat_core.errors import DataError
from gsplat_core.io.links import make_folder
from gsplat_core.io.source import read_whole
from gsplat_core.losses import as_float
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera, Matrix
from gsplat_core.scene.colmap.model import SparsePoints
from gsplat_core.scene.colmap.write import posed, write_model
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.images import IMAGE_ENDINGS
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.pose_file import frame_of, read_pose
from trainers.config import TrainConfig
from trainers.evaluation import backdrop
from trainers.media import save_png
from trainers.query import QueryPhoto
from trainers.results import test_background


def photographs_in(path: Path) -> list[Path]:
    """A photograph, or those in a folder, in the order of their names.

    Raises:
        DataError: the folder has none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_ENDINGS)
    if not found:
        raise DataError(path, "there are no photographs in this folder")
    return found


class Localizing:
    """Localizes photographs, one by one.

    Args:
        scene: on the device to compute on.
        dataset: the photographs of the scene, in its coordinates, where there are any.
        config: of the run.
        settings: how poses are found.
        init: the file of poses to start from; None: start from
        count: training cameras from where the scene looks most like the photograph.
        matches: the file of correspondences to start from.

    Attributes:
        found: names, cameras at their poses in the original coordinates, of the photographs found so far.
        measured: what metrics.json says of each.
    """

    def __init__(
        self,
        scene: Gaussians,
        dataset: Dataset | None,
        config: TrainConfig,
        settings: Config,
        init: Path | None,
        count: int,
        matches: Path | None,
    ) -> None:
        self.scene, self.settings = scene, settings
        self.offset = np.array(scene.metadata.offset) if dataset is None else dataset.offset
        self.trained = [] if dataset is None else [view.camera.viewmat for view in dataset.train]
        self.background = backdrop(test_background(config), scene.device)
        self.init, self.count, self.matches = init, count, matches
        self.found: list[Camera] = []
        self.measured: list[dict[str, Any]] = []

    def localize(self, photo: QueryPhoto, picture: Path) -> str:
        """Finds a photograph, writes a picture of it, and returns a sentence.

        Raises:
            DataError: a file to start from cannot be used.
        """
        view = photo.view
        image = self._image(photo)
        camera, starts, start = self._started(view.camera, image)
        located = localize(
            self.scene, image, camera, starts, self.settings, mask=view.mask(), background=self.background
        )
        if located.converged:
            self.found.append(replace(camera, viewmat=_moved(located.viewmat.numpy(), -self.offset)))
        self.measured.append(_described(photo, located, start))
        save_png(picture, self._picture(Query(image, camera), located), below=picture.parent)
        lens = f"lens of {photo.lens_of}, start {start}"
        if not located.converged:
            return f"{view.name}: not found ({lens}): {located.problem}"
        return (
            f"{view.name}: found ({lens}), turned by {located.rotation_sd:.2g} degrees and away by "
            f"{located.position_sd:.2g} (standard deviations), {located.unexplained:.0%} unexplained"
        )

    def transforms(self) -> dict[str, Any]:
        """A transforms.json of what was found."""
        frames = [frame_of(camera) for camera in self.found]
        return {"camera_model": "PINHOLE", "frames": frames}

    def write_colmap(self, folder: Path) -> None:
        """Writes what was found as `sparse/0` in a folder, as text."""
        pinhole = LENS_MODEL_BY_NAME["PINHOLE"]
        lenses, images = {}, []
        for number, camera in enumerate(self.found, 1):
            K = camera.K
            numbers = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
            lenses[number] = Lens.from_params(pinhole, camera.width, camera.height, numbers)
            images.append(posed(number, number, camera.name, camera.viewmat))
        make_folder(folder / "sparse", folder)
        write_model(folder / "sparse" / "0", lenses, images, SparsePoints.none())

    def _image(self, photo: QueryPhoto) -> Tensor:
        """[H, W, 3] float32, in front of the background where it is transparent."""
        image, alpha = as_float(photo.view.image().to(self.scene.device)), photo.view.alpha()
        if alpha is None or self.background is None:
            return image
        return image + self.background * (1 - as_float(alpha.to(self.scene.device))[..., None])

    def _started(self, lens: Camera, image: Tensor) -> tuple[Camera, list[Matrix], str]:
        """The camera where the search starts, other starts instead of it, and what they are."""
        if self.init is None:
            found = nearest(self.scene, image, lens, self.trained, self.count, background=self.background)
            camera, starts, what = replace(lens, viewmat=found[0]), found, f"{len(found)} cameras"
        else:
            pose = _moved(read_pose(self.init, lens.name), self.offset)
            camera, starts, what = replace(lens, viewmat=pose), [], self.init.name
        if self.matches is None:
            return camera, starts, what
        rows = _matches(self.matches)
        if rows.shape[1] == 4 and self.init is None:
            raise DataError(
                self.matches, "these are pixels of a rendering, and nothing says from where",
                remedy="Add its pose: --init POSE.json.",
            )  # fmt: skip
        if rows.shape[1] == 5:
            rows = rows - np.array([0, 0, *self.offset])
        matched = from_matches(self.scene, camera, rows)
        if matched is None:
            raise DataError(
                self.matches, f"no pose agrees with more than a few of its {len(rows)} correspondences",
                remedy="Check their order, their size of images, and --focal.",
            )  # fmt: skip
        what = f"{matched.agreeing} of {matched.matches} correspondences"
        return replace(camera, viewmat=matched.viewmat), [matched.viewmat], what

    def _picture(self, query: Query, located: Located) -> Tensor:
        """[H, 3 W, 3] the photograph, the scene from where it was found, and their difference."""
        query = query.shrunk(self.settings.large)
        with torch.no_grad():
            seen = render(
                self.scene, query.camera_at(located.viewmat.numpy()), background=self.background
            ).colors[0]
        seen = (located.exposure.gain * seen + located.exposure.offset).clamp(0, 1)
        return torch.cat([query.image, seen, (seen - query.image).abs()], dim=1)


def _matches(path: Path) -> Matrix:
    """[M, 4] or [M, 5] numbers of a .npy file."""
    try:
        rows = np.asarray(np.load(io.BytesIO(read_whole(path)), allow_pickle=False), np.float64)
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise DataError(
            path, f"cannot be read as numbers: {error}", remedy="Save them by numpy.save."
        ) from None
    if rows.ndim != 2 or rows.shape[1] not in (4, 5) or not np.isfinite(rows).all():
        raise DataError(
            path, f"expected finite numbers [M, 4] or [M, 5], got {list(rows.shape)}",
            remedy="Each row: x, y in the photograph, and x, y in a rendering or x, y, z in the world.",
        )  # fmt: skip
    return rows


def _moved(viewmat: Matrix, offset: Matrix) -> Matrix:
    """A pose [4, 4] in coordinates whose origin lies at `offset` [3] in those that it has."""
    moved = np.array(viewmat, np.float64)
    moved[:3, 3] += moved[:3, :3] @ offset
    return moved


def _described(photo: QueryPhoto, located: Located, start: str) -> dict[str, Any]:
    """What metrics.json says of a photograph."""
    K = photo.view.camera.K
    told: dict[str, Any] = {
        "name": photo.view.name,
        "found": located.converged,
        "lens_of": photo.lens_of,
        "fl_x": K[0, 0],
        "fl_y": K[1, 1],
        "start": start,
        "unexplained": located.unexplained,
        "lm_steps": located.lm_steps,
    }
    if not located.converged:
        return {**told, "problem": located.problem}
    return {
        **told,
        "rotation_sd_degrees": located.rotation_sd,
        "position_sd": located.position_sd,
        "covariance": located.covariance.tolist(),
        "gain": located.exposure.gain,
        "offset": located.exposure.offset,
    }
