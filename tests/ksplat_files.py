"""Files of mkkellogg's .ksplat, which this program reads and does not write."""

from __future__ import annotations

import struct

import numpy as np
import torch

from gsplat_core.scene.gaussians import Gaussians

C0 = 0.28209479177387814
BLOCK, RANGE, BUCKET = 5.0, 32767, 4


def written_ksplat(scene: Gaussians, level: int) -> bytes:
    """Two buckets: a full one of four splats and a partly filled one of the rest."""
    n, degree = scene.num, scene.sh_degree
    centers = np.stack([scene.means[:BUCKET].mean(0), scene.means[BUCKET:].mean(0)]).astype("<f4")
    own = centers[(np.arange(n) >= BUCKET).astype(int)]
    kind = "<f2" if level else "<f4"
    records = b""
    rgba = (
        np.rint(255 * np.c_[0.5 + C0 * scene.sh0[:, 0], scene.opacities.sigmoid()]).clip(0, 255).astype("u1")
    )
    bands = [
        scene.shN[:, d * d - 1 : d * d + 2 * d].transpose(1, 2).reshape(n, -1) for d in range(1, degree + 1)
    ]
    sh = torch.cat(bands, dim=1).numpy() if bands else np.zeros((n, 0))
    for i in range(n):
        center = scene.means[i].numpy()
        if level:
            steps = np.rint((center - own[i]) * RANGE / (BLOCK / 2)) + RANGE
            records += steps.clip(0, 2 * RANGE + 1).astype("<u2").tobytes()
        else:
            records += center.astype("<f4").tobytes()
        records += scene.scales[i].exp().numpy().astype(kind).tobytes()
        records += torch.nn.functional.normalize(scene.quats[i], dim=0).numpy().astype(kind).tobytes()
        records += rgba[i].tobytes()
        coded = np.rint((sh[i] + 1.5) / 3 * 255).astype("u1") if level == 2 else sh[i].astype(kind)
        records += coded.tobytes()
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
    data = (struct.pack("<I", n - BUCKET) + centers.tobytes() if level else b"") + records
    return header + section.ljust(1024, b"\0") + data
