"""Files of mkkellogg's .ksplat, which this program reads and does not write."""

from __future__ import annotations

import struct

import numpy as np
import torch

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import SH_C0

BLOCK, RANGE, BUCKET = 5.0, 32767, 4


def written_ksplat(scene: Gaussians, level: int) -> bytes:
    """Two buckets: a full one of four splats and a partly filled one of the rest."""
    n, degree = scene.num, scene.sh_degree
    centers = np.stack([scene.means[:BUCKET].mean(0), scene.means[BUCKET:].mean(0)]).astype("<f4")
    own = centers[(np.arange(n) >= BUCKET).astype(int)]
    kind = "<f2" if level else "<f4"
    means = scene.means.numpy()
    if level:
        means = (np.rint((means - own) * RANGE / (BLOCK / 2)) + RANGE).clip(0, 2 * RANGE + 1)
    bands = [
        scene.shN[:, d * d - 1 : d * d + 2 * d].transpose(1, 2).reshape(n, -1) for d in range(1, degree + 1)
    ]
    sh = torch.cat(bands, dim=1).numpy() if bands else np.zeros((n, 0))
    rgba = np.rint(255 * np.c_[0.5 + SH_C0 * scene.sh0[:, 0], scene.opacities.sigmoid()]).clip(0, 255)
    columns = [
        means.astype("<u2" if level else "<f4"),
        scene.scales.exp().numpy().astype(kind),
        torch.nn.functional.normalize(scene.quats, dim=1).numpy().astype(kind),
        rgba.astype("u1"),
        np.rint((sh + 1.5) / 3 * 255).astype("u1") if level == 2 else sh.astype(kind),
    ]
    records = np.concatenate([np.ascontiguousarray(c).view("u1").reshape(n, -1) for c in columns], axis=1)
    header = struct.pack("<BBHIIIIH2x3fff", 0, 1, 0, 1, 1, n, n, level, 0, 0, 0, 0, 0).ljust(4096, b"\0")
    buckets = (2, 12, 1, 1) if level else (0, 0, 0, 0)
    section = struct.pack(
        "<IIIIfH2xIIIIH",
        n,
        n,
        BUCKET,
        buckets[0],
        BLOCK,
        buckets[1],
        RANGE,
        0,
        buckets[2],
        buckets[3],
        degree,
    )
    data = (struct.pack("<I", n - BUCKET) + centers.tobytes() if level else b"") + records.tobytes()
    return header + section.ljust(1024, b"\0") + data
