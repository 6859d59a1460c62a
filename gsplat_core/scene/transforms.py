"""Reads transforms.json, the format of instant-ngp and nerfstudio, and the files of NeRF's synthetic scenes.

Poses are camera-to-world in OpenGL's convention: x right, y up, looking along -z. Intrinsics stand at the top
of the file or in each frame; the frame's count. Points are those of `ply_file_path`, in the same coordinates;
`applied_transform` and `applied_scale` tell what nerfstudio did to poses and points alike: it stays done.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Matrix
from gsplat_core.scene.capture import Capture, Shot
from gsplat_core.scene.capture_values import OutsideError, error, read_object, relative_path, viewmat
from gsplat_core.scene.images import IMAGE_ENDINGS
from gsplat_core.scene.point_ply import find_point_ply, read_point_ply
from gsplat_core.scene.rejects import Rejects
from gsplat_core.scene.transforms_lens import Intrinsics

# Tried in this order where a name has no ending.
_GUESSED_ENDINGS = [".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG", *sorted(IMAGE_ENDINGS)]
# The files of NeRF's synthetic scenes, by split.
_SYNTHETIC = {split: f"transforms_{split}.json" for split in ("train", "val", "test")}


def find_transforms(folder: Path) -> Path | None:
    """The file to read of a folder, or the folder itself if it is one of NeRF's synthetic scenes."""
    if (folder / "transforms.json").is_file():
        return folder / "transforms.json"
    return folder if (folder / _SYNTHETIC["train"]).is_file() else None


def read_transforms(path: Path, strict: bool = False) -> Capture:
    """The shots and points of a transforms.json, or of a folder with transforms_train.json and its like.

    Names of images are relative to the file's folder.

    A frame that cannot be used is left out and counted, unless `strict`.

    Raises:
        DataError: not such a file, or a value in it cannot be used; ``place`` is its JSON path.
    """
    if path.is_dir():
        return _read_synthetic(path, strict)
    root = read_object(path)
    warnings: list[str] = []
    shots = _shots(path, root, strict, warnings)
    shots = _split(path, root, shots, warnings)
    xyz, rgb = _points(path, root, strict, warnings)
    return Capture(path, shots, xyz, rgb, warnings=warnings, image_root=path.parent)


def _read_synthetic(folder: Path, strict: bool) -> Capture:
    """Training and test views from a file each; those of validation are not needed if there is a test."""
    files = {split: folder / name for split, name in _SYNTHETIC.items() if (folder / name).is_file()}
    test = "test" if "test" in files else "val"
    warnings: list[str] = []
    roots = {split: read_object(files[split]) for split in ("train", test) if split in files}
    by_split = {split: _shots(files[split], root, strict, warnings) for split, root in roots.items()}
    training = {shot.name for shot in by_split["train"]}
    testing = [shot for shot in by_split.get(test, []) if shot.name not in training]
    if twice := len(by_split.get(test, [])) - len(testing):
        warnings.append(f"{files[test]}: {twice} images are training images, too, and are not tested.")
    xyz, rgb = _points(files["train"], roots["train"], strict, warnings)
    shots = by_split["train"]
    if test in files:
        shots = [replace(shot, is_test=shot.name not in training) for shot in [*shots, *testing]]
    return Capture(files["train"], shots, xyz, rgb, warnings=warnings, image_root=folder)


def _shots(path: Path, root: dict[str, Any], strict: bool, warnings: list[str]) -> list[Shot]:
    frames = root.get("frames")
    if not isinstance(frames, list) or not frames:
        raise error(path, "frames", "must be a list with at least one frame")
    shots: dict[str, Shot] = {}
    rejects = Rejects(path, "frames", strict, least=min(2, len(frames)))
    repeated = 0
    for index, frame in enumerate(frames):
        place = f"frames[{index}]"
        try:
            shot = _shot(path, root, frame, place)
        except OutsideError:
            raise
        except DataError as problem:
            rejects.add(problem)
            continue
        if shot.name in shots:
            warnings.append(f"{path}: {place} names {shot.name!r} a second time and is left out.")
            repeated += 1
            continue
        shots[shot.name] = shot
    rejects.finish(len(shots) + repeated, warnings)
    if "fisheye_crop_radius" in root:
        warnings.append(f"{path}: fisheye_crop_radius is not used; a mask can leave out the same pixels.")
    return list(shots.values())


