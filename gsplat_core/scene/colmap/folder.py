"""Finds the COLMAP models below a folder, picks one and reads it.

``rigs`` and ``frames`` files of newer COLMAP versions repeat what ``images`` says and are ignored.
"""

from __future__ import annotations

import os
from pathlib import Path

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap import binary, text
from gsplat_core.scene.colmap.check import without_unusable
from gsplat_core.scene.colmap.model import SparseModel, SparsePoints
from gsplat_core.scene.point_ply import find_point_ply, read_point_ply

# Where people keep models below the scene's folder: COLMAP's own layout, nerfstudio's, and bare models.
_PLACES = ["sparse", "colmap/sparse", "."]


def find_models(scene: str | os.PathLike[str]) -> list[Path]:
    """Folders below ``scene`` that hold cameras and images, in the order in which they are preferred."""
    root = Path(scene)
    for place in _PLACES:
        base = root / place
        nested = place != "." and base.is_dir()
        numbered = sorted(path for path in base.iterdir() if path.is_dir()) if nested else []
        models = [folder for folder in [*numbered, base] if _ending(folder) is not None]
        if models:
            return models
    return []


def read_model(
    scene: str | os.PathLike[str], model: str | os.PathLike[str] | None = None, strict: bool = False
) -> SparseModel:
    """Reads a COLMAP model, leaving out what cannot be used.

    Args:
        scene: a folder with ``sparse/0`` (or ``sparse``, ``colmap/sparse/0``), or the model's own folder.
        model: the name of the model below ``sparse`` or a path, when there are several. By default the one
            with the most images.
        strict: fail on the first record that cannot be used rather than leave it out.

    Returns:
        The model; ``warnings`` names what was left out and why.

    Raises:
        DataError: there is no model, a file is damaged, or fewer than two images can be used.
    """
    warnings: list[str] = []
    folder = _choose(Path(scene), model, warnings)
    ending = _ending(folder)
    if ending is None:
        raise DataError(folder, f"no cameras and images files in it; found: {_listing(folder)}")
    reader = binary if ending == ".bin" else text
    try:
        raw = SparseModel(
            folder=folder,
            lenses=reader.read_cameras(folder / f"cameras{ending}", warnings, strict),
            images=reader.read_images(folder / f"images{ending}", warnings, strict),
            points=_read_points(Path(scene), folder, ending, warnings, strict),
            warnings=warnings,
        )
    except OSError as error:
        raise DataError(error.filename or folder, f"cannot be read: {error.strerror or error}") from error
    return without_unusable(raw, strict)


def _read_points(scene: Path, folder: Path, ending: str, warnings: list[str], strict: bool) -> SparsePoints:
    """The points of the model; where it has none, those of a PLY file that another program has left."""
    path = folder / f"points3D{ending}"
    if not path.exists():
        problem = f"{path} is missing"
    elif path.stat().st_size == 0:
        problem = f"{path} is empty, as an interrupted copy leaves it"
    else:
        points = (binary if ending == ".bin" else text).read_points(path, warnings, strict)
        if len(points):
            return points
        problem = f"{path} lists no points"
    # In the model's folder, beside it, or in the scene's.
    places = [folder, *(parent for parent in folder.parents if parent == scene or scene in parent.parents)]
    ply = find_point_ply(places)
    if ply is None:
        warnings.append(f"{problem}: the scene has no 3D points.")
        return SparsePoints.none()
    xyz, rgb = read_point_ply(ply, warnings, strict)
    warnings.append(f"{problem}: the {len(xyz)} points of {ply} are used.")
    return SparsePoints.without_tracks(xyz, rgb)


def _choose(scene: Path, model: str | os.PathLike[str] | None, warnings: list[str]) -> Path:
    if model is not None:
        candidates = [Path(model), *(scene / place / model for place in _PLACES)]
        for folder in candidates:
            if folder.is_dir():
                return folder
        raise DataError(scene, f"there is no model {os.fspath(model)!r}", remedy=_found(scene))
    if not scene.is_dir():
        problem = "is not a folder" if scene.exists() else "does not exist"
        raise DataError(scene, problem, remedy="Give the folder that holds images/ and sparse/0/.")
    models = find_models(scene)
    if not models:
        raise DataError(
            scene,
            "no COLMAP model found: looked for cameras.bin and images.bin (or .txt) in sparse/0, sparse, "
            "colmap/sparse/0 and the folder itself, and for transforms.json or transforms_train.json; it "
            f"holds {_listing(scene)}",
            remedy="Of photographs alone, `gsplat-core reconstruct` finds the poses; or give the folder that "
            "holds sparse/.",
        )
    if len(models) == 1:
        return models[0]
    sizes = [_image_count(folder) for folder in models]
    best = models[sizes.index(max(sizes))]
    listing = ", ".join(f"{path.name} ({size} images)" for path, size in zip(models, sizes, strict=True))
    warnings.append(
        f"{best.parent} holds several models: {listing}. Using {best.name}; model=... (--sparse-model "
        "NAME) picks another."
    )
    return best


def _ending(folder: Path) -> str | None:
    """Which of the two storage forms the folder has; binary wins, as in COLMAP."""
    for ending in (".bin", ".txt"):
        if (folder / f"cameras{ending}").is_file() and (folder / f"images{ending}").is_file():
            return ending
    return None


def _image_count(folder: Path) -> int:
    """How many images the model says it has, at most as many as fit into the file; nothing is parsed."""
    if _ending(folder) == ".bin":
        path = folder / "images.bin"
        with path.open("rb") as file:
            announced = int.from_bytes(file.read(8), "little")
        return min(announced, path.stat().st_size // 73)
    with (folder / "images.txt").open("rb") as file:
        return sum(not line.startswith(b"#") for line in file) // 2


def _found(scene: Path) -> str:
    models = find_models(scene) if scene.is_dir() else []
    if not models:
        return f"No model was found in {scene}; it holds {_listing(scene)}."
    return "Found: " + ", ".join(os.fspath(folder) for folder in models) + "."


def _listing(folder: Path) -> str:
    """The folder's entries for a message, at most a dozen."""
    if not folder.is_dir():
        return "nothing (it is not a folder)"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir())
    if not names:
        return "nothing"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more
