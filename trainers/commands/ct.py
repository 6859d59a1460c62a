"""`gsplat-core ct`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from gsplat_core.errors import DataError, UsageError
from trainers.options import OptionalCount
from trainers.paths import must_exist

if TYPE_CHECKING:
    from gsplat_core.tomography.scan import Scan
    from trainers.ct.config import IntensityConfig, RadiativeConfig


def ct(
    data: Positional[Annotated[Path, arg(metavar="DATA")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="RUN")],
    method: Literal["r2", "xgaussian"] = "r2",
    steps: OptionalCount = None,
    max_gaussians: OptionalCount = None,
    seed: int = 0,
    device: Literal["cpu", "cuda", "auto"] = "auto",
    set: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...", help_behavior_hint="")] = (),
    overwrite: bool = False,
) -> None:
    """Reconstruct a volume from X-ray projections.

    With r2, Gaussians are densities whose line integrals are the projections (R2-Gaussian); writes the volume
    as .npy and as MetaImage (.mhd), which 3D Slicer and ITK-SNAP open. With xgaussian they are blended
    intensities (X-Gaussian), which predict projections only. Both write the test projections, measurements
    and a report.

    Args:
        data: folder with a geometry.json (docs/radiative.md), or a pickle of NAF, SAX-NeRF or R2-Gaussian, of
            which nothing is run.
        output: folder to write.
        method: what the Gaussians are.
        steps: one projection each (default: 3,000).
        max_gaussians: at most so many Gaussians (default: 50,000).
        seed: of everything random.
        device: where to compute; auto takes a GPU when there is one.
        set: other settings, such as tv=0.1 or initial=50000.
        overwrite: replace what such a command has written into the output folder.
    """
    must_exist(data)
    from gsplat_core.io.links import make_folder
    from trainers.ct.reconstruction import reconstructed
    from trainers.ct.results import METRICS, write_outcome
    from trainers.messages import complain, say
    from trainers.session import choose_device

    given = {"steps": steps, "max_gaussians": max_gaussians, "seed": seed}
    config = _config(method, given, set)
    if output.exists() and any(output.iterdir() if output.is_dir() else [output]):
        if not (output / "ct.json").is_file():
            raise UsageError(
                f"{output} has something else in it than a reconstruction. Choose another folder."
            )
        if not overwrite:
            raise UsageError(
                f"{output} has a reconstruction in it. Add --overwrite, or choose another folder."
            )
    where = choose_device(device)
    scan = _read(data)

    def told(step: int, loss: float, num: int) -> None:
        if step == config.steps or step % max(config.steps // 10, 1) == 0:
            complain(f"step {step:,} of {config.steps:,}: loss {loss:.5f}, {num:,} Gaussians")

    make_folder(output.parent)
    outcome = reconstructed(scan, config, where, told)
    write_outcome(output, scan, data.name or "scan", config, outcome)
    metrics = outcome.metrics
    if "psnr_3d" in metrics:
        say(
            f"volume       {metrics['psnr_3d']:6.2f} dB  {metrics['ssim_3d']:.4f}  (filtered backprojection "
            f"{metrics['fdk_psnr_3d']:.2f} dB  {metrics['fdk_ssim_3d']:.4f})"
        )
    if "psnr_2d" in metrics:
        say(
            f"projections  {metrics['psnr_2d']:6.2f} dB  {metrics['ssim_2d']:.4f}  mean of "
            f"{metrics['test_views']} test views; each from 0 to 1, {metrics['psnr_2d_minmax']:.2f} dB"
        )
    say(
        f"{metrics['num_gaussians']:,} Gaussians",
        *([f"volume   {output / 'volume.mhd'}"] if outcome.volume is not None else []),
        f"metrics  {output / METRICS}",
        f"report   {output / 'report.html'}",
    )


def _config(
    method: str, given: dict[str, Any], settings: tuple[str, ...]
) -> RadiativeConfig | IntensityConfig:
    from gsplat_core.ranges import ranges_of
    from gsplat_core.strict_json import parse_json
    from trainers.ct.config import IntensityConfig, RadiativeConfig
    from trainers.fields import check_option, from_json

    kind: Any = RadiativeConfig if method == "r2" else IntensityConfig
    for name, value in given.items():
        check_option(name, value, ranges_of(kind)[name])
    values = {name: value for name, value in given.items() if value is not None}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: expected NAME=VALUE, for example tv=0.1.")
        try:
            values[name] = parse_json(text)
        except ValueError:
            values[name] = text
    try:
        config: RadiativeConfig | IntensityConfig = from_json(kind, values)
        return config
    except ValueError as error:
        raise UsageError(f"--set {' '.join(settings)}: {error}") from None


def _read(data: Path) -> Scan:
    from gsplat_core.tomography.geometry_file import NAME, read_scan
    from gsplat_core.tomography.naf import read_naf

    if data.is_dir():
        return read_scan(data)
    if data.name == NAME:
        return read_scan(data.parent)
    if data.suffix in (".pickle", ".pkl"):
        return read_naf(data)
    raise DataError(data, "expected a folder with a geometry.json, or a .pickle")
