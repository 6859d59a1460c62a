"""A scene to train on: posed views with their images, split into training and test, and points."""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gsplat_core.errors import DataError, ResourceError, UsageError
from gsplat_core.io.source import file_sha256
from gsplat_core.memory import memory_bytes
from gsplat_core.scene.cameras import NEAR_PER_DISTANCE, Camera, Matrix
from gsplat_core.scene.capture import Capture, capture_from_colmap
from gsplat_core.scene.colmap import find_models, read_model
from gsplat_core.scene.coverage import Coverage, coverages
from gsplat_core.scene.images import (
    BYTES_PER_PIXEL,
    JPEG_ENDINGS,
    AlphaRule,
    Pixels,
    most_pixels,
    read_header,
    reduction_to,
    shrink,
)
from gsplat_core.scene.imports.registry import find_import, with_points
from gsplat_core.scene.mask_files import with_masks
from gsplat_core.scene.masks import Kept, unmixed
from gsplat_core.scene.optics import camera_of, has_blind_pixels, lit_pixels
from gsplat_core.scene.origin import far_offset
from gsplat_core.scene.photos import Photo, count_unused, image_folder, inspect, locate, named_below
from gsplat_core.scene.scale import SceneScale, published_extent, scene_scale
from gsplat_core.scene.transforms import find_transforms, read_transforms
from gsplat_core.scene.undistort import (
    UNDISTORTED_BYTES,
    undistort,
    undistorted_camera,
    undistorted_image,
    undistorts,
    working_reduction,
)

Distortion = Literal["undistort", "keep"]


class Points(NamedTuple):
    """Sparse points: ``xyz`` [P, 3] float32 in the world, ``rgb`` [P, 3] float32 in [0, 1]. P may be 0."""

    xyz: Tensor
    rgb: Tensor


class View:
    """A camera and the photograph it took. The image is decoded when first asked for and then kept.

    A view can be pickled, with what was decoded so far, if `load` and `load_mask` can be.

    Args:
        camera: of the photograph's size.
        load: makes its pixels [H, W, 3], or [H, W, 4] with alpha as `images.decode` says.
        load_mask: makes [H, W] bool, True for the pixels that count; None where all do.
        files: what its pixels are made from; empty where they come from elsewhere.
    """

    def __init__(
        self,
        camera: Camera,
        load: Callable[[], Pixels],
        load_mask: Callable[[], Kept] | None = None,
        files: Sequence[Path] = (),
    ) -> None:
        self.camera = camera
        self.files = tuple(files)
        self._load = load
        self._load_mask = load_mask
        self._image: Tensor | None = None
        self._alpha: Tensor | None = None
        self._mask: Tensor | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:  # another thread may be decoding
            return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.camera.name

    @property
    def photo(self) -> Photo | None:
        """The photograph that its pixels are made from; None where they come from elsewhere."""
        return self._load.photo if isinstance(self._load, _Pixels) else None

    def image(self) -> Tensor:
        """[H, W, 3] uint8 RGB on the CPU. Safe to call from several threads.

        Black where it is masked out; on black where `alpha` is there.

        Raises:
            DataError: the file changed since the dataset was loaded, or is damaged inside.
        """
        with self._lock:
            if self._image is None:
                pixels = self._load()
                self._check(pixels.shape[:2])
                if pixels.shape[2] == 4:
                    self._alpha = torch.from_numpy(np.array(pixels[..., 3], order="C"))
                image = torch.from_numpy(np.array(pixels[..., :3], order="C"))
                if (mask := self._kept()) is not None:
                    image[~mask] = 0
                    if self._alpha is not None:
                        self._alpha[~mask] = 255
                self._image = image
            return self._image

    def alpha(self) -> Tensor | None:
        """[H, W] uint8, how opaque the photograph is, where its transparency was kept and it has any.

        On a background b in [0, 1] the photograph is image / 255 + b * (1 - alpha / 255).
        """
        self.image()
        return self._alpha

    def mask(self) -> Tensor | None:
        """[H, W] bool, True for the pixels that count; None where all do. As `image`."""
        with self._lock:
            return self._kept()

    def _kept(self) -> Tensor | None:
        if self._mask is None and self._load_mask is not None:
            kept = self._load_mask()
            self._check(kept.shape)
            self._mask = torch.from_numpy(np.array(kept, order="C"))
        return self._mask

    def sha256(self) -> str:
        """Of the photograph's content: of its files as they are now, or of its pixels where it has none.

        Raises:
            DataError: a file cannot be read.
        """
        if self.files:
            return hashlib.sha256(b"".join(_photograph_sha256(file) for file in self.files)).hexdigest()
        planes = (self.image(), self.alpha(), self.mask())
        parts = (b"-" if plane is None else plane.numpy().tobytes() for plane in planes)
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    @property
    def is_masked(self) -> bool:
        """Whether `mask` is there; without reading it."""
        return self._load_mask is not None

    def _check(self, size: tuple[int, ...]) -> None:
        if size != (self.camera.height, self.camera.width):
            raise DataError(self.name, "the image changed its size while in use", remedy="Start again.")

    def __repr__(self) -> str:
        return f"View({self.name!r}, {self.camera.width}x{self.camera.height})"


