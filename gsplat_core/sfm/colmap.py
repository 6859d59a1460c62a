"""The stages that COLMAP does: every call of pycolmap is here. Runs in the process of `worker`.

Each stage goes on where it was left: features and matches that are in the database are not made again. Seeds
are set wherever COLMAP takes one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pycolmap

from gsplat_core.sfm.pairs import chunks, most_alike, ordered
from gsplat_core.sfm.similarity import image_vectors

Told = Callable[[int, int], None]
"""Is told how much is done, of how much."""

_AT_A_TIME = 4  # photographs for each thread between two messages about progress
_FEWEST_IN_MODEL = 3
_FEWEST_POINTS = 10  # for each photograph; models with fewer are of chance matches


def threads() -> int:
    """As many as OMP_NUM_THREADS says, or one for each core that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def find_features(
    database: Path,
    images: Path,
    cameras: Sequence[Sequence[str]],
    camera_model: str,
    image_size: int,
    features: int,
    masks: Path | None,
    told: Told,
) -> None:
    """SIFT features of all photographs.

    Args:
        cameras: names of photographs, by the camera that they share.
        image_size: pixels of the longer side at which they are looked at.
        features: at most so many of a photograph.
        masks: folder of their masks, called `NAME.png`; where they are black no feature is found.
    """
    pycolmap.set_random_seed(0)
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = camera_model
    if masks is not None:
        reader.mask_path = str(masks)
    known = {image.name: image.camera_id for image in _read(database, lambda db: db.read_all_images())}
    for names in cameras:
        if new := [name for name in names if name not in known]:
            shared = next((known[name] for name in names if name in known), -1)
            reader.existing_camera_id = shared
            pycolmap.import_images(database, images, pycolmap.CameraMode.SINGLE, new, reader)
    options = pycolmap.FeatureExtractionOptions()
    options.max_image_size = image_size
    options.num_threads = threads()
    options.sift.max_num_features = features
    names = sorted(name for group in cameras for name in group)
    step = _AT_A_TIME * threads()
    for start in range(0, len(names), step):
        told(start, len(names))
        pycolmap.extract_features(
            database,
            images,
            image_names=names[start : start + step],
            reader_options=reader,
            extraction_options=options,
        )
    told(len(names), len(names))


def match(
    database: Path, pairs: Sequence[Sequence[str]], alike: int, seed: int, listing: Path, told: Told
) -> None:
    """Features that two photographs share, and whether a motion of one camera explains them.

    Args:
        pairs: names of photographs that are compared.
        alike: each is compared with so many that look like it, too.
        listing: a file that may be written, for COLMAP to read.
    """
    rows = _read(database, lambda db: sorted(db.read_all_images(), key=lambda image: image.name))
    number = {image.name: i for i, image in enumerate(rows)}
    wanted = {tuple(sorted((number[a], number[b]))) for a, b in pairs if a in number and b in number}
    if alike:
        with pycolmap.Database.open(database) as db:
            vectors = image_vectors(lambda i: _descriptors(db, rows[i].image_id), len(rows), seed)
        wanted |= most_alike(vectors, alike)
    options = pycolmap.FeatureMatchingOptions()
    options.num_threads = threads()
    pairing = pycolmap.ImportedPairingOptions()
    pairing.match_list_path = str(listing)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed
    done = 0
    for chunk in chunks(ordered(wanted)):  # type: ignore[arg-type]
        told(done, len(wanted))
        listing.write_text("".join(f"{rows[i].name} {rows[j].name}\n" for i, j in chunk))
        pycolmap.match_image_pairs(
            database, matching_options=options, pairing_options=pairing, verification_options=verification
        )
        done += len(chunk)
    listing.unlink(missing_ok=True)
    told(done, len(wanted))


class Placed(NamedTuple):
    """A model: names of its photographs, the number of its points, and how far these lie from where they were
    seen, in pixels on average."""

    names: list[str]
    points: int
    error: float


