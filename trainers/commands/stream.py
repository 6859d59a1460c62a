"""`gsplat-core stream`"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from gsplat_core.errors import UsageError
from trainers.commands.train import TrainOptions
from trainers.options import OptionalCount
from trainers.paths import must_exist

if TYPE_CHECKING:
    from trainers.sequence.pieces import Piece
    from trainers.sequence.settings import FrameConfig


RESIDUAL_STEPS = 200
"""QUEEN's ten turns over the photographs of twenty cameras."""


@dataclass(frozen=True)
class StreamOptions(TrainOptions):
    """Those of a training, which say how the first frame is trained, and what is different in the others."""

    residual: bool = False
    """Train frames as what changed since the one before, and write them so (docs/sequences.md)."""
    key_every: OptionalCount = None
    """With --residual: every so-manieth frame is whole, so that it is read without others (default: 10)."""
    frame_steps: OptionalCount = None
    """Training steps of each frame but the first (default: 800, with --residual 200). 0: none."""
    motion_steps: OptionalCount = None
    """Steps before these in which Gaussians only move (default: 200; not with --residual). 0: none."""
    frame_strategy: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    """Density control of these frames (default: unified)."""
    frame_set: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...", help_behavior_hint="")] = ()
    """Change entries of these frames' config.json, as --set does in all, such as coherence.weight=0.4."""
    temporal_normals: Annotated[Path | None, arg(metavar="FLOW", help_behavior_hint="")] = None
    """Folder with the optical flow between each frame and the one before it, with which surfaces stay as they
    were but for how they move (docs/sequences.md)."""


def stream(options: Annotated[StreamOptions, arg(name="")]) -> None:
    """Fit a moving scene, photographed by the same cameras in each frame, from one frame to the next.

    DATA has one folder of photographs for each frame, and beside them a COLMAP model (sparse/0) or a
    transforms.json, which may also lie in the first frame's folder. The first frame is trained as by `train`,
    whose options these are; each other starts from the one before. Writes a run folder for each frame,
    metrics.json and report.html into RUN. --resume goes on where the sequence stopped.
    """
    from trainers.commands import train

    must_exist(options.data, options.config, options.start, options.temporal_normals)
    if not options.data.is_dir():
        raise UsageError(f"{options.data} is a file; a sequence is a folder with a folder for each frame.")
    train.check_options(options)
    _check_residual(options)
    for name in ("images", "masks"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name}: those of each frame lie in its folder; leave it out.")

    from rich.console import Console

    from trainers.messages import tell
    from trainers.next_steps import next_steps, quoted
    from trainers.run_folder import RunFolder
    from trainers.sequence.frames import Frames
    from trainers.sequence.motion import Motion
    from trainers.sequence.overrides import Overrides
    from trainers.sequence.residuals import Residuals, ResidualsConfig
    from trainers.sequence.sequence import train_sequence
    from trainers.sequence.temporal_normals import TemporalNormals

    console = Console()
    settings = _settings(options)
    frames = Frames.find(options.data)
    output = options.output or Path("runs") / options.data.resolve().name
    first = train.started(RunFolder(output), options)
    pieces: list[Piece] = [Motion(settings)]
    if options.residual:
        usual = ResidualsConfig()
        pieces = [Residuals(replace(usual, key_every=options.key_every or usual.key_every), first)]
    if options.temporal_normals is not None:
        pieces.append(TemporalNormals(options.temporal_normals))
    if options.frame_set:
        pieces.append(Overrides(options.frame_set))
    metrics = train_sequence(
        frames, output, replace(first, data=""), settings, console,
        pieces=pieces,
        resume=options.resume,
        overwrite=options.overwrite,
        observers=lambda: train.observers_of(options, lambda text: tell(console, text)),
    )  # fmt: skip
    last = output / list(frames.folders)[-1]
    tell(
        console,
        f"{len(frames.folders)} frames, PSNR {metrics['psnr']:.2f} dB, SSIM {metrics['ssim']:.3f} on average",
        f"report  {output / 'report.html'}",
        *next_steps(
            ("view", quoted(last), "look around in the last frame"),
            ("render", f"{quoted(output)} --frame 0", "a video of the first one"),
        ),
    )


def _check_residual(options: StreamOptions) -> None:
    """Raises UsageError for options of one way to train frames beside those of the other."""
    if options.key_every is not None and (options.key_every < 1 or not options.residual):
        raise UsageError("--key-every is for --residual, and at least 1.")
    if not options.residual:
        return
    for name in ("motion_steps", "frame_strategy"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')}: frames of --residual have none; leave it out.")
    if options.frame_steps == 0:
        raise UsageError("--frame-steps 0: a frame of --residual is what these find; leave it out.")


def _settings(options: StreamOptions) -> FrameConfig:
    from trainers.sequence.settings import FrameConfig

    usual = FrameConfig(motion_steps=0, steps=RESIDUAL_STEPS) if options.residual else FrameConfig()
    steps, motion = options.frame_steps, options.motion_steps
    try:
        return replace(
            usual,
            steps=usual.steps if steps is None else steps,
            motion_steps=usual.motion_steps if motion is None else motion,
            strategy=options.frame_strategy or usual.strategy,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
