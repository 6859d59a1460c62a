"""What a reconstruction leaves: a folder with the scene, the volume, projections, measurements and a
report."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gsplat_core
from gsplat_core.errors import DataError
from gsplat_core.io import save
from gsplat_core.io.atomic import atomic_folder
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.strict_json import write_json
from gsplat_core.tomography.field import DensityField
from gsplat_core.tomography.scan import Scan
from gsplat_core.tomography.write import write_array, write_volume
from trainers.ct.config import IntensityConfig, RadiativeConfig
from trainers.ct.report import ct_report
from trainers.tensor_file import write_tensors

METRICS = "metrics.json"
FIELD = "field.safetensors"


@dataclass(frozen=True, eq=False)
class Outcome:
    """Of a fit.

    Args:
        scene: a density field in the units of the scan, or Gaussians whose volume is in [-1, 1]^3.
        projections: [T, H, W] what it predicts of the test views, in the units of the scan.
        volume: [nx, ny, nz] densities; None where there is none.
        backprojected: the same by filtered backprojection.
        metrics: of these.
        history: of the fit, by step: "step", "loss", "num_gaussians".
    """

    scene: DensityField | Gaussians
    projections: Tensor
    volume: Tensor | None
    backprojected: Tensor | None
    metrics: dict[str, Any]
    history: list[dict[str, float]] = field(default_factory=list)


def write_outcome(
    folder: Path, scan: Scan, name: str, config: RadiativeConfig | IntensityConfig, outcome: Outcome
) -> None:
    """Writes all of it; until the last file is there, `metrics.json`, readers see none.

    Args:
        name: of the data.

    Raises:
        ResourceError: the folder cannot be written.
    """
    settings = {"data": name, **asdict(config)}
    about = {"version": gsplat_core.__version__, "torch": torch.__version__, "machine": platform.machine()}
    with atomic_folder(folder, METRICS) as temporary:
        if isinstance(outcome.scene, DensityField):
            tensors = {key: value.cpu().contiguous() for key, value in outcome.scene._asdict().items()}
            write_tensors(temporary / FIELD, tensors)
        else:
            save(temporary / "point_cloud.ply", outcome.scene)
        if outcome.volume is not None:
            write_array(temporary / "volume.npy", outcome.volume)
            write_volume(temporary / "volume.mhd", outcome.volume, scan.scanner.grid)
        write_array(temporary / "test_projections.npy", outcome.projections)
        write_json(temporary / "ct.json", settings)
        (temporary / "report.html").write_text(ct_report(scan, settings, outcome), encoding="utf-8")
        write_json(temporary / METRICS, {**outcome.metrics, **about})


def read_field(path: Path) -> DensityField:
    """The density field that a run has written, `field.safetensors`.

    Raises:
        DataError: it cannot be read, or is none.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    from gsplat_core.io.source import read_whole

    try:
        tensors = load(read_whole(path))
        found = DensityField(**tensors)
    except (SafetensorError, TypeError, ValueError) as error:
        raise DataError(path, f"no density field: {error!s:.80}") from None
    shapes = {"means": (3,), "quats": (4,), "scales": (3,), "densities": ()}
    for key, shape in shapes.items():
        tensor = getattr(found, key)
        if tensor.dtype != torch.float32 or tensor.shape != (len(found.means), *shape):
            raise DataError(path, f"expected float32 {['N', *shape]}, got {list(tensor.shape)}", key)
    return found