@dataclass
class Dataset:
    """A scene to train on.

    Attributes:
        train, test: views in name order; every ``test_every``-th of all of them is a test view.
        points: initial points.
        scale: the lengths that sizes and steps are measured against, from the training views.
        offset: [3] float64; what was subtracted from the capture's coordinates. Zero unless the capture lies
            so far from the origin that float32 would lose detail.
        sightings: for each training view the rows of `points` that it sees, ascending (COLMAP's tracks);
            empty where the capture does not say.
        warnings: everything left out or adapted, a sentence each.
    """

    train: list[View]
    test: list[View]
    points: Points
    scale: SceneScale
    offset: Matrix = field(default_factory=lambda: np.zeros(3))
    sightings: list[Tensor] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @staticmethod
    def load(
        path: str | os.PathLike[str],
        downscale: float = 1.0,
        test_every: int = 8,
        model: str | os.PathLike[str] | None = None,
        images: str | os.PathLike[str] | None = None,
        alpha: AlphaRule | Literal["mask"] = "black",
        exif_rotate: bool = False,
        require_points: bool = False,
        strict: bool = False,
        prefetch: bool = True,
        masks: str | os.PathLike[str] | None = None,
        distortion: Distortion = "undistort",
    ) -> Dataset:
        """Loads a folder with a COLMAP model (``images/`` and ``sparse/0/``), a ``transforms.json``, or the
        ``transforms_train.json`` and ``transforms_test.json`` of NeRF's synthetic scenes.

        The folder is never written to.

        Photographs of lenses with distortion are made photographs of pinhole cameras on the way (the result
        is kept in the user's cache folder), or are used as they are, with cameras that have the distortion.

        Args:
            path: the capture's folder, or a transforms.json by any name.
            downscale: images are shrunk by this factor (>= 1), sides rounded to whole pixels.
            test_every: of the views in name order, numbers 0, n, 2n, ... are the test split, unless the
                capture has its own (NeRF's synthetic scenes, nerfstudio's lists); 0 for no test split.
            model: which COLMAP model, where there are several; by default the one with the most images.
            images: the image folder, relative to ``path`` or not; by default ``images`` and the like.
            alpha: how transparency is resolved: composited on "black" or "white", "ignore", "mask":
                what is more transparent than not does not count, or "keep": then `View.alpha` has it.
            exif_rotate: turn photographs as their EXIF data ask for, where they fit their camera that way.
            require_points: without 3D points, fail rather than start from random ones.
            strict: fail on the first image that cannot be decoded, and on the first record of the model that
                cannot be used, rather than leave it out.
            prefetch: decode all images in background threads at once.
            masks: a folder of masks (`scene/masks.py`), relative to ``path`` or not; "none" for no masks. By
                default those that a transforms.json names, and those of a folder ``masks``.
            distortion: "undistort"; or "keep", where the rasterizer has the lens (`scene.optics.camera_of`):
                others are undistorted with a warning.

        Raises:
            DataError: the capture is missing, damaged or has fewer than two usable images.
            ResourceError: the decoded images do not fit into memory.
            UsageError: an option is out of range.
        """
        if not downscale >= 1:
            raise UsageError(f"downscale must be at least 1, not {downscale}")
        if test_every < 0 or test_every == 1:
            raise UsageError(f"test_every must be 0 (no test views) or at least 2, not {test_every}")
        scene = Path(path)
        capture = read_capture(scene, model, strict)
        warnings = capture.warnings
        if require_points and not len(capture.xyz):
            raise DataError(capture.source, "there are no 3D points, and they are required")

        shots = sorted(capture.shots, key=lambda shot: shot.name)
        base = scene if scene.is_dir() else scene.parent
        folder = image_folder(base, shots, images or capture.image_root)
        if images is not None and capture.image_root is not None:
            shots = named_below(folder, shots)
        located = locate(folder, shots, warnings)
        count_unused(folder, base, located, warnings)
        photos = inspect(located, exif_rotate, strict, warnings)
        photos = with_masks(photos, base, folder, masks, warnings)
        if alpha == "mask":
            photos, alpha = [_opaque_only(photo) for photo in photos], "ignore"
            count = sum(photo.opaque_only for photo in photos)
            warnings.append(f"Transparency of {count} of {len(photos)} photographs is used as their mask.")
        if len(photos) < 2:
            listing = "; ".join(warnings[-5:])
            raise DataError(folder, f"{len(photos)} usable images, at least 2 are needed ({listing})")

        is_test = _is_test(capture, photos, test_every)
        # Of all that the model has, so that it is the same for any split and any photographs that are there.
        offset = far_offset(np.stack([shot.center for shot in shots]), capture.xyz)
        if offset.any():
            place = ", ".join(f"{value:.12g}" for value in offset)
            warnings.append(
                f"The scene is far from the origin; ({place}) is subtracted from all its coordinates. The "
                "run keeps the offset, and `export --coordinates original` adds it again."
            )
        if distortion == "keep":
            _warn_of_lenses(photos, warnings)
        keep = distortion == "keep"
        loaders = [_Pixels(photo, _camera(photo, offset, downscale, keep), alpha) for photo in photos]
        views = [_view(pixels) for pixels in loaders]
        train = [view for view, test in zip(views, is_test, strict=True) if not test]
        sightings = [capture.sightings.get(view.name, np.zeros(0, np.int64)) for view in train]
        scale = scene_scale([view.camera for view in train], capture.xyz - offset, sightings)
        _warn_of_poses(scale, train, warnings)
        for view in views:
            view.camera = replace(view.camera, near=NEAR_PER_DISTANCE * scale.length)
        dataset = Dataset(
            train=train,
            test=[view for view, test in zip(views, is_test, strict=True) if test],
            points=Points(
                torch.from_numpy((capture.xyz - offset).astype(np.float32)),
                torch.from_numpy(capture.rgb.astype(np.float32) / 255),
            ),
            scale=scale,
            offset=offset,
            sightings=[torch.from_numpy(rows) for rows in sightings],
            warnings=warnings,
        )
        _check_memory(views, [pixels.peak_bytes for pixels in loaders])
        if prefetch:
            dataset.prefetch()
        return dataset

    def move_to(self, offset: Sequence[float]) -> None:
        """Gives cameras and points the coordinates whose origin lies at `offset` [3] in the capture's own."""
        shift = np.array(offset, np.float64) - self.offset
        if not shift.any():
            return
        for view in [*self.train, *self.test]:
            viewmat = view.camera.viewmat.copy()
            viewmat[:3, 3] += viewmat[:3, :3] @ shift
            view.camera = replace(view.camera, viewmat=viewmat)
        self.points.xyz.copy_((self.points.xyz.double() - torch.from_numpy(shift)).float())
        self.offset = self.offset + shift
        self.scale = replace(self.scale, center=self.scale.center - shift)

    @property
    def scene_extent(self) -> float:
        """Of 3DGS: 1.1 times the largest distance of a training camera from their mean, in scene units."""
        return self.scale.published

    @cached_property
    def coverage(self) -> list[Coverage]:
        """Where each training photograph shows points and where none."""
        return coverages([view.camera for view in self.train], self.points.xyz.double().numpy())

    def prefetch(self) -> None:
        """Starts to decode all images in background threads; returns at once.

        A file that fails there fails again, with its error, when its view's image is asked for.
        """
        waiting = deque([*self.train, *self.test])

        def work() -> None:
            while waiting:
                try:
                    waiting.popleft().image()
                except (IndexError, DataError, OSError):
                    continue

        # Daemons, so that an interrupted program does not wait for the rest of the images. But the image that
        # a thread is at is finished: the interpreter may not go away under a thread that is inside PyTorch.
        threads = [
            threading.Thread(target=work, name="gsplat-decode", daemon=True)
            for _ in range(min(len(waiting), os.cpu_count() or 1))
        ]

        def stop() -> None:
            waiting.clear()
            for thread in threads:
                thread.join()

        for thread in threads:
            thread.start()
        atexit.register(stop)