def _shot(path: Path, root: dict[str, Any], frame: Any, place: str) -> Shot:
    if not isinstance(frame, dict):
        raise error(path, place, "must be an object")
    name = _name(path, f"{place}.file_path", frame.get("file_path"))
    pose = viewmat(path, f"{place}.transform_matrix", frame.get("transform_matrix"))
    mask = _mask(path, f"{place}.mask_path", frame.get("mask_path"))
    return Shot(name, Intrinsics(path, root, frame, place).lens(path.parent / name), pose, mask)


def _name(path: Path, place: str, name: Any) -> str:
    """A frame's image, with the ending of its file where the name has none."""
    if not isinstance(name, str) or not name:
        raise error(path, place, "must be the image's path")
    name = relative_path(path, place, name)
    if not (path.parent / name).is_file():
        for ending in _GUESSED_ENDINGS:
            if (path.parent / (name + ending)).is_file():
                return name + ending
    return name


def _split(path: Path, root: dict[str, Any], shots: list[Shot], warnings: list[str]) -> list[Shot]:
    """The shots that are used, and of each whether it is tested, by nerfstudio's lists of names.

    Tested are those of `test_filenames`, or of `val_filenames` if there are none, or what `train_filenames`
    leaves. What is in no list is left out, if there is one of training.
    """
    lists = {split: _listed(path, root, f"{split}_filenames") for split in ("train", "val", "test")}
    if all(names is None for names in lists.values()):
        return shots
    known = {shot.name for shot in shots}
    listed = set().union(*(names for names in lists.values() if names))
    if unknown := sorted(listed - known):
        warnings.append(
            f"{path}: {len(unknown)} names in its lists of splits are no frames, such as {unknown[0]!r}."
        )
    test = (lists["test"] or lists["val"] or set()) & known
    train = known - test if lists["train"] is None else (lists["train"] & known)
    if not test and lists["test"] is None and lists["val"] is None:
        test = known - train
    if both := train & test:
        warnings.append(f"{path}: {len(both)} images are in the lists of training and of testing; they test.")
    if lists["train"] is None:
        train -= lists["val"] or set()
    if unused := known - train - test:
        warnings.append(f"{path}: {len(unused)} frames are in no list that is used, and are left out.")
    return [replace(shot, is_test=shot.name in test) for shot in shots if shot.name in train | test]


def _listed(path: Path, root: dict[str, Any], key: str) -> set[str] | None:
    names = root.get(key)
    if names is None:
        return None
    if not isinstance(names, list):
        raise error(path, key, "must be a list of images' paths")
    return {_name(path, f"{key}[{i}]", name) for i, name in enumerate(names)}


def _points(path: Path, root: dict[str, Any], strict: bool, warnings: list[str]) -> tuple[Matrix, Any]:
    """Coordinates [P, 3] and colours [P, 3] of the file that is named, or of one of a usual name beside."""
    name = root.get("ply_file_path")
    file = None
    if isinstance(name, str) and name:
        file = path.parent / relative_path(path, "ply_file_path", name)
        if not file.is_file():
            warnings.append(f"{path}: its points, {name!r}, are not there.")
            file = None
    elif name is not None:
        raise error(path, "ply_file_path", f"must be the path of a .ply, not {str(name)[:80]!r}")
    if file is None:
        file = find_point_ply([path.parent])
        if file is not None:
            warnings.append(f"{path} names no points that are there: those of {file} are used.")
    if file is None:
        warnings.append(f"{path} has no 3D points: training starts from random ones.")
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    return read_point_ply(file, warnings, strict)


def _mask(path: Path, place: str, name: Any) -> Path | None:
    """The file of a frame's mask, where it has one."""
    if name is None or name == "":
        return None
    if not isinstance(name, str):
        raise error(path, place, f"must be the path of a mask, not {name!r}")
    name = relative_path(path, place, name)
    mask = path.parent / name
    if not mask.is_file():
        raise DataError(
            path, f"there is no mask {name!r}", place, "Put it there, or take the entry out of the file."
        )
    return mask
