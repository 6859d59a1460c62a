"""Fields rounded to steps: how a scene looks then, and how it is written and read.

Codecs that store every number of a scene differ in the order of the Gaussians and in what each is predicted
from; this they have in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from gsplat_core.compress import symmetry
from gsplat_core.compress.container import Container
from gsplat_core.compress.fields import FIELDS, from_fields, to_fields
from gsplat_core.compress.positions import Lattice
from gsplat_core.ops.context_coder import decode_table, encode_table
from gsplat_core.scene.sh_rotation import degree_of, num_coefficients

LARGEST_STEP = 64.0
SMALLEST_STEP = 1e-7


@dataclass(frozen=True)
class Steps:
    """Distances between neighbouring values of each field (`fields`) and of positions (`positions`).

    Raises:
        ValueError: a step that is not between `SMALLEST_STEP` and `LARGEST_STEP`.
    """

    position: float = 2.0**-10
    dc: float = 0.08
    sh: float = 0.08
    scales: float = 0.2
    rotation: float = 0.04
    opacity: float = 0.4

    def __post_init__(self) -> None:
        for name, step in asdict(self).items():
            if not SMALLEST_STEP <= step <= LARGEST_STEP:
                raise ValueError(f"{name} = {step}: expected a step from {SMALLEST_STEP} to {LARGEST_STEP}")

    def times(self, factor: float) -> Steps:
        """All steps coarser by a factor, positions too."""
        return Steps(**{name: step * factor for name, step in asdict(self).items()})


def rounded_like(
    params: Mapping[str, Tensor], steps: Steps, lattice: Lattice, which: Tensor
) -> dict[str, Tensor]:
    """Raw parameters rounded to the steps after the renamings `which`; gradients pass straight through."""
    with torch.no_grad():
        fields = to_fields(params, which)
        rounded = from_fields(
            {
                field: (values / getattr(steps, field)).round() * getattr(steps, field)
                for field, values in fields.items()
            }
        )
        rounded["quats"], rounded["scales"] = symmetry.undo(rounded["quats"], rounded["scales"], which)
        rounded["quats"] = symmetry.like(rounded["quats"], params["quats"])
        rounded["means"] = lattice.positions(lattice.cells(params["means"]))
    return {name: value + (rounded[name] - value).detach() for name, value in params.items()}


def encoded(
    codec: str, positions: Tensor, lattice: Lattice, fields: Mapping[str, Tensor], steps: Steps, near: Tensor
) -> Container:
    """The coded scene.

    Args:
        codec: name of the codec, see `gsplat_core.compress.registry`.
        positions: their stream, [B] uint8.
        fields: the columns of numbers, in the order of the codec.
        near: [N, 3] int32, for each Gaussian the earlier ones that predict it, as `encode_table` takes them.
    """
    streams = {"positions": positions}
    for name, values in fields.items():
        if values.shape[1]:
            streams[name] = encode_table((values / getattr(steps, name)).round().int(), near)
    header = {
        "codec": codec,
        "count": len(near),
        "sh_degree": degree_of(fields["sh"].shape[1] // 3 + 1),
        "lattice": lattice.to_json(),
        "steps": asdict(steps),
    }
    return Container(header, streams)


def decoded_fields(container: Container, near: Tensor) -> dict[str, Tensor]:
    """The fields that `encoded` wrote, with the same `near`.

    Raises:
        DataError: a stream or step is missing or out of range.
    """
    fields: dict[str, Tensor] = {}
    for name in FIELDS:
        columns = columns_of(name, container.sh_degree)
        table = torch.zeros(container.count, 0, dtype=torch.int32)
        if columns:
            table = decode_table(container.stream(name), near, columns)
        fields[name] = table * container.inner("steps").number(name, SMALLEST_STEP, LARGEST_STEP)
    return fields


def columns_of(field: str, sh_degree: int) -> int:
    """How many columns a field has."""
    return {"sh": 3 * (num_coefficients(sh_degree) - 1), "opacity": 1}.get(field, 3)