def read_capture(scene: Path, model: str | os.PathLike[str] | None, strict: bool) -> Capture:
    """What a path names: COLMAP where there is a model; otherwise transforms.json, then what other programs
    export. A path to a .json file names that file.

    Args:
        model, strict: as for :meth:`Dataset.load`.

    Raises:
        DataError: it is missing or damaged.
    """
    if scene.suffix == ".json" and scene.is_file():
        return read_transforms(scene, strict)
    if model is None and not find_models(scene):
        if (transforms := find_transforms(scene)) is not None:
            return read_transforms(transforms, strict)
        if (found := find_import(scene)) is not None:
            program, path = found
            return with_points(program.read(path, strict), scene, strict)
    return capture_from_colmap(read_model(scene, model, strict))


def _is_test(capture: Capture, photos: list[Photo], test_every: int) -> npt.NDArray[np.bool_]:
    """[N] which photographs are tested: those that the capture says, or every so many."""
    if not test_every:
        return np.zeros(len(photos), bool)
    own = [photo.shot.is_test for photo in photos]
    if None in own:
        return np.arange(len(photos)) % test_every == 0
    is_test = np.array(own, bool)
    capture.warnings.append(
        f"{capture.source}: its own split is used, {np.sum(~is_test)} images to train on and "
        f"{np.sum(is_test)} to test; --test-every 0 trains on all."
    )
    if is_test.all():
        raise DataError(capture.source, "its split leaves no image to train on")
    return is_test


