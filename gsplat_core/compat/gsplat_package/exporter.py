"""``gsplat.exporter``"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor

from gsplat_core.arguments import check_choice
from gsplat_core.io import save
from gsplat_core.io.atomic import write_bytes
from gsplat_core.scene.gaussians import Gaussians

_ENDINGS = {"ply": ".ply", "splat": ".splat", "ply_compressed": ".compressed.ply"}

_PIECES = (
    "sh2rgb", "part1by2_vec", "encode_morton3_vec", "sort_centers", "pack_unorm", "pack_111011", "pack_8888",
    "pack_rotation", "splat2ply_bytes_compressed", "splat2ply_bytes", "splat2splat_bytes",
)  # fmt: skip


def export_splats(
    means: Tensor,
    scales: Tensor,
    quats: Tensor,
    opacities: Tensor,
    sh0: Tensor,
    shN: Tensor,
    format: str = "ply",
    save_to: str | None = None,
) -> bytes:
    """The bytes of a splat file, which is also written to `save_to` if that is given.

    Args:
        means: [N, 3].
        scales: [N, 3] logarithms of standard deviations.
        quats: [N, 4] (w, x, y, z).
        opacities: [N] logits.
        sh0, shN: [N, 1, 3] and [N, K - 1, 3] coefficients of spherical harmonics.
        format: "ply", "splat" or "ply_compressed".

    Raises:
        ValueError: there is no such format, or the tensors do not fit together.
        gsplat_core.errors.GsplatError: the scene cannot be written; see :func:`gsplat_core.io.save`.
    """
    check_choice("format", format, tuple(_ENDINGS))
    means, quats, scales, opacities, sh0, shN = (
        tensor.detach().float().cpu() for tensor in (means, quats, scales, opacities, sh0, shN)
    )
    scene = Gaussians(means, quats, scales, opacities, sh0, shN)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scene{_ENDINGS[format]}"
        save(path, scene)
        content = path.read_bytes()
    if save_to is not None:
        write_bytes(save_to, content)
    return content


def __getattr__(name: str) -> Any:
    if name in _PIECES:
        raise ImportError(
            f"gsplat_core does not offer gsplat's {name!r}: a piece of export_splats, which is there"
        )
    raise AttributeError(f"module 'gsplat.exporter' of gsplat_core has no attribute {name!r}")


__all__ = ["export_splats"]
