"""The Gaussians that a training run starts with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from gsplat_core import primitive
from gsplat_core.densify.classes import ClassesConfig
from gsplat_core.densify.registry import create
from gsplat_core.errors import UsageError
from gsplat_core.labels import counts, labels_of
from gsplat_core.scene.dataset import Dataset, Points
from gsplat_core.scene.depth_prior import depth_prior
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.init import initialize, random_points
from gsplat_core.scene.pixel_aligned import pixel_aligned
from gsplat_core.scene.surroundings import surroundings
from trainers.background import PLAIN, cut_out
from trainers.config import TrainConfig
from trainers.parts.depth import SPARSE, DepthConfig
from trainers.parts.faces import FacesConfig, Surface
from trainers.parts.pixel_aligned import PixelAlignedConfig
from trainers.sources import load_scene
from trainers.visibility import sees

# Points nearer to each other than this, as a share of the distance at which they are seen, are one in every
# photograph.
_ONE_PLACE = 1e-3
_WHERE = {"auto": None, "always": True, "never": False}


def initial_gaussians(
    config: TrainConfig, dataset: Dataset, note: Callable[[str], None] = lambda text: None
) -> Gaussians:
    """Gaussians at the sparse points of the reconstruction and where it has none, or at random; or those of
    the scene that the configuration names, whose coordinates they keep; or on the faces of its mesh.

    Args:
        config: its cap holds from the start: where there are more points, so many are drawn.
        note: told what a person should know.

    Raises:
        DataError: that scene, or the mesh, cannot be read.
        UsageError: it has more Gaussians than there may be, or none of a label that has a threshold.
    """
    if config.on_mesh is not None:
        gaussians = _on_mesh(config, config.on_mesh, dataset)
    elif config.start is not None:
        gaussians = _of_scene(config, note)
    elif config.pixel_aligned is not None:
        gaussians = _of_pixels(config, config.pixel_aligned, dataset, note)
    else:
        gaussians = _of_points(config, dataset, note)
    _check_labels(config, gaussians)
    return gaussians


def _on_mesh(config: TrainConfig, settings: FacesConfig, dataset: Dataset) -> Gaussians:
    gaussians = Surface.open(settings).started(
        settings, dataset.scale.published, config.sh_degree, config.seed
    )
    gaussians = gaussians.with_metadata(offset=tuple(dataset.offset.tolist()))
    return gaussians.with_primitive(config.primitive)


def _of_scene(config: TrainConfig, note: Callable[[str], None]) -> Gaussians:
    assert config.start is not None
    gaussians = load_scene(Path(config.start), note).detached().with_sh_degree(config.sh_degree)
    most = create(config.strategy, config.densify).most
    if most is not None and gaussians.num > most:
        raise UsageError(
            f"--start: {config.start} has {gaussians.num:,} Gaussians, more than the {most:,} allowed; use "
            f"--max-gaussians {gaussians.num} or more."
        )
    kind = primitive.get(config.primitive)
    if kind.started is not None and kind.schema.shared and gaussians.primitive != config.primitive:
        return kind.started(gaussians.with_primitive(config.primitive), config.seed)  # zeros decode nothing
    return gaussians.with_primitive(config.primitive)


def _of_pixels(
    config: TrainConfig, settings: PixelAlignedConfig, dataset: Dataset, note: Callable[[str], None]
) -> Gaussians:
    depths: DepthConfig | None = config.parts.get("depth")
    maps = None if depths is None or depths.folder == SPARSE else depths.known(config.data_folder, dataset)
    for sentence in maps.told if maps else ():
        note(f"depth: {sentence}")
    prior = depth_prior(dataset, maps.of if maps else {})
    rays = settings.rays(dataset.train, config.max_gaussians)
    size = "pixel" if rays.spacing == 1 else f"{rays.spacing} x {rays.spacing} pixels"
    note(f"A Gaussian for every {size} of the photographs, as deep as told by {prior.told}.")
    if prior.unsure:
        note(
            "warning: little of what the photographs show is seen in two of them from directions not "
            "too far apart, so how deep it is is mostly a guess; depth maps say more (--depth FOLDER)."
        )
    gaussians = pixel_aligned(rays, dataset.train, prior.inverse, config.sh_degree, settings.radius)
    return _as_primitive(config, gaussians, dataset)


def _check_labels(config: TrainConfig, gaussians: Gaussians) -> None:
    classes = config.densify.get("classes", ClassesConfig())
    labels = labels_of(gaussians)
    if classes.scales and labels is None:
        raise UsageError(
            "--densify-scale: the Gaussians that this training starts with have no labels; --start names a "
            "scene that has some, such as the result of `gsplat-core segment`."
        )
    there = counts(labels) if labels is not None else {}
    if missing := [label for label in classes.labels if label not in there]:
        raise UsageError(
            f"--densify-scale: no Gaussian has the label {missing[0]}; there are "
            f"{', '.join(map(str, there))}."
        )


def _of_points(config: TrainConfig, dataset: Dataset, note: Callable[[str], None]) -> Gaussians:
    strategy = create(config.strategy, config.densify)
    points = _points(config, dataset, strategy.scale == "published", note)
    most = strategy.most
    if most is not None and len(points.xyz) > most:
        note(f"{len(points.xyz):,} points are more than the {most:,} Gaussians allowed: so many are drawn.")
        random = torch.Generator().manual_seed(config.seed)
        rows = torch.randperm(len(points.xyz), generator=random)[:most].sort().values
        points = Points(points.xyz[rows], points.rgb[rows])
    start = strategy.initialization
    scale = None if strategy.scale == "published" else dataset.scale
    gaussians = initialize(*points, config.sh_degree, start.opacity, start.scale_factor, scale)
    return _as_primitive(config, gaussians, dataset)


def _as_primitive(config: TrainConfig, gaussians: Gaussians, dataset: Dataset) -> Gaussians:
    gaussians = gaussians.with_metadata(offset=tuple(dataset.offset.tolist()))
    gaussians, kind = gaussians.with_primitive(config.primitive), primitive.get(config.primitive)
    return gaussians if kind.started is None else kind.started(gaussians, config.seed)


def _points(config: TrainConfig, dataset: Dataset, published: bool, note: Callable[[str], None]) -> Points:
    points, scale = dataset.points, dataset.scale
    if config.initialization == "random" or not len(points.xyz):
        if config.initialization != "random":
            note("The reconstruction has no 3D points: Gaussians start at random places before the cameras.")
        cameras = [view.camera for view in dataset.train]
        length = scale.published if published else scale.length
        count = min(config.random_points, config.max_gaussians or config.random_points)
        return Points(*random_points(cameras, length, count, config.seed))
    if problem := _useless(dataset):
        note(
            f"warning: {problem}, so there is nothing to begin with. The reconstruction may have failed, or "
            "belong to other photographs; --set initialization=random begins at random places before the "
            "cameras."
        )
    sky = _WHERE[config.sky]
    if sky is None and cut_out(dataset):
        sky = False
    behind = PLAIN[config.background] if config.background in ("black", "white") else None
    added = surroundings(dataset, sky, _WHERE[config.gaps], behind)
    gaps = len(added.points.xyz) - added.sky
    if added.sky:
        note(f"Many rays look past all 3D points: {added.sky:,} Gaussians make a sky there (--sky never).")
    if gaps:
        note(f"There are large gaps between the 3D points: {gaps:,} Gaussians start there (--gaps never).")
    return Points(torch.cat([points.xyz, added.points.xyz]), torch.cat([points.rgb, added.points.rgb]))


def _useless(dataset: Dataset) -> str:
    """What is wrong with 3D points that no scene can start from; empty where there is nothing."""
    xyz = dataset.points.xyz
    if all(sees(view.camera, xyz) is False for view in dataset.train):
        return f"none of the {len(xyz):,} 3D points lies where a photograph looks"
    spread = float((xyz.amax(dim=0) - xyz.amin(dim=0)).max())
    if len(xyz) > 1 and spread <= _ONE_PLACE * dataset.scale.length:
        return f"all {len(xyz):,} 3D points are at one place"
    return ""