def _camera(photo: Photo, offset: Matrix, downscale: float, keep: bool) -> Camera:
    shot, lens = photo.shot, photo.shot.lens
    viewmat = shot.viewmat.copy()
    viewmat[:3, 3] += viewmat[:3, :3] @ offset
    known = camera_of(lens) if keep or lens.is_pinhole or lens.is_panorama else None
    if known is not None:
        model, coefficients = known
        full = Camera(viewmat, lens.K, lens.width, lens.height, shot.name, model=model, lens=coefficients)
    else:
        full = undistorted_camera(lens, viewmat, shot.name)
    return full.resized(max(1, round(full.width / downscale)), max(1, round(full.height / downscale)))


def _warn_of_lenses(photos: list[Photo], warnings: list[str]) -> None:
    others = Counter(photo.shot.lens.model.name for photo in photos if camera_of(photo.shot.lens) is None)
    warnings.extend(
        f"{count} photographs are undistorted although their distortion was to be kept: there is no camera "
        f"for their lens ({name} with these coefficients)."
        for name, count in others.items()
    )


def view_of(photo: Photo, alpha: AlphaRule | Literal["mask"] = "black") -> View:
    """A photograph by itself, undistorted; see `Dataset.load` for what becomes of its transparency."""
    if alpha == "mask":
        photo, alpha = _opaque_only(photo), "ignore"
    return _view(_Pixels(photo, _camera(photo, np.zeros(3), 1.0, keep=False), alpha))


def _opaque_only(photo: Photo) -> Photo:
    """The photograph, of which nothing counts that is more transparent than not."""
    return replace(photo, opaque_only=read_header(photo.path).transparent)


def _view(pixels: _Pixels) -> View:
    photo, camera = pixels.photo, pixels.camera
    files = [photo.path] if photo.mask is None else [photo.path, photo.mask]
    masked = photo.is_masked or has_blind_pixels(camera)
    return View(camera, pixels, _Kept(photo, camera) if masked else None, files)


