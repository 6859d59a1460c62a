"""EAGLES (Girish et al. 2024): attributes decoded from whole numbers, by linear layers that all rows share.

    quats = round(rotation_latents) S + b,    opacities = round(opacity_latents) S + b,
    shN = round(rest_latents) (D * s) + b,    D_ij = sqrt(2 / C) cos(pi (i + 1/2) j / C)  (j = 0: over sqrt 2)

with 8, 1 and 16 latents a row; S (8 x 4 and 1 x 1), s (one number for each of the C coefficients beyond the
constant colour) and the shifts b are trained with them. D is the basis of a discrete cosine transform, i and
j from 0, and coefficients are in the order of `shN`, colours last. Rounding passes gradients straight through
(Bengio et al. 2013). Positions, sizes and constant colours are what they are in a plain Gaussian.

What a scene is stored as are the whole numbers (`compress/eagles.py`). The three fields of the plain Gaussian
that are decoded hold what the latents say: density control, files and other programs read them, and whoever
trains keeps them so (`trainers/parts/latents.py`).

Published are decoders that start as normal random numbers, latents that are then found by least squares, and
learning rates with which decoders move in a step by as much as they are (docs/eagles.md). Here a scene's own
attributes say where decoders start (`fitted`): the shift is the attributes' mean, so that latents of a new
scene, whose rows all have the same rotation and opacity, are 0, and a latent's step is that of the codecs
(`compress/rounded.py`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gsplat_core.compress import symmetry
from gsplat_core.errors import UsageError
from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.schema import GAUSSIAN, Field, Shared
from gsplat_core.scene.similarity import Similarity

NAME = "eagles"


@dataclass(frozen=True)
class Decoder:
    """What makes a field of the plain Gaussian from latents.

    Args:
        field: which.
        name: with which the names of its tensors begin.
        latents: how many a row has.
        step: by how much a latent's 1 changes the field, in the Euclidean norm, where training starts.
        full: whether all of the matrix is trained, and not only a factor for each column of D.
    """

    field: str
    name: str
    latents: int
    step: float
    full: bool = True

    @property
    def source(self) -> str:
        """The field of latents [N, L]."""
        return f"{self.name}_latents"

    @property
    def scale(self) -> str:
        """The shared tensor that is multiplied with latents: S [L, C], or s [C]."""
        return f"{self.name}_scale"

    @property
    def shift(self) -> str:
        """The shared tensor that is added, [C]."""
        return f"{self.name}_shift"

    def first(self, values: Tensor) -> dict[str, Tensor]:
        """The shared tensors with which training starts, for raw values [N, C]."""
        columns = values.shape[1]
        scale = torch.ones(columns)
        if self.full:
            # Columns at right angles, and no row like another.
            scale = cosines(self.latents, self.latents)[:, :columns] * math.sqrt(self.latents / columns)
        shift = values.double().mean(dim=0) if len(values) else torch.zeros(columns)
        return {self.scale: (self.step * scale).to(values), self.shift: shift.to(values)}

    def matrix(self, fields: Mapping[str, Tensor]) -> Tensor:
        """[L, C], by which latents are multiplied."""
        scale = fields[self.scale]
        return scale if self.full else cosines(self.latents, len(scale)).to(scale) * scale

    def decoded(self, fields: Mapping[str, Tensor]) -> Tensor:
        """The raw field of the latents, shaped as it is among `fields`. Differentiable."""
        latents = fields[self.source]
        rounded = latents + (latents.round() - latents).detach()
        shape = fields[self.field].shape
        columns = shape[1:].numel()
        values = _columns(rounded @ self.matrix(fields), columns)
        return (values + _columns(fields[self.shift][None], columns)).reshape(shape)

    @torch.no_grad()
    def latents_of(self, fields: Mapping[str, Tensor], values: Tensor) -> Tensor:
        """[M, L] the latents, not rounded, that decode to raw values [M, ...] as nearly as can be."""
        matrix = self.matrix(fields).double()
        columns = matrix.shape[1]
        flat = values.reshape(len(values), values.shape[1:].numel())
        centred = _columns(flat, columns) - _columns(fields[self.shift][None], columns)
        inverse = torch.linalg.pinv(matrix)
        return (centred.double() @ inverse).to(values.dtype)


DECODERS = (
    Decoder("shN", "rest", 16, 0.08, full=False),
    Decoder("quats", "rotation", 8, 0.04),
    Decoder("opacities", "opacity", 1, 0.4),
)


def _unturned(rows: Tensor, similarity: Similarity) -> Tensor:
    """Latents of a scene that is moved, but not turned: they do not say what they then are."""
    turn = similarity.rotation.to(torch.float64)
    if not torch.allclose(turn, torch.eye(3, dtype=torch.float64, device=turn.device), atol=1e-6):
        raise UsageError(
            f"A scene of the primitive {NAME!r} cannot be turned: all rows share what decodes them. Turn the "
            "plain Gaussians that it looks like, Gaussians.baked()."
        )
    return rows


# Rates of latents are divided by the norms of their decoders, but for that of opacities, as published
# (`trainers/parts/latents.py`); what is divided was chosen so that attributes move as fast as plain ones do.
SCHEMA = (
    GAUSSIAN.changed("shN", learning_rate=None, decoded_from="rest_latents")
    .changed("quats", learning_rate=None, decoded_from="rotation_latents")
    .changed("opacities", learning_rate=None, decoded_from="opacity_latents")
    .plus(
        Field("rest_latents", (16,), learning_rate=2.5e-3, similarity=_unturned),
        Field("rotation_latents", (8,), learning_rate=4e-3, similarity=_unturned),
        Field("opacity_latents", (1,), learning_rate=0.04),
    )
    .sharing(
        Shared("rest_scale", (-1,), learning_rate=1e-4),
        Shared("rest_shift", (-1,), learning_rate=1.25e-4),
        Shared("rotation_scale", (8, 4), learning_rate=1e-4),
        Shared("rotation_shift", (4,), learning_rate=3e-4),
        Shared("opacity_scale", (1, 1), learning_rate=1e-3),
        Shared("opacity_shift", (1,), learning_rate=3e-3),
    )
)


def cosines(rows: int, columns: int) -> Tensor:
    """[rows, columns] float64, the basis D."""
    places = torch.arange(rows, dtype=torch.float64)[:, None] + 0.5
    basis = (math.pi / max(columns, 1) * places * torch.arange(columns)).cos() * math.sqrt(
        2 / max(columns, 1)
    )
    basis[:, :1] /= math.sqrt(2)
    return basis


def _columns(values: Tensor, count: int) -> Tensor:
    """So many columns, those that there are and zeros: a scene may have got another SH degree."""
    return torch.nn.functional.pad(values, (0, count - values.shape[1]))


def decoded(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The raw fields of the plain Gaussian that latents stand for, by name. Differentiable."""
    return {decoder.field: decoder.decoded(fields) for decoder in DECODERS}


def baked(scene: Gaussians) -> Gaussians:
    """The scene of the plain Gaussians that are decoded."""
    plain = scene.with_primitive(PLAIN)
    return plain.with_fields({**plain.params, **decoded(scene.fields)})


@torch.no_grad()
def fitted(scene: Gaussians) -> Gaussians:
    """The scene with decoders and latents for the rotations, opacities and coefficients that it has. Axes are
    called so that rotations are as small as can be (`compress/symmetry.py`)."""
    quats, scales = symmetry.rename(scene.quats, scene.scales, symmetry.renaming(scene.quats))
    scene = dataclasses.replace(scene, quats=quats, scales=scales)
    fields = scene.fields
    for decoder in DECODERS:
        values = fields[decoder.field].reshape(scene.num, fields[decoder.field].shape[1:].numel())
        fields |= decoder.first(values)
        fields[decoder.source] = decoder.latents_of(fields, values)
    return scene.with_fields(fields | decoded(fields))


@register(NAME, SCHEMA, baked=baked, fitted=fitted, kept=True)
def eagles(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    return gaussian({**params, **decoded(params)}, context)
