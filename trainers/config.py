"""Everything that decides the outcome of a training run, as plain data.

A `TrainConfig` goes to `config.json` of the run folder and comes back from it; the run can be repeated from
that file alone. Unknown keys and values of the wrong type are errors, so a typing mistake never trains with a
default in its place.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from gsplat_core import primitive as primitives
from gsplat_core.compress.training import CompressionConfig
from gsplat_core.densify.registry import configurations, create, with_shared
from gsplat_core.densify.strategy import ScaleRule
from gsplat_core.errors import DataError, UsageError
from gsplat_core.models import mip
from gsplat_core.ranges import INTERVAL, NOT_NEGATIVE, SHARE, STEP, Range, check_ranges
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.gaussians import PLAIN
from gsplat_core.scene.images import AlphaRule
from gsplat_core.scene.metadata import RAY_STEP
from gsplat_core.scene.schema import GAUSSIAN, PARAMETERS, Field, Schema, Shared
from gsplat_core.strict_json import parse_json
from trainers.fields import from_json
from trainers.lm import LMConfig
from trainers.parts.faces import FacesConfig
from trainers.parts.pixel_aligned import PixelAlignedConfig
from trainers.parts.registry import LEARNT_CODECS, appearance_of, settings_class, transient_of
from trainers.resolution import ResolutionConfig

RATES = Range(0, 1e6)


def _usual(name: str) -> float:
    rate = GAUSSIAN[name].learning_rate
    assert rate is not None
    return rate


class Antialiasing(NamedTuple):
    """What a scene consists of and how it is drawn, so that what is smaller than a pixel looks right."""

    primitive: str = PLAIN
    antialiased: bool = False
    eps2d: float = USUAL.eps2d


ANTIALIASINGS = {
    "none": Antialiasing(),
    "screen": Antialiasing(antialiased=True),
    "mip": Antialiasing("mip", antialiased=True, eps2d=mip.SCREEN_FILTER),
    "analytic": Antialiasing("analytic"),
}
"""What `--antialiasing` offers: the blur of 3DGS as it is, compensated, both filters of Mip-Splatting, or the
integral over the pixel of Analytic-Splatting."""


@dataclass(frozen=True)
class LearningRates:
    """Adam's learning rate per parameter; by default what the schema of its primitive says.

    A field whose rate is 0 is not trained and stays as it is; where that is so of means, scales or opacities,
    density control rests. The rates of lengths are multiplied by the scene extent. That of the means falls
    exponentially from `means` to `means_final` over the run, those of fields with a `decay` likewise; the
    others are constant.

    Args:
        further: of what the primitive has beyond the plain Gaussian, also of what its rows share.

    Raises:
        ValueError: a rate among the further ones that is no number of at least 0.
    """

    means: Annotated[float, RATES] = _usual("means")
    means_final: Annotated[float, RATES] = 1.6e-6
    sh0: Annotated[float, RATES] = _usual("sh0")
    shN: Annotated[float, RATES] = _usual("shN")
    opacities: Annotated[float, RATES] = _usual("opacities")
    scales: Annotated[float, RATES] = _usual("scales")
    quats: Annotated[float, RATES] = _usual("quats")
    further: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_ranges(self)
        for name, rate in self.further.items():
            if type(rate) not in (int, float) or rate not in RATES:
                raise ValueError(f"learning_rates.further.{name} must be a number {RATES}, got {rate!r:.80}")

    def of(self, field: Field | Shared) -> float:
        """The rate of a trained field, or of what rows share; the first one, where it falls."""
        assert field.learning_rate is not None
        if field.name in PARAMETERS:
            return float(getattr(self, field.name))
        return self.further.get(field.name, field.learning_rate)

    def completed(self, schema: Schema) -> LearningRates:
        """With the rates of all further fields of a primitive.

        Raises:
            ValueError: a rate of a field that it does not have.
        """
        known = {field.name: field for field in schema.optimized if field.name not in PARAMETERS}
        if unknown := sorted(set(self.further) - set(known)):
            raise ValueError(
                f"learning_rates.further.{unknown[0]}: the primitive trains "
                f"{', '.join(known) or 'nothing'} beyond the plain Gaussian"
            )
        return replace(self, further={name: self.of(field) for name, field in known.items()})


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Steps count from 1: step t renders one view and updates all parameters once. `schedules.scaled_to` changes
    `steps` and everything that is measured in steps with it.
    """

    data: str = ""
    """The COLMAP folder."""
    sparse_model: str | None = None
    """Which sparse model inside it; None takes the one with most images."""
    images: str | None = None
    """The folder of the photographs, inside `data` or absolute; None finds it."""
    masks: str | None = None
    """The folder of their masks, likewise; None finds it, "none" uses no masks."""
    alpha: Literal["auto", "black", "white", "mask", "ignore"] = "auto"
    """What photographs that are partly transparent are composited on, `auto`: on what is rendered behind the
    scene. Or the transparency is ignored."""
    exif_rotate: bool = False
    """Turn photographs as their EXIF data ask for, where they fit their camera that way."""
    distortion: Literal["undistort", "keep"] = "undistort"
    """What becomes of the distortion of lenses: photographs are undistorted, or used as they are, with
    cameras that have it."""
    strict: bool = False
    """Stop at a photograph that cannot be read; otherwise it is left out."""
    downscale: Annotated[float, Range(1, 10_000)] = 1.0
    """Images are shrunk by this factor."""
    test_every: Annotated[int, Range(0, 1_000_000_000)] = 8
    """Every so-manieth image in name order is for testing; 0 trains on all."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    device: Literal["cpu", "cuda", "auto"] = "auto"

    preset: str = "default"
    """Where the values came from; for people, nothing depends on it."""
    steps: Annotated[int, Range(1, 1_000_000_000)] = 30_000
    primitive: str = "gaussian"
    """What the scene consists of (gsplat_core/primitive.py)."""
    strategy: str = "adc"
    """The density control: a strategy, perhaps with plug-ins, such as "mcmc+lpm" (densify/registry.py)."""
    optimizer: Literal["adam", "lm"] = "adam"
    """What finishes the run: Adam, or Levenberg-Marquardt from `adam_steps` on."""
    lm: LMConfig = field(default_factory=LMConfig)

    initialization: Literal["points", "random"] = "points"
    """Where Gaussians start: at the sparse points of the reconstruction, or at random before the cameras."""
    start: str | None = None
    """A run folder or splat file whose Gaussians the training starts with instead, with all their fields."""
    random_points: Annotated[int, Range(1, 1_000_000_000)] = 100_000
    """How many, where they start at random."""
    sky: Literal["auto", "always", "never"] = "auto"
    """Whether Gaussians start on a sphere behind everything, too; auto: where many rays see no point."""
    gaps: Literal["auto", "always", "never"] = "auto"
    """Whether Gaussians start in gaps between the sparse points, too; auto: where these are large."""
    sh_degree: Annotated[int, Range(0, 4)] = 3
    sh_degree_every: Annotated[int, STEP] = 1000
    """The degree in use starts at 0 and rises by one after every so many steps, up to `sh_degree`. 0: it is
    the highest from the start."""
    resolution: ResolutionConfig | None = None
    """Small images first; None: all steps at full size."""
    dilation: Literal["auto"] | Annotated[int, Range(1, 64)] = 1
    """Steps see each so many-th pixel of each row and column; auto: by the number of pixels
    (trainers/dilation.py)."""
    dilation_until: Annotated[float, SHARE] = 0.8
    """After this share of the run, they see all."""
    background: Literal["auto", "black", "white", "random"] = "auto"
    """Colour behind the scene in training; `random` draws one per step, and tests use black. `auto` becomes
    one of these by the photographs (trainers/background.py) when the run starts."""
    antialiased: bool = False
    """Compensate opacity for the screen-space blur (Mip-Splatting's 2D filter)."""
    eps2d: Annotated[float, Range(0, 100)] = 0.3
    """The variance of that blur in square pixels; 0.1 in Mip-Splatting."""
    order: Literal["global", "pixel"] = "global"
    """In which order a pixel blends Gaussians: of the depths of their centres, or of those at which its own
    ray sees most of them, so that nothing pops when a camera turns (docs/orders.md)."""
    footprint: Literal["ewa", "unscented"] = "ewa"
    """What splat a camera makes of a Gaussian: by its linearization (EWA), or with the mean and covariance of
    sigma points that it maps, for wide lenses (the unscented transform, docs/cameras.md)."""
    ray_step: Annotated[float, Range(1e-6, 1.0)] = RAY_STEP
    """Between the samples of rays that are cast through the scene (--model raygauss), in lengths of it."""
    lambda_dssim: Annotated[float, Range(0, 1)] = 0.2
    learning_rates: LearningRates = field(default_factory=LearningRates)
    rate_exponent: Annotated[float, Range(0, 10)] = 0.0
    """When the run is stretched to another number of steps, learning rates are multiplied by (old / new
    number)
    to this power, up to 4: Adam moves a parameter by about one learning rate per step."""
    active_set: Annotated[float, Range(1e-4, 1e6)] | None = None
    """GiB that the Gaussians in training may take at a time; the others are on disk (docs/mapping.md). None:
    all are in memory."""
    cap: Literal["scene", "none"] = "scene"
    """Whether there may be no more Gaussians than the photographs can determine (trainers/capacity.py)."""
    densify: dict[str, Any] = field(default_factory=dict)
    """The configuration of each part of `strategy`; parts that are not given have their defaults."""

    compression: CompressionConfig | None = None
    """Train the scene for a codec; None leaves it as it is."""

    parts: dict[str, Any] = field(default_factory=dict)
    """Further parts of the training and their settings (trainers/parts/registry.py)."""

    reorder_every: Annotated[int, STEP] = 1000
    """After so many steps Gaussians are put in an order that keeps neighbours in space near in memory, which
    makes steps faster; 0: never."""
    log_every: Annotated[int, INTERVAL] = 50
    """Steps between two lines of history.jsonl; losses are also checked to be finite then."""
    evaluations: Annotated[int, STEP] = 10
    """How often test views are measured for the curve of the report; the last time is at the end."""
    checkpoint_seconds: Annotated[float, NOT_NEGATIVE] = 60.0
    """Time between two checkpoints."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.test_every == 1:
            raise ValueError("test_every = 1 leaves no image to train on; expected 0 or at least 2")
        try:
            rates = self.learning_rates.completed(primitives.get(self.primitive).schema)
        except UsageError as error:
            raise ValueError(str(error)) from None
        object.__setattr__(self, "learning_rates", rates)
        try:
            defaults = configurations(self.strategy)
        except UsageError as error:
            raise ValueError(str(error)) from None
        if unknown := sorted(set(self.densify) - set(defaults)):
            raise ValueError(f"densify.{unknown[0]!r} is no part of the strategy {self.strategy!r}")
        object.__setattr__(self, "densify", {**defaults, **self.densify})
        try:
            for part in self.parts:
                settings_class(part)
        except UsageError as error:
            raise ValueError(f"parts: {error}") from None

    @classmethod
    def from_entries(cls, entries: dict[str, Any]) -> TrainConfig:
        """Entries of a file, of which the density control and the parts have classes of their own.

        Raises:
            ValueError: names the offending entry.
        """
        if "densify" in entries:
            entries["densify"] = _densify(entries["densify"], entries.get("strategy", cls.strategy))
        if "parts" in entries:
            entries["parts"] = _parts(entries["parts"])
        return cls(**entries)

    @property
    def alpha_rule(self) -> AlphaRule | Literal["mask"]:
        """What becomes of the transparency of photographs. Where not one colour is behind the scene, it is
        kept, and they are composited on whatever is rendered behind it."""
        if self.alpha != "auto":
            return self.alpha
        return self.background if self.background in ("black", "white") else "keep"

    @property
    def data_folder(self) -> Path:
        """The folder of the photographs' capture, also where a file in it was named."""
        data = Path(self.data)
        return data if data.is_dir() else data.parent

    @property
    def max_gaussians(self) -> int | None:
        """The cap of the strategy, if it has one."""
        return create(self.strategy, self.densify).most

    @property
    def densify_threshold(self) -> str | None:
        """How the density control's threshold follows from gradients, if it has one."""
        chosen = (getattr(settings, "threshold", None) for settings in self.densify.values())
        return next((threshold for threshold in chosen if threshold is not None), None)

    @property
    def drawn(self) -> RenderSettings:
        """How the scene is drawn while it is trained."""
        return RenderSettings(
            eps2d=self.eps2d,
            antialiased=self.antialiased,
            order=self.order,
            unscented=self.footprint == "unscented",
        )

    @property
    def scale_rule(self) -> ScaleRule:
        """What the scene's length is for the strategy."""
        return create(self.strategy, self.densify).scale

    def with_shared(self, **values: Any) -> TrainConfig:
        """What concerns the whole run, told to each part of the density control that has a field for it."""
        densify = {part: with_shared(settings, **values) for part, settings in self.densify.items()}
        return replace(self, densify=densify)

    @property
    def on_mesh(self) -> FacesConfig | None:
        """How the Gaussians hang on the faces of a mesh, where they do."""
        return self.parts.get("faces")

    @property
    def pixel_aligned(self) -> PixelAlignedConfig | None:
        """How the Gaussians stay on the rays of pixels at first, where they do."""
        return self.parts.get("pixel_aligned")

    @property
    def mesh(self) -> str | None:
        """The mesh whose faces carry the Gaussians, if any."""
        return None if self.on_mesh is None else self.on_mesh.mesh

    @property
    def faces(self) -> str | None:
        """What Gaussians on faces are, as `--faces` has it."""
        return None if self.on_mesh is None else self.on_mesh.model

    @property
    def model(self) -> str:
        """The primitive, as `--model` has it."""
        return self.primitive

    @property
    def antialiasing(self) -> str:
        """What `--antialiasing` says, "other" for other settings."""
        own = {way.primitive for way in ANTIALIASINGS.values()}
        primitive = self.primitive if self.primitive in own else PLAIN
        now = Antialiasing(primitive, self.antialiased, self.eps2d)
        return next((name for name, way in ANTIALIASINGS.items() if way == now), "other")

    @property
    def compress(self) -> str | None:
        """The codec that the scene is trained for, if any."""
        if self.compression is not None:
            return self.compression.codec
        return next((codec for codec, part in LEARNT_CODECS.items() if part in self.parts), None)

    @property
    def appearance(self) -> str:
        """How photographs may differ in their colours, as `--appearance` has it."""
        return appearance_of(self.parts)

    @property
    def transient(self) -> str:
        """How what moves through the picture is found, as `--transient` has it."""
        return transient_of(self.parts)

    @property
    def depth(self) -> str | None:
        """What `--depth` says."""
        return self.parts["depth"].folder if "depth" in self.parts else None

    @property
    def normals(self) -> str | None:
        """What `--normals` says."""
        return self.parts["normals"].folder if "normals" in self.parts else None

    @property
    def adam_steps(self) -> int:
        """How many steps Adam takes; with Levenberg-Marquardt not fewer than density control needs."""
        if self.optimizer == "adam":
            return self.steps
        ends = create(self.strategy, self.densify).ends
        return min(max(round(self.lm.start * self.steps), ends), self.steps)

    @property
    def last_step(self) -> int:
        """The number of the last step, iterations of Levenberg-Marquardt included."""
        return self.adam_steps + (self.lm.iterations(self.steps) if self.optimizer == "lm" else 0)

    def is_long(self, step: int) -> bool:
        """Whether the step is one of few on many photographs, and deserves a line of history for itself."""
        return step > self.adam_steps and self.lm.method == "full"

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def read_config(path: Path) -> TrainConfig:
    """Reads a `config.json`.

    Raises:
        DataError: the file is missing, is not JSON, or has an unknown key or a value of the wrong type.
    """
    try:
        return from_json(TrainConfig, parse_json(path.read_bytes()))
    except FileNotFoundError:
        raise DataError(path, "there is no such file", remedy="Is this a run folder?") from None
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror}", remedy="Is this a run folder?") from None
    except ValueError as error:
        raise DataError(path, str(error), remedy="Correct the entry or take the file from a run.") from error


def _densify(values: dict[str, Any], strategy: str) -> dict[str, Any]:
    """The configurations of a strategy's parts, each of its own class."""
    try:
        known = configurations(strategy)
    except UsageError as error:
        raise ValueError(str(error)) from None
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(
            f"unknown entry densify.{unknown[0]!r}; strategy {strategy!r} has {', '.join(known)}"
        )
    return {part: from_json(type(known[part]), values[part], f"densify.{part}.") for part in values}


def _parts(values: dict[str, Any]) -> dict[str, Any]:
    """The settings of the training's further parts, each of its own class."""
    try:
        return {part: from_json(settings_class(part), values[part], f"parts.{part}.") for part in values}
    except UsageError as error:
        raise ValueError(f"parts: {error}") from None