def place(
    database: Path, images: Path, output: Path, mappers: Sequence[str], seed: int, told: Told
) -> list[dict[str, Any]]:
    """Poses and points. Writes models into folders 0, 1, ... of `output`, that of most photographs first.

    Args:
        mappers: of "incremental" and "global", those that are tried until one places anything.
    """
    models: list[Any] = []
    for mapper in mappers:
        pycolmap.set_random_seed(seed)
        raw = output / f"unordered_{mapper}"
        raw.mkdir()
        found = (_all_at_once if mapper == "global" else _one_by_one)(database, images, raw, seed, told)
        shutil.rmtree(raw)
        models = [model for model in found if model.num_points3D() >= _FEWEST_POINTS * model.num_reg_images()]
        if models:
            break
    models = sorted(models, key=lambda model: (-model.num_reg_images(), -model.num_points3D()))
    results = []
    for rank, model in enumerate(models):
        (output / str(rank)).mkdir()
        model.write(output / str(rank))
        names = sorted(model.image(i).name for i in model.reg_image_ids())
        results.append(
            Placed(names, model.num_points3D(), float(model.compute_mean_reprojection_error()))._asdict()
        )
    return results


def _one_by_one(database: Path, images: Path, output: Path, seed: int, told: Told) -> list[Any]:
    """Models by COLMAP's incremental mapper."""
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = threads()
    options.random_seed = seed
    options.min_model_size = _FEWEST_IN_MODEL
    total = _read(database, lambda db: db.num_images())
    placed = 1

    def next_one() -> None:
        nonlocal placed
        placed = min(placed + 1, total)
        told(placed, total)

    return list(
        pycolmap.incremental_mapping(
            database,
            images,
            output,
            options,
            initial_image_pair_callback=next_one,
            next_image_callback=next_one,
        ).values()
    )


def _all_at_once(database: Path, images: Path, output: Path, seed: int, told: Told) -> list[Any]:
    """Models by COLMAP's global mapper (Pan et al., "Global structure-from-motion revisited", ECCV 2024)."""
    # It starts from focal lengths that are nearly right, which photographs without EXIF data do not have.
    pycolmap.calibrate_view_graph(database)
    options = pycolmap.GlobalPipelineOptions()
    options.num_threads = threads()
    options.random_seed = seed
    options.min_model_size = _FEWEST_IN_MODEL
    options.mapper.global_positioning.use_gpu = False
    options.mapper.bundle_adjustment.ceres.use_gpu = False
    told(0, 0)
    return list(pycolmap.global_mapping(database, images, output, options).values())


def examine(database: Path) -> dict[str, dict[str, Any]]:
    """By photograph: how many features it has, and the most that it shares with another one, by a motion of
    the camera that explains them (0: none), and the name of that one."""
    with pycolmap.Database.open(database) as db:
        names = {image.image_id: image.name for image in db.read_all_images()}
        facts: dict[str, dict[str, Any]] = {
            name: {"features": db.num_keypoints_for_image(i), "shared": 0, "partner": ""}
            for i, name in names.items()
        }
        pair_ids, numbers = db.read_two_view_geometry_num_inliers()
        for pair, shared in zip(pair_ids, numbers, strict=True):
            first, second = (names.get(i, "") for i in pycolmap.pair_id_to_image_pair(pair))
            for name, partner in ((first, second), (second, first)):
                if name in facts and shared > facts[name]["shared"]:
                    facts[name] |= {"shared": int(shared), "partner": partner}
    return facts


def _descriptors(db: Any, image: int) -> np.ndarray:
    if not db.exists_descriptors(image):
        return np.zeros((0, 128), np.uint8)
    return np.asarray(db.read_descriptors(image).data)


def _read(database: Path, what: Callable[[Any], Any]) -> Any:
    """Of the database, which is made if it is not there."""
    with pycolmap.Database.open(database) as db:
        return what(db)
