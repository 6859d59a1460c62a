"""Reconstructions of phantoms by radiative Gaussians, filtered backprojection and SIRT, measured alike.

    .venv/bin/python tools/compare_ct.py --phantom shepp-logan --views 50 25 --set steps=3000 --picture
    out.png

SIRT (Gilbert 1972) here is independent of all else: rays are sampled between where they enter and leave the
volume, each sample in its nearest voxel, and its transpose is exact. Better ones interpolate.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from pathlib import Path

import numpy as np
import torch
from make_phantom import make_scan
from PIL import Image
from torch import Tensor

from gsplat_core.tomography.backprojection import fdk
from gsplat_core.tomography.phantoms import PHANTOMS
from gsplat_core.tomography.scan import Scan
from trainers.ct.config import RadiativeConfig
from trainers.ct.measuring import volume_metrics
from trainers.ct.reconstruction import reconstructed
from trainers.ct.report import slice_of

SAMPLES = 96
"""Of each ray."""
SHOWN = 3
"""Pixels of the picture per voxel."""


def sirt(scan: Scan, iterations: int = 30) -> Tensor:
    """[nx, ny, nz] of a scan whose volume is [-1, 1]^3; densities are kept from being negative."""
    shape = scan.scanner.grid.shape
    origins, directions = scan.scanner.rays()
    near, far = _within_cube(origins, directions)
    hits = far > near
    share = (torch.arange(SAMPLES) + 0.5) / SAMPLES
    voxels, lengths, measured = [], [], []
    for view, hit in enumerate(hits):
        start, length = near[view][hit], (far - near)[view][hit]
        along = start[:, None] + length[:, None] * share
        points = origins[view][hit][:, None] + along[..., None] * directions[view][hit][:, None]
        x, y, z = ((points + 1) / 2 * torch.tensor(shape)).long().clamp(min=0).unbind(-1)
        x, y, z = (place.clamp(max=n - 1) for place, n in zip((x, y, z), shape, strict=True))
        voxels.append(((x * shape[1] + y) * shape[2] + z).int().numpy())
        lengths.append((length / SAMPLES).float().numpy())
        measured.append(scan.integrals[view][hit].numpy())
    rays, step, wanted = map(np.concatenate, (voxels, lengths, measured))
    del voxels
    rows = step * SAMPLES
    columns = np.bincount(rays.ravel(), np.repeat(step, SAMPLES), math.prod(shape)).clip(1e-6)
    volume = np.zeros(math.prod(shape), np.float32)
    for _ in range(iterations):
        rest = (wanted - volume[rays].sum(axis=1) * step) / rows * step
        correction = np.bincount(rays.ravel(), np.repeat(rest, SAMPLES), len(volume)) / columns
        volume = (volume + correction).clip(0).astype(np.float32)
    return torch.from_numpy(volume.reshape(shape))


def _within_cube(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """How far along rays they enter and leave [-1, 1]^3."""
    safe = torch.where(directions.abs() < 1e-12, 1e-12, directions)
    first, second = (-1 - origins) / safe, (1 - origins) / safe
    return torch.minimum(first, second).amax(-1), torch.maximum(first, second).amin(-1)


def compared(scan: Scan, config: RadiativeConfig, iterations: int) -> dict[str, tuple[Tensor, float]]:
    """Volumes by method, and their core-seconds."""
    unit, _ = scan.in_unit_box()
    found = {}
    for name, hann in (("FDK", False), ("FDK, Hann", True)):
        start = time.process_time()
        found[name] = (fdk(unit.train.scanner, unit.train.integrals, hann=hann).clamp(min=0), start)
        found[name] = (found[name][0], time.process_time() - start)
    if iterations:
        start = time.process_time()
        found[f"SIRT, {iterations}"] = (sirt(unit.train, iterations), time.process_time() - start)
    outcome = reconstructed(scan, config, torch.device("cpu"), lambda *_: None)
    assert outcome.volume is not None
    metrics = outcome.metrics
    projected = f"{metrics['psnr_2d']:.2f}, each from 0 to 1 {metrics['psnr_2d_minmax']:.2f}"
    print(f"  {metrics['num_gaussians']:,} Gaussians, PSNR2D {projected}", flush=True)
    found["Gaussians"] = (outcome.volume, outcome.metrics["train_cpu_seconds"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--phantom", choices=PHANTOMS, nargs="+", default=["shepp-logan"])
    parser.add_argument("--beam", choices=("cone", "parallel"), nargs="+", default=["cone", "parallel"])
    parser.add_argument("--views", type=int, nargs="+", default=[50, 25])
    parser.add_argument("--pixels", type=int, default=96)
    parser.add_argument("--voxels", type=int, default=64)
    parser.add_argument("--photons", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=30, help="of SIRT; 0: without it")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of RadiativeConfig")
    parser.add_argument("--picture", type=Path, help="write the middle slices of the last case here")
    given = parser.parse_args()
    settings = dict(setting.split("=") for setting in given.set)
    kinds = {entry.name: type(entry.default) for entry in dataclasses.fields(RadiativeConfig)}
    config = RadiativeConfig(**{name: kinds[name](float(value)) for name, value in settings.items()})
    rows = []
    for phantom in given.phantom:
        for beam in given.beam:
            for views in given.views:
                scan = make_scan(
                    phantom, beam, views, 10, given.pixels, given.voxels, given.photons, given.seed
                )
                assert scan.truth is not None
                found = compared(scan, config, given.iterations)
                measured = {name: volume_metrics(volume, scan.truth) for name, (volume, _) in found.items()}
                cells = [
                    f"{measured[name]['psnr_3d']:.2f} / {measured[name]['ssim_3d']:.3f} ({seconds:.0f} s)"
                    for name, (_, seconds) in found.items()
                ]
                rows.append(f"| {phantom} | {beam} | {views} | " + " | ".join(cells) + " |")
                print(rows[-1], flush=True)
    print("| phantom | beam | views | " + " | ".join(found) + " |")
    print("|---" * (3 + len(found)) + "|", *rows, sep="\n")
    if given.picture:
        draw(given.picture, {"truth": scan.truth, **{name: volume for name, (volume, _) in found.items()}})


def draw(path: Path, volumes: dict[str, Tensor]) -> None:
    """The middle slices along z of volumes beside each other, and along y below."""
    truth = next(iter(volumes.values()))
    peak = float(truth.max())
    rows = []
    for axis in (2, 1):
        slices = [slice_of(volume, axis, volume.shape[axis] // 2) / peak for volume in volumes.values()]
        rows.append(torch.cat([torch.nn.functional.pad(s, (1, 1, 1, 1), value=1.0) for s in slices], dim=1))
    image = (torch.cat(rows).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    Image.fromarray(np.repeat(np.repeat(image, SHOWN, 0), SHOWN, 1)).save(path)


if __name__ == "__main__":
    main()
