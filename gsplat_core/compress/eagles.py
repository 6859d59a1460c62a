"""Codec `eagles`: scenes whose attributes are decoded from whole numbers (EAGLES, Girish et al. 2024).

What is coded is a scene of the primitive `eagles` (`models/eagles.py`); of plain Gaussians one is made first.
Its latents are the whole numbers that they are rounded to when it is drawn, and its decoders go into the file
as they are, 32-bit numbers. Positions, constant colours and sizes, which EAGLES leaves as they are, are
rounded to steps as codec `scalar` does (`fields`, `positions`), and all numbers are coded from neighbours
in space in place of EAGLES's histograms.

While a scene is trained with it, the decoders and latents are trained as always, the rest is shown rounded,
and the loss gets the expected bits (`expected_bits`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gsplat_core import primitive as primitives
from gsplat_core.compress.container import Container
from gsplat_core.compress.expected_bits import ExpectedBits
from gsplat_core.compress.fields import SCALE_LIMIT, of_opponent_columns, opponent_columns
from gsplat_core.compress.positions import Lattice
from gsplat_core.compress.rounded import LARGEST_STEP, SMALLEST_STEP, Steps
from gsplat_core.errors import UnsuitableSceneError
from gsplat_core.models.eagles import DECODERS, NAME, decoded
from gsplat_core.morton import morton_cells, morton_codes
from gsplat_core.ops.context_coder import (
    decode_ascending,
    decode_table,
    earlier_neighbors,
    encode_ascending,
    encode_table,
)
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import MAX_DEGREE, degree_of, num_coefficients
from gsplat_core.scene.schema import PARAMETERS, names_of

_COLUMNS = {"dc": 3, "scales": 3} | {decoder.source: decoder.latents for decoder in DECODERS}
_ROUNDED = ("dc", "scales")
"""To steps; the others are whole numbers."""
_LARGEST = 2**28 - 1
"""What the coder of tables takes."""


@dataclass(frozen=True)
class EaglesConfig:
    """Args:
    steps: how coarse positions, constant colours and sizes are; what else it says does not matter.
    rate: how much a million bits add to the loss in training.
    """

    steps: Steps = field(default_factory=Steps)
    rate: float = 5e-4

    def coarser(self, factor: float) -> EaglesConfig:
        """All steps, and the weight of bits, multiplied by the factor."""
        return EaglesConfig(self.steps.times(factor), self.rate * factor)


class EaglesCodec:
    """See the module; implements `gsplat_core.compress.codec.Codec` for parameters of the primitive."""

    name = NAME

    def __init__(self, config: EaglesConfig | None = None) -> None:
        self.config = EaglesConfig() if config is None else config
        self._lattice: Lattice | None = None
        self._bits: ExpectedBits | None = None

    @torch.no_grad()
    def refresh(self, params: Mapping[str, Tensor]) -> None:
        """Takes the lattice, the neighbours and the spread of the numbers from the scene as it is now."""
        numbers = self._numbers(params)
        self._lattice = Lattice.around(params["means"], self.config.steps.position)
        self._bits = ExpectedBits.fit(self._lattice.cells(params["means"]), numbers)

    def quantized(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The parameters with what is rounded to steps; latents are rounded when they are decoded. Gradients
        pass straight through."""
        assert self._lattice is not None, "refresh comes first"
        with torch.no_grad():
            rounded = _of_numbers(self._numbers(params), self.config.steps)
            rounded["means"] = self._lattice.positions(self._lattice.cells(params["means"]))
        shown = {name: params[name] + (value - params[name]).detach() for name, value in rounded.items()}
        return {**params, **shown}

    def penalty(self, params: Mapping[str, Tensor]) -> Tensor:
        """What the scene's bits add to the loss."""
        assert self._bits is not None, "refresh comes first"
        return self._bits(self._numbers(params)) * (self.config.rate * 1e-6)

    def state_dict(self) -> dict[str, Tensor]:
        if self._lattice is None or self._bits is None:
            return {}
        return {"lattice": self._lattice.to_tensor(), **self._bits.state_dict()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        if not state:
            return
        self._lattice = Lattice.from_tensor(state["lattice"])
        self._bits = ExpectedBits.from_state_dict(state)

    @torch.no_grad()
    def encode(self, gaussians: Gaussians) -> Container:
        """The coded scene of the primitive `eagles`; its rows are in Morton order there."""
        params = {name: value.detach().float().cpu() for name, value in gaussians.params.items()}
        numbers = self._numbers(params)
        lattice = Lattice.around(params["means"], self.config.steps.position)
        codes, order = morton_codes(lattice.cells(params["means"])).sort(stable=True)
        near = earlier_neighbors(morton_cells(codes).int())
        streams = {"positions": encode_ascending(codes), "decoders": _bytes_of(gaussians)}
        for name, values in numbers.items():
            whole = values[order].round().clamp(-_LARGEST, _LARGEST)
            streams[name] = encode_table(whole.int(), near)
        header = {
            "codec": self.name,
            "count": len(near),
            "sh_degree": degree_of(params["shN"].shape[1] + 1),
            "columns": len(gaussians.shared["rest_scale"]),
            "lattice": lattice.to_json(),
            "steps": {name: getattr(self.config.steps, name) for name in _ROUNDED},
        }
        return Container(header, streams, order=order)

    def _numbers(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is coded of raw parameters, before it is rounded. Differentiable."""
        sources = [decoder.source for decoder in DECODERS]
        shared = [known.name for known in primitives.get(NAME).schema.shared]
        further = [name for name in params if name not in (*PARAMETERS, *shared)]
        if sorted(further) != sorted(sources):
            place = f"has no place for {names_of(further)}" if further else "needs latents"
            raise UnsuitableSceneError(
                "(memory)", f"the codec {self.name!r} {place}: it codes the primitive {NAME!r}",
                remedy=f"Make the scene such: Gaussians.with_primitive({NAME!r}).",
            )  # fmt: skip
        steps = self.config.steps
        return {
            "dc": opponent_columns(params["sh0"]) / steps.dc,
            "scales": params["scales"].clamp(-SCALE_LIMIT, SCALE_LIMIT) / steps.scales,
            **{decoder.source: params[decoder.source] for decoder in DECODERS},
        }


def decode(container: Container) -> Gaussians:
    """The scene that `EaglesCodec.encode` coded, of the primitive `eagles`.

    Raises:
        DataError: a stream or an entry of the header is missing or out of range.
    """
    lattice = Lattice.from_header(container.inner("lattice"))
    cells = morton_cells(decode_ascending(container.stream("positions"), container.count))
    near = earlier_neighbors(cells.int())
    steps = container.inner("steps")
    given = Steps(**{name: steps.number(name, SMALLEST_STEP, LARGEST_STEP) for name in _ROUNDED})
    numbers = {
        name: decode_table(container.stream(name), near, columns).float()
        for name, columns in _COLUMNS.items()
    }
    coefficients = num_coefficients(container.sh_degree) - 1
    fields = {
        **_of_numbers(numbers, given),
        **{decoder.source: numbers[decoder.source] for decoder in DECODERS},
        "means": lattice.positions(cells),
        "quats": torch.empty(len(cells), 4),
        "opacities": torch.empty(len(cells)),
        "shN": torch.empty(len(cells), coefficients, 3),
    }
    shared = _shared_of(container)
    fields |= decoded({**fields, **shared})
    return Gaussians.of(fields, NAME, shared=shared)


def _of_numbers(numbers: Mapping[str, Tensor], steps: Steps) -> dict[str, Tensor]:
    """The raw constant colours and sizes of what is coded, rounded."""
    return {
        "sh0": of_opponent_columns(numbers["dc"].round() * steps.dc),
        "scales": numbers["scales"].round() * steps.scales,
    }


def _bytes_of(gaussians: Gaussians) -> Tensor:
    """[B] uint8: what rows share as 32-bit numbers, little-endian, one tensor after the other."""
    shared = [
        gaussians.shared[known.name].detach().float().cpu().flatten() for known in gaussians.schema.shared
    ]
    data = torch.cat(shared).numpy().astype("<f4").tobytes()
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _shared_of(container: Container) -> dict[str, Tensor]:
    """The inverse, checked."""
    columns = container.integer("columns", 0, 3 * num_coefficients(MAX_DEGREE))
    known = primitives.get(NAME).schema.shared
    shapes = {shared.name: [columns if size == -1 else size for size in shared.shape] for shared in known}
    sizes = [torch.Size(shape).numel() for shape in shapes.values()]
    data = container.stream("decoders")
    if len(data) != 4 * sum(sizes):
        raise container.error(f"the decoders have {len(data)} bytes, expected {4 * sum(sizes)}")
    numbers = torch.from_numpy(data.numpy().view("<f4").astype("f4"))
    if not bool(numbers.isfinite().all()):
        raise container.error("the decoders have numbers that are not finite")
    parts = numbers.split(sizes)
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
