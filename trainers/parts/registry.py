"""The parts of a training by name. To add one: write its file, and its line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gsplat_core.compress.training import CompressionConfig
from gsplat_core.errors import UsageError
from gsplat_core.scene.dataset import View
from trainers.parts.bilateral import Bilateral
from trainers.parts.codec import Codec
from trainers.parts.coherence import Coherence
from trainers.parts.confidence import Confidence
from trainers.parts.context import Context
from trainers.parts.cooldown import Cooldown
from trainers.parts.crisp import Crisp
from trainers.parts.density import Density
from trainers.parts.depth import Depth
from trainers.parts.embedding import Embedding
from trainers.parts.exposure import Exposure
from trainers.parts.faces import Faces
from trainers.parts.frequency import Frequency
from trainers.parts.head import Head
from trainers.parts.intrinsics import Intrinsics
from trainers.parts.key_frame import KeyFrame
from trainers.parts.latents import Latents
from trainers.parts.normals import Normals
from trainers.parts.part import Part
from trainers.parts.parts import Parts
from trainers.parts.pixel_aligned import PixelAligned
from trainers.parts.poses import Poses
from trainers.parts.rays import Rays
from trainers.parts.residual import Residual
from trainers.parts.roundness import Roundness
from trainers.parts.shapes import Shapes
from trainers.parts.silhouette import Silhouette
from trainers.parts.smooth_depths import SmoothDepths
from trainers.parts.smoothing import Smoothing
from trainers.parts.sugar import Sugar
from trainers.parts.surfaces import Surfaces
from trainers.parts.transient import Transient

if TYPE_CHECKING:
    from trainers.config import TrainConfig

# In the order in which they are asked.
PARTS: dict[str, type[Part]] = {
    "latents": Latents,
    "density": Density,
    "poses": Poses,
    "intrinsics": Intrinsics,
    "faces": Faces,
    "pixel_aligned": PixelAligned,
    "codec": Codec,
    "residual": Residual,
    "key_frame": KeyFrame,
    "context": Context,
    "exposure": Exposure,
    "embedding": Embedding,
    "bilateral": Bilateral,
    "transient": Transient,
    "confidence": Confidence,
    "smoothing": Smoothing,
    "shapes": Shapes,
    "rays": Rays,
    "head": Head,
    "frequency": Frequency,
    "sugar": Sugar,
    "surfaces": Surfaces,
    "depth": Depth,
    "normals": Normals,
    "smooth_depths": SmoothDepths,
    "roundness": Roundness,
    "silhouette": Silhouette,
    "crisp": Crisp,
    "coherence": Coherence,
    "cooldown": Cooldown,
}
# What `--transient` calls them.
TRANSIENTS = {"robust": "transient"}
# What `--appearance` calls them.
APPEARANCES = {"affine": "exposure", "embedding": "embedding", "bilateral": "bilateral"}

# The part with which a scene learns a codec of its primitive's own.
LEARNT_CODECS = {"anchors": "context"}


def settings_class(name: str) -> type[Any]:
    """The dataclass of the settings of a part that a run may have or not.

    Raises:
        UsageError: there is no such part.
    """
    known = {part: kind.settings for part, kind in PARTS.items() if kind.settings is not None}
    if (found := known.get(name)) is None:
        raise UsageError(f"Unknown part {name!r} of a training; known are: {', '.join(known) or 'none'}.")
    return found


def create(config: TrainConfig, views: Sequence[View] = (), given: Mapping[str, Part] | None = None) -> Parts:
    """The parts of a run.

    Args:
        views: the training views; those who only train the scene without its photographs may leave them out.
        given: parts that replace those of the configuration or are added to them, by registered names.
    """
    given = given or {}
    parts = {
        name: given[name] if name in given else kind.of(name, config, views) for name, kind in PARTS.items()
    }
    return Parts({name: part for name, part in parts.items() if part is not None})


def with_parts(config: TrainConfig, names: Sequence[str]) -> TrainConfig:
    """The configuration with further parts, with their default settings unless it has them already.

    Raises:
        UsageError: there is no such part.
    """
    added = {name: settings_class(name)() for name in names if name not in config.parts}
    return replace(config, parts={**config.parts, **added})


def with_folder(config: TrainConfig, part: str, folder: str) -> TrainConfig:
    """The configuration with a part that reads files of a folder, which keeps its other settings."""
    settings = config.parts.get(part) or settings_class(part)()
    return replace(config, parts={**config.parts, part: replace(settings, folder=folder)})


def with_transient(config: TrainConfig, transient: str) -> TrainConfig:
    """The configuration with one way of finding what moves through the picture, or with none."""
    return _with_one_of(config, TRANSIENTS, transient)


def transient_of(parts: Mapping[str, Any]) -> str:
    """What `with_transient` was asked for."""
    return next((name for name, part in TRANSIENTS.items() if part in parts), "none")


def with_codec(config: TrainConfig, codec: str) -> TrainConfig:
    """The configuration of a run whose scene is trained for a codec.

    Raises:
        UsageError: there is none of this name.
    """
    if codec in LEARNT_CODECS:
        return with_parts(config, [LEARNT_CODECS[codec]])
    return replace(config, compression=replace(config.compression or CompressionConfig(), codec=codec))


def with_appearance(config: TrainConfig, appearance: str) -> TrainConfig:
    """The configuration with one model of the photographs' colours, or with none."""
    return _with_one_of(config, APPEARANCES, appearance)


def _with_one_of(config: TrainConfig, names: Mapping[str, str], chosen: str) -> TrainConfig:
    wanted = names.get(chosen)
    others = [part for part in names.values() if part != wanted]
    config = replace(config, parts={name: s for name, s in config.parts.items() if name not in others})
    return config if wanted is None else with_parts(config, [wanted])


def appearance_of(parts: Mapping[str, Any]) -> str:
    """What `with_appearance` was asked for."""
    return next((name for name, part in APPEARANCES.items() if part in parts), "none")


def refuse_second_order(config: TrainConfig) -> None:
    """Raises UsageError where Levenberg-Marquardt shall finish a run with parts that it knows nothing of."""
    if config.optimizer == "lm":
        for name, kind in PARTS.items():
            if kind.first_order and kind.of(name, config, ()) is not None:
                raise UsageError(f"--optimizer lm {kind.first_order}, or use adam.")
