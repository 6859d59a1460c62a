"""A scene with its numbers rounded to steps: how it looks then, and how it is written and read.

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
from gsplat_core.compress.fields import FIELDS, columns_of, from_fields, scene_of, to_fields
from gsplat_core.compress.latents import Basis
from gsplat_core.compress.positions import Lattice
from gsplat_core.ops.context_coder import decode_table, encode_table
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import degree_of

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


@dataclass(frozen=True, eq=False)
class Rounding:
    """How the numbers of one scene are rounded.

    Args:
        steps: how coarse.
        lattice: of the positions.
        which: [N], the renaming of each Gaussian's axes (`symmetry`).
        basis: in which spherical harmonics are rounded.
    """

    steps: Steps
    lattice: Lattice
    which: Tensor
    basis: Basis

    @classmethod
    def fit(cls, params: Mapping[str, Tensor], steps: Steps, basis: Basis | None = None) -> Rounding:
        """Fitted to raw parameters; the basis too, unless there is one already."""
        which = symmetry.renaming(params["quats"])
        if basis is None:
            basis = Basis.fit(to_fields(params, which)["sh"], steps.sh)
        return cls(steps, Lattice.around(params["means"], steps.position), which, basis)

    def numbers(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The fields of raw parameters in units of their steps, latents as `sh`. Differentiable."""
        fields = to_fields(params, self.which)
        fields["sh"] = self.basis.latents(fields["sh"])
        return {name: values / getattr(self.steps, name) for name, values in fields.items()}

    def shown(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raw parameters as they are decoded; gradients pass straight through to `params`."""
        with torch.no_grad():
            fields = {
                name: values.round() * getattr(self.steps, name)
                for name, values in self.numbers(params).items()
            }
            fields["sh"] = self.basis.coefficients(fields["sh"])
            rounded = from_fields(fields)
            rounded["quats"], rounded["scales"] = symmetry.undo(
                rounded["quats"], rounded["scales"], self.which
            )
            rounded["quats"] = symmetry.like(rounded["quats"], params["quats"])
            rounded["means"] = self.lattice.positions(self.lattice.cells(params["means"]))
        return {name: value + (rounded[name] - value).detach() for name, value in params.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """What was fitted, as a flat dictionary."""
        return {"which": self.which, "lattice": self.lattice.to_tensor(), "basis": self.basis.numbers}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor], steps: Steps) -> Rounding:
        """The rounding of a saved state."""
        lattice = Lattice.from_tensor(state["lattice"])
        return cls(steps, lattice, state["which"].long(), Basis(state["basis"].int()))


def encoded(
    codec: str,
    positions: Tensor,
    rounding: Rounding,
    params: Mapping[str, Tensor],
    near: Tensor,
    order: Tensor,
) -> Container:
    """The coded scene.

    Args:
        codec: name of the codec, see `gsplat_core.compress.registry`.
        positions: their stream, [B] uint8.
        rounding: fitted to `params`.
        params: raw parameters, in the order of the codec.
        near: [N, 3] int32, for each Gaussian the earlier ones that predict it, as `encode_table` takes them.
        order: [N] which row of the scene each was.
    """
    numbers = rounding.numbers(params)
    latents = numbers["sh"].shape[1]
    streams = {"positions": positions}
    if latents:
        streams["basis"] = rounding.basis.to_stream()
    for name, values in numbers.items():
        if values.shape[1]:
            streams[name] = encode_table(values.round().int(), near)
    header = {
        "codec": codec,
        "count": len(near),
        "sh_degree": degree_of(params["shN"].shape[1] + 1),
        "latents": latents,
        "lattice": rounding.lattice.to_json(),
        "steps": asdict(rounding.steps),
    }
    return Container(header, streams, order=order)


def decoded(container: Container, lattice: Lattice, cells: Tensor, near: Tensor) -> Gaussians:
    """The scene that `encoded` wrote, with its positions' cells [N, 3] and the same `near`.

    Raises:
        DataError: a stream or an entry of the header is missing or out of range.
    """
    basis = Basis.from_container(container, columns_of("sh", container.sh_degree))
    fields: dict[str, Tensor] = {}
    for name in FIELDS:
        columns = basis.numbers.shape[1] if name == "sh" else columns_of(name, container.sh_degree)
        table = torch.zeros(container.count, 0, dtype=torch.int32)
        if columns:
            table = decode_table(container.stream(name), near, columns)
        fields[name] = table * container.inner("steps").number(name, SMALLEST_STEP, LARGEST_STEP)
    fields["sh"] = basis.coefficients(fields["sh"])
    return scene_of(lattice.positions(cells), fields)
