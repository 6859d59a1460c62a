"""What rows have beyond a plain Gaussian, in the files of codecs, which know plain Gaussians only.

Codecs may call the axes of a Gaussian by other names (`symmetry`), so this is for primitives that look the
same then (`gsplat_core.primitive.Primitive.any_axes`). Every number of a field is rounded to one of 2^14
steps from the least to the largest there is. So are opacities, which codecs cut off where plain Gaussians
stay the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core import primitive as primitives
from gsplat_core.compress.container import Container
from gsplat_core.compress.latents import rows_before
from gsplat_core.errors import DataError, UsageError
from gsplat_core.ops.context_coder import decode_table, encode_table
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.schema import Field

STEPS = 2**14
LARGEST = 1e30
_STREAM = "further."
_OPACITIES = "opacities"


def has_place(name: str) -> bool:
    """Whether scenes of a primitive can be coded."""
    return name == PLAIN or primitives.get(name).any_axes


def add(container: Container, scene: Gaussians) -> None:
    """Adds what there is beyond plain Gaussians to the file of a scene that was coded as such."""
    if scene.primitive == PLAIN:
        return
    container.header["primitive"] = scene.primitive
    ranges = {}
    for name, field in _fields(scene.primitive).items():
        rows = scene.fields[name].detach().to("cpu", torch.float64)
        rows = (rows if container.order is None else rows[container.order]).reshape(
            len(rows), _columns(field)
        )
        low, high = (float(rows.min()), float(rows.max())) if len(rows) else (0.0, 0.0)
        numbers = (rows - low) / (high - low) * STEPS if high > low else torch.zeros_like(rows)
        ranges[name] = [low, high]
        container.streams[_STREAM + name] = encode_table(numbers.round().int(), rows_before(len(rows)))
    container.header["further"] = ranges


def added(plain: Gaussians, container: Container) -> Gaussians:
    """The scene of a file, given what a codec made of it.

    Raises:
        DataError: the primitive is unknown here, or a field is missing or damaged.
    """
    if "primitive" not in container.header:
        return plain
    name = container.text("primitive")
    try:
        known = has_place(name)
    except UsageError as error:
        raise DataError(
            container.path, f"the scene is of the primitive {name!r}: {error}", place="header",
            remedy="Import the module that registers it.",
        ) from None  # fmt: skip
    if not known:
        raise container.error(f"no codec knows the primitive {name!r}")
    if name == PLAIN:
        return plain
    ranges = container.inner("further")
    fields: dict[str, Tensor] = {}
    for key, field in _fields(name).items():
        low, high = ranges.numbers(key, 2, -LARGEST, LARGEST)
        table = decode_table(container.stream(_STREAM + key), rows_before(plain.num), _columns(field))
        rows = low + table.clamp(0, STEPS).double() * ((high - low) / STEPS)
        fields[key] = rows.float().reshape(plain.num, *field.shape)
    return _of(plain, name, fields)


def _of(plain: Gaussians, name: str, fields: Mapping[str, Tensor]) -> Gaussians:
    schema = primitives.get(name).schema
    params = {**plain.params, _OPACITIES: fields[_OPACITIES]}
    params |= {field.name: fields[field.name] for field in schema.further}
    carried = {field.name: fields[field.name] for field in schema.carried}
    return Gaussians.of(params, name, plain.extras | carried, plain.metadata)


def _fields(name: str) -> dict[str, Field]:
    schema = primitives.get(name).schema
    return {field.name: field for field in (schema[_OPACITIES], *schema.further, *schema.carried)}


def _columns(field: Field) -> int:
    return torch.Size(field.shape).numel()
