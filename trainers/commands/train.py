"""`gsplat-core train`"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from gsplat_core.errors import UsageError
from gsplat_core.sfm.video import is_video
from trainers.commands.view import check_port
from trainers.paths import must_be_photographs, must_exist

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainers.config import TrainConfig
    from trainers.observer import Observer
    from trainers.run_folder import RunFolder

Preset = Literal["default", "fast", "tiny", "published"]
Background = Literal["auto", "black", "white", "random"]
Antialiasing = Literal["none", "screen", "mip", "analytic"]
Where = Literal["auto", "always", "never"]
Alpha = Literal["auto", "black", "white", "mask", "ignore"]
Distortion = Literal["undistort", "keep"]


_OF_NUMBERS = ("strategy", "densify_threshold", "densify_scale", "max_gaussians", "start", "sky", "gaps")
"""Options that say how many Gaussians there are, or where they start."""


def _option(metavar: str, default: str, *aliases: str) -> Any:
    """Help of an option that is None when not given: then the preset or the resumed run decides."""
    return arg(metavar=metavar, help_behavior_hint=f"(default: {default})", aliases=aliases)


@dataclass(frozen=True)
class TrainOptions:
    data: Positional[Annotated[Path, arg(metavar="DATA")]]
    """Folder with images/ and sparse/0/ (COLMAP), or with a transforms.json (nerfstudio, NeRF); or
    photographs alone or a video, which are reconstructed first (docs/reconstructing.md)."""
    output: Annotated[Path | None, _option("RUN", "runs/NAME_OF_DATA", "-o")] = None
    """Run folder to write."""
    preset: Annotated[Preset | None, _option("{default,fast,tiny,published}", "default")] = None
    """Length and schedules: default has 30,000 steps, fast 7,000, tiny is a first
    look; published is 3DGS as its paper has it."""
    model: Annotated[str | None, _option("{gaussian,6dgs,ges,...}", "gaussian")] = None
    """What the scene consists of: Gaussians, or a primitive with more fields than these, such as Gaussians
    over viewing directions, too, for what shines (docs/models.md)."""
    renderer: Annotated[
        Literal["rasterizer", "raygauss"] | None, _option("{rasterizer,raygauss}", "rasterizer")
    ] = None
    """How the scene is drawn: as splats, or as a density that rays are cast through, which is the same as
    --model raygauss (docs/raygauss.md)."""
    antialiasing: Annotated[Antialiasing | None, _option("{none,screen,mip,analytic}", "none")] = None
    """How what is smaller than a pixel is drawn: blurred, also compensated (screen), with both filters of
    Mip-Splatting (mip), or integrated over the pixel (analytic), for views from nearer and farther than the
    photographs (docs/antialiasing.md)."""
    order: Annotated[Literal["global", "pixel"] | None, _option("{global,pixel}", "global")] = None
    """In which order a pixel blends Gaussians: by the depths of their centres, or each pixel by its own, so
    that nothing pops when a camera turns (docs/orders.md)."""
    footprint: Annotated[Literal["ewa", "unscented"] | None, _option("{ewa,unscented}", "ewa")] = None
    """What splat a camera makes of a Gaussian: by its linearization, or of sigma points (the unscented
    transform), for fisheye and other wide lenses (docs/cameras.md)."""
    strategy: Annotated[str | None, _option("{mcmc,adc,lpm,...}", "the preset's")] = None
    """Density control: a strategy, perhaps with plug-ins, such as mcmc+lpm (docs/strategies.md)."""
    densify_threshold: Annotated[str | None, _option("{absolute,top:Q,ema:K}", "absolute")] = None
    """Which gradients make Gaussians grow (ADC): those above a fixed one, the largest Q of all, or
    those above K times their running mean (docs/strategies.md)."""
    densify_scale: Annotated[Path | None, _option("FILE", "the same threshold for all")] = None
    """Thresholds by the label of a Gaussian, such as {"scales": {"1": 0.5}}: those with label 1 grow at half
    the gradient. The labels are those of --start (docs/strategies.md)."""
    optimizer: Annotated[Literal["adam", "lm"] | None, _option("{adam,lm}", "adam")] = None
    """What finishes the run: Adam, or Levenberg-Marquardt where the photographs determine enough."""
    steps: Annotated[int | None, _option("N", "the preset's")] = None
    """Number of steps; the schedules of the preset are stretched to it."""
    downscale: Annotated[float | None, _option("K", "1")] = None
    """Shrink the images by this factor, such as 2 or 1.5."""
    dilation: Annotated[Literal["auto"] | int | None, _option("{auto,1,2,3,...}", "1")] = None
    """Blend only every so many-th pixel of each row and column, others in each step, until the last fifth of
    the run: photographs of 2 megapixels and more cost less so (docs/training.md). auto: by their pixels."""
    max_gaussians: Annotated[int | None, _option("N", "from the photographs' pixels")] = None
    """At most so many Gaussians, from the start on."""
    active_set: Annotated[float | None, _option("GB", "all in memory")] = None
    """Train a scene that is larger than memory: the Gaussians in training take at most so many GiB, and the
    others are on disk (docs/mapping.md)."""
    device: Annotated[Literal["cpu", "cuda", "auto"] | None, _option("{cpu,cuda,auto}", "auto")] = None
    """Where to compute; auto takes a GPU when there is one."""
    seed: Annotated[int | None, _option("S", "0")] = None
    """Of everything random."""
    test_every: Annotated[int | None, _option("N", "8")] = None
    """Every N-th image in name order, the first included, is held out for testing; 0 trains on all."""
    sparse_model: Annotated[str | None, _option("NAME", "the one with most images")] = None
    """Which sparse model of the folder, for example 0."""
    compress: Annotated[str | None, _option("{scalar,vq,...}", "no")] = None
    """Train the scene for a codec (anchors for --model scaffold); also writes point_cloud.gsz, and measures
    what that decodes to."""
    appearance: Annotated[
        Literal["affine", "embedding", "bilateral", "none"] | None,
        _option("{affine,embedding,bilateral,none}", "none"),
    ] = None
    """Learn with the scene how each photograph differs from the others: its exposure (an affine change of
    colours), how the scene looked (embedding), or what the camera did from place to place (a bilateral grid);
    docs/appearance.md."""
    transient: Annotated[Literal["robust", "none"] | None, _option("{robust,none}", "none")] = None
    """Find people, cars and whatever else moves through the photographs, and do not count it
    (docs/transients.md)."""
    confidence: bool = False
    """Learn how far to trust each pixel of the photographs, where some are broken (docs/captures.md)."""
    optimize_poses: bool = False
    """Learn with the scene where each photograph was taken, from the pose that the capture has, where poses
    are a little wrong (docs/poses.md)."""
    optimize_intrinsics: bool = False
    """Learn with the scene the focal length, the principal point and the distortion of each lens
    (docs/poses.md)."""
    parts: Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="")] = ()
    """Further parts of the training, by name (trainers/parts/registry.py)."""
    images: Annotated[Path | None, _option("FOLDER", "images and the like")] = None
    """Folder of the photographs, inside DATA or anywhere."""
    masks: Annotated[Path | None, _option("FOLDER|none", "DATA/masks, if it is there")] = None
    """Folder of their masks: white is kept, black ignored; none uses all photographs whole."""
    depth: Annotated[Path | None, _option("FOLDER|sparse", "no")] = None
    """Folder of depth maps, one for each photograph, that the scene is to agree with; sparse: the 3D points
    (docs/surfaces.md)."""
    sparse: bool = False
    """For two to five photographs: one Gaussian for each pixel, which stays on its ray at first, as deep as
    --depth, 3D points and the photographs themselves tell (docs/few_views.md)."""
    normals: Annotated[Path | None, _option("FOLDER", "no")] = None
    """Folder of normal maps, one for each photograph, that the scene is to agree with (docs/surfaces.md)."""
    alpha: Annotated[Alpha | None, _option("{auto,black,white,mask,ignore}", "auto")] = None
    """What transparent photographs are composited on; auto: on the background of the scene; mask: what is
    transparent does not count."""
    distortion: Annotated[Distortion | None, _option("{undistort,keep}", "undistort")] = None
    """Undistort the photographs, or train on them as they are, with cameras that distort as their lenses."""
    exif_rotate: bool = False
    """Turn photographs as their EXIF data ask for, where they fit their camera that way."""
    strict: bool = False
    """Stop at a photograph that cannot be read, instead of leaving it out."""
    background: Annotated[Background | None, _option("{auto,black,white,random}", "auto")] = None
    """Colour behind the scene in training; auto lets the photographs decide: random where there is a sky."""
    sky: Annotated[Where | None, _option("{auto,always,never}", "auto")] = None
    """Start with Gaussians behind everything, too; auto: where many rays look past all 3D points."""
    gaps: Annotated[Where | None, _option("{auto,always,never}", "auto")] = None
    """Start with Gaussians in gaps between the 3D points, too; auto: where these are large."""
    start: Annotated[Path | None, _option("SCENE", "3D points")] = None
    """Start with the Gaussians of a run or splat file, whatever fields they have, instead of 3D points."""
    mesh: Annotated[Path | None, _option("MESH", "none")] = None
    """Train Gaussians on the faces of this mesh (.ply, .obj, .glb), in the coordinates of the scene, and the
    mesh with them (docs/binding.md). The result hangs on the mesh: render RUN --mesh-sequence DIR."""
    faces: Annotated[Literal["sugar", "games"] | None, _option("{sugar,games}", "sugar")] = None
    """What Gaussians on faces are: discs at fixed places of faces whose vertices move (SuGaR), or ellipses
    that have the shape of their face and slide in it (GaMeS)."""
    set: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...", help_behavior_hint="")] = ()
    """Change entries of config.json, such as mcmc.refine_every=50 or learning_rates.opacities=0.025."""
    config: Annotated[Path | None, _option("FILE", "the preset")] = None
    """Start from this config.json instead of a preset."""
    view: bool = False
    """Watch the training in the browser; prints the address (docs/viewer.md)."""
    port: int = 8080
    """Port of --view; the next free one if it is taken."""
    log: tuple[Literal["jsonl", "tensorboard", "wandb"], ...] = ()
    """Write the curves for these programs, too; jsonl is history.jsonl, which every run has."""
    resume: bool = False
    """Continue the run in the output folder where it stopped."""
    overwrite: bool = False
    """Replace the run in the output folder."""


def train(options: Annotated[TrainOptions, arg(name="")]) -> None:
    """Fit a scene to photographs and measure it on held-out views.

    Where nothing says from where they were taken, that is found first and kept beside the run, as
    `gsplat-core reconstruct` does, which has options for it.

    Writes config.json, metrics.json, history.jsonl, checkpoints/, point_cloud.ply, test/ and report.html into
    the run folder. Ctrl-C writes a checkpoint; the same command with --resume continues.
    """
    must_be_photographs(options.data)
    check_options(options)
    must_exist(options.config)
    must_exist(options.start)
    must_exist(options.mesh)

    from rich.console import Console

    from trainers import session
    from trainers.messages import tell
    from trainers.next_steps import next_steps, quoted
    from trainers.reconstruction import lack_poses, reconstructed
    from trainers.run_folder import RunFolder

    console = Console()
    data = options.data.resolve()
    run = RunFolder(options.output or Path("runs") / (data.stem if is_video(data) else data.name))
    source = None
    if lack_poses(options.data):
        source, options = without_poses(options, run.path)
    observers = observers_of(options, lambda text: tell(console, text))
    continues = options.resume and run.exists
    config = _continued(run, options) if continues else started(run, options)
    if source is not None:
        reconstructed(source, options.data)
    metrics = session.train(
        config, run, console, resume=options.resume, overwrite=options.overwrite, observers=observers
    )
    tell(
        console,
        f"{metrics['split']} PSNR {metrics['psnr']:.2f} dB, SSIM {metrics['ssim']:.3f}, "
        f"{metrics['num_gaussians']:,} Gaussians, {metrics['train_seconds']:.1f} s of training",
        f"scene   {run.point_cloud}",
        f"report  {run.report}",
        *next_steps(
            ("view", quoted(run.path), "look around in the browser"),
            ("render", quoted(run.path), "a video of it"),
            ("export", f"{quoted(run.path)} -o scene.sog", "a small file to share"),
        ),
    )


def without_poses(options: TrainOptions, run: Path) -> tuple[Path, TrainOptions]:
    """What is to be reconstructed, and the options with the folder that comes of it in its place: beside the
    run, so that other runs of the same photographs find it.

    Args:
        run: the run folder.
    """
    data = options.data
    named = {
        name: data / folder
        for name, folder in _given(options, "images", "masks", "depth", "normals").items()
        if (data / folder).is_dir()
    }
    source = named.pop("images", options.images) or data
    folder = run.parent / f"{data.resolve().stem if data.is_file() else data.resolve().name}_reconstructed"
    return source, replace(options, data=folder, images=None, **named)


def observers_of(options: TrainOptions, say: Callable[[str], None]) -> list[Observer]:
    """
    Raises:
        UsageError: a log needs a package that is not installed.
    """
    from trainers.logs import LOGS

    observers = [LOGS[name]() for name in dict.fromkeys(options.log)]
    if options.view:
        from trainers.viewer.following import Following

        observers.append(Following("127.0.0.1", options.port, say))
    return observers


def check_options(options: TrainOptions) -> None:
    from gsplat_core.ranges import Range, ranges_of
    from trainers.config import TrainConfig
    from trainers.fields import check_option

    names = ("steps", "downscale", "dilation", "test_every", "seed", "active_set")
    ranges = {name: ranges_of(TrainConfig)[name] for name in names}
    for name, allowed in (ranges | {"max_gaussians": Range(1)}).items():
        check_option(name, getattr(options, name), allowed)
    if options.view:
        check_port(options.port)
    if options.view and options.active_set is not None:
        raise UsageError("--view shows a scene that is in memory; leave it or --active-set out.")
    if options.test_every == 1:
        raise UsageError(
            "--test-every 1 leaves no image to train on; use 0 for no test images, or at least 2."
        )
    if options.resume and options.overwrite:
        raise UsageError("--resume continues a run and --overwrite replaces it; use one of them.")
    if options.sparse and options.start:
        raise UsageError("--sparse starts with the pixels of the photographs; leave out --start.")
    if options.faces and not options.mesh:
        raise UsageError("--faces says what Gaussians on a mesh are; add --mesh MESH.")
    if options.preset and options.config:
        raise UsageError("--preset and --config both choose the settings; use one of them.")


def _given(options: TrainOptions, *names: str) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _parts(options: TrainOptions) -> tuple[str, ...]:
    flags = {
        "confidence": options.confidence,
        "poses": options.optimize_poses,
        "intrinsics": options.optimize_intrinsics,
        "pixel_aligned": options.sparse,
    }
    return (*options.parts, *(name for name, given in flags.items() if given))


def _supervision(options: TrainOptions) -> dict[str, str]:
    """The folders of depth and normal maps, as the configuration has them."""
    from trainers.parts.depth import SPARSE
    from trainers.sources import folder_of

    return {
        name: SPARSE if str(folder) == SPARSE else folder_of(options.data, folder)
        for name, folder in _given(options, "depth", "normals").items()
    }


def _loading(options: TrainOptions) -> dict[str, Any]:
    """What was given of how photographs are found and read, as the configuration has it."""
    from trainers.sources import folder_of

    folders = {
        name: folder_of(options.data, folder) for name, folder in _given(options, "images", "masks").items()
    }
    flags = {name: True for name in ("exif_rotate", "strict") if getattr(options, name)}
    return _given(options, "alpha", "distortion") | folders | flags


def started(run: RunFolder, options: TrainOptions) -> TrainConfig:
    """The configuration of a new run."""
    from trainers.config import read_config
    from trainers.densify_scale import with_scales
    from trainers.few_views import with_few_views
    from trainers.on_mesh import refuse_without_meaning, with_mesh
    from trainers.parts.registry import (
        refuse_second_order,
        with_appearance,
        with_codec,
        with_folder,
        with_parts,
        with_transient,
    )
    from trainers.presets import preset, scaled_to, with_antialiasing, with_primitive, with_strategy
    from trainers.primitives import USUAL_PARTS, model_of, own_strategy
    from trainers.settings import with_settings

    if run.exists and not options.overwrite:
        raise UsageError(
            f"{run.path} already holds a run. Use --resume to continue it, --overwrite to replace it, "
            "or choose another folder with -o."
        )
    config = read_config(options.config) if options.config else preset(options.preset or "default")
    model = model_of(options.model, options.renderer) or _coded(options.compress)
    if model is not None:
        config = with_primitive(config, model)
    if options.antialiasing is not None:
        config = with_antialiasing(config, options.antialiasing)
    strategy = options.strategy or own_strategy(config.primitive, config.strategy)
    if strategy != config.strategy:
        config = with_strategy(config, strategy)
    if options.steps is not None:
        config = scaled_to(config, options.steps)
    config = replace(
        config,
        data=str(options.data.resolve()),
        **_given(
            options,
            "downscale",
            "dilation",
            "active_set",
            "device",
            "seed",
            "test_every",
            "sparse_model",
            "background",
            "sky",
            "gaps",
            "optimizer",
            "order",
            "footprint",
        ),
        **_loading(options),
    )
    if options.compress is not None:
        config = with_codec(config, options.compress)
    if options.appearance is not None:
        config = with_appearance(config, options.appearance)
    if options.transient is not None:
        config = with_transient(config, options.transient)
    if options.mesh is not None:
        refuse_without_meaning({name: getattr(options, name) for name in _OF_NUMBERS})
        config = with_mesh(config, options.mesh, options.faces)
    config = with_parts(config, (*_parts(options), *USUAL_PARTS.get(config.primitive, ())))
    if options.sparse:
        config = with_few_views(config)
    for part, folder in _supervision(options).items():
        config = with_folder(config, part, folder)
    if options.start is not None:
        # Colours of all directions are there from the first step on.
        config = replace(config, start=str(options.start.resolve()), sh_degree_every=0)
    config = config.with_shared(seed=config.seed)
    if options.max_gaussians is not None:
        config = replace(config, cap="none").with_shared(max_gaussians=options.max_gaussians)
        if config.max_gaussians != options.max_gaussians:
            raise UsageError(f"--max-gaussians: the density control {config.strategy!r} has no such limit.")
    if options.densify_threshold is not None:
        config = _with_threshold(config, options.densify_threshold)
    if options.densify_scale is not None:
        config = with_scales(config, options.densify_scale)
    config = with_settings(config, options.set)
    refuse_second_order(config)
    return config


def _coded(codec: str | None) -> str | None:
    """The primitive of the scenes that a codec codes, where it has one of its own."""
    from gsplat_core.compress.registry import CODECS
    from gsplat_core.scene.gaussians import PLAIN

    coded = CODECS[codec].primitive if codec in CODECS else PLAIN
    return None if coded == PLAIN else coded


def _with_threshold(config: TrainConfig, threshold: str) -> TrainConfig:
    if config.densify_threshold is None:
        raise UsageError(
            f"--densify-threshold: the density control {config.strategy!r} compares no gradients; add "
            "--strategy adc."
        )
    try:
        return config.with_shared(threshold=threshold)
    except ValueError as error:
        raise UsageError(f"--densify-threshold {threshold}: {error}.") from None


def _continued(run: RunFolder, options: TrainOptions) -> TrainConfig:
    """The configuration of the run in the folder; options that were given must agree with it."""
    from trainers.config import read_config
    from trainers.densify_scale import with_classes, with_scales
    from trainers.settings import with_settings

    config = read_config(run.config)
    # --device is not among them: where it is computed may change, what is computed may not.
    names = (
        "preset", "model", "steps", "downscale", "dilation", "seed", "test_every", "sparse_model", "sky",
        "gaps", "max_gaussians", "densify_threshold", "active_set",
    )  # fmt: skip
    # A run knows what became of `auto`.
    background = () if options.background == "auto" else ("background",)
    names = (
        *names, *background, "strategy", "compress", "optimizer", "appearance", "transient", "antialiasing",
        "order", "footprint",
    )  # fmt: skip
    given = _given(options, *names) | _loading(options) | _supervision(options)
    if options.strategy is not None and options.densify_scale is not None:
        given["strategy"] = with_classes(options.strategy)
    if options.start is not None:
        given["start"] = str(options.start.resolve())
    if options.mesh is not None:
        given |= _given(options, "faces") | {"mesh": str(options.mesh.resolve())}
    for name, value in given.items():
        if value != getattr(config, name):
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{run.path} was started with {option} {getattr(config, name)}, not {value}. "
                f"Leave {option} out to continue it, or start a new run in another folder."
            )
    if missing := [name for name in _parts(options) if name not in config.parts]:
        raise UsageError(f"{run.path} was started without the part {missing[0]!r}; leave it out.")
    scales = options.densify_scale
    if scales is not None and with_scales(config, scales) != config:
        raise UsageError(f"{run.path} was started with other thresholds than --densify-scale {scales}.")
    changed = with_settings(config, options.set)
    if changed != config:
        raise UsageError(f"{run.path} was started with other settings than --set {' '.join(options.set)}.")
    return replace(config, data=str(options.data.resolve()), device=options.device or config.device)