def _photograph_sha256(path: Path) -> bytes:
    try:
        return file_sha256(path)
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Loads a photograph as a camera sees it, without what is masked out. An object, not a closure, so that a
    view can be pickled."""

    photo: Photo
    camera: Camera
    alpha: AlphaRule

    def __call__(self) -> Pixels:
        if not self.undistorts:
            pixels = self.photo.decode(self.alpha, (self.camera.width, self.camera.height))
        else:
            pixels = undistorted_image(self.photo, self.camera, self.alpha)
        if not self.photo.is_masked:
            return pixels
        return unmixed(pixels, _Kept(self.photo, self.camera).share())

    @property
    def undistorts(self) -> bool:
        return undistorts(self.photo, self.camera)

    @property
    def peak_bytes(self) -> int:
        """About the memory that loading takes meanwhile."""
        lens, size = self.photo.shot.lens, (self.camera.width, self.camera.height)
        pixels = lens.width * lens.height
        if not self.photo.is_masked and self.photo.path.suffix.lower() in JPEG_ENDINGS:
            pixels //= reduction_to((lens.width, lens.height), size) ** 2
        if not self.undistorts:
            return BYTES_PER_PIXEL * pixels
        factor = working_reduction(lens, self.camera) if not self.photo.is_masked else 1
        return max(BYTES_PER_PIXEL * pixels, UNDISTORTED_BYTES * lens.width * lens.height // factor**2)


@dataclass(frozen=True, eq=False)
class _Kept:
    """Loads a photograph's mask as a camera sees it, without what its lens leaves dark; as `_Pixels`."""

    photo: Photo
    camera: Camera

    def share(self) -> Pixels:
        """[H, W] how much of each pixel is kept; 255 is all."""
        lens = self.photo.shot.lens
        white = 255 * np.asarray(self.photo.kept(), np.uint8)
        seen = undistort(white, lens) if undistorts(self.photo, self.camera) else white
        return shrink(seen, self.camera.width, self.camera.height)

    def __call__(self) -> Kept:
        kept: Kept = np.ones((self.camera.height, self.camera.width), bool)
        if self.photo.is_masked:
            kept = self.share() >= 128
        return kept & lit_pixels(self.camera) if has_blind_pixels(self.camera) else kept


def _warn_of_poses(scale: SceneScale, views: list[View], warnings: list[str]) -> None:
    if not published_extent(np.stack([view.camera.center for view in views])):
        warnings.append("All training cameras are at one place: photographs from there do not tell depths.")
    if scale.outliers:
        names = ", ".join(views[index].name for index in scale.outliers[:3])
        warnings.append(
            f"{len(scale.outliers)} of {len(views)} training cameras stand far away from all others "
            f"and from what they see ({names}); the reconstruction may have misplaced them."
        )


def _check_memory(views: list[View], loading: list[int]) -> None:
    """Refuses to start what would end in the middle of training.

    Args:
        loading: bytes that loading each photograph takes meanwhile.

    Raises:
        ResourceError: the decoded images, or decoding them, need more than the memory that is free.
    """
    free = memory_bytes()[1]
    if free is None:
        return
    usable = int(0.9 * free)  # a part is for the program itself
    kept = sum((3 + view.is_masked) * view.camera.width * view.camera.height for view in views)
    # As many at a time as there are threads, but no more than `room_for` lets in; the largest, always.
    several = sum(sorted(loading)[-(os.cpu_count() or 1) :])
    decoding = max(max(loading), min(several, BYTES_PER_PIXEL * most_pixels()))
    if kept > usable:
        factor = int(np.ceil((kept / (0.5 * free)) ** 0.5))
        raise ResourceError(
            f"The {len(views)} decoded images need {_gib(kept)} of memory, but only "
            f"{_gib(usable)} can be used. Shrink them {factor} times more (--downscale)."
        )
    if kept + decoding > usable:
        largest = views[loading.index(max(loading))].name
        raise ResourceError(
            f"Decoding the photographs needs {_gib(decoding)} of memory, the {len(views)} images "
            f"{_gib(kept)}, but only {_gib(usable)} can be used. Store those as large as "
            f"{largest!r} smaller, or as JPEG, of which only a part is decoded; or free some memory."
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**29 else f"{size / 2**20:.1f} MiB"
