"""Codec `scalar`: every number rounded to a step of its own, coded from its neighbours in space.

While a scene is trained with it, rounding is passed straight through (Bengio et al. 2013), and the loss gets
an estimate of the bits that the coder will need: numbers that no image depends on move to where they cost
nothing, latents of spherical harmonics mostly to zero. This is what EAGLES (Girish et al. 2024) does with
trained linear decoders and a learned entropy model; here the decoder is a basis that is fitted to the scene
(`latents`), and the model is a Laplace distribution around what the neighbours predict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gsplat_core.compress.container import Container
from gsplat_core.compress.fields import FIELDS
from gsplat_core.compress.positions import Lattice
from gsplat_core.compress.rounded import Rounding, Steps, decoded, encoded
from gsplat_core.morton import morton_cells, morton_codes
from gsplat_core.ops.context_coder import decode_ascending, earlier_neighbors, encode_ascending
from gsplat_core.scene.gaussians import Gaussians


@dataclass(frozen=True)
class ScalarConfig:
    """Args:
    steps: how coarse each field is.
    rate: how much a million bits add to the loss in training.
    """

    steps: Steps = field(default_factory=Steps)
    rate: float = 5e-4

    def coarser(self, factor: float) -> ScalarConfig:
        """All steps, and the weight of bits, multiplied by the factor."""
        return ScalarConfig(self.steps.times(factor), self.rate * factor)


# Fewer bits than this are not expected of a number on average, however small its neighbours' are.
_SMALLEST_SPREAD = 0.15


class ScalarCodec:
    """See the module; implements `gsplat_core.compress.codec.Codec`."""

    name = "scalar"

    def __init__(self, config: ScalarConfig | None = None) -> None:
        self.config = ScalarConfig() if config is None else config
        self._rounding: Rounding | None = None
        self._near: dict[str, Tensor] = {}
        self._spread: dict[str, Tensor] = {}

    @torch.no_grad()
    def refresh(self, params: Mapping[str, Tensor]) -> None:
        """Takes the order, the neighbours and the spread of the numbers from the scene as it is now."""
        self._rounding = Rounding.fit(params, self.config.steps)
        cells = self._rounding.lattice.cells(params["means"])
        order = morton_codes(cells).sort(stable=True).indices
        neighbors = earlier_neighbors(cells[order].int())
        missing = neighbors < 0
        first = order[neighbors.clamp(min=0).long()]  # rows of the scene, in coding order
        first[missing] = order[:, None].expand_as(missing)[missing]
        for name, values in self._rounding.numbers(params).items():
            rounded = values.round()
            # As the coder does, column by column: from the neighbours, or from the middle of all.
            near = (2 * rounded[first[:, 0]] + rounded[first[:, 1:]].sum(dim=1)) / 4
            middle = rounded.median(dim=0).values.expand_as(near)
            ordered = rounded[order]
            choose = (ordered - near).abs().mean(dim=0) < (ordered - middle).abs().mean(dim=0)
            near = torch.where(choose, near, middle)
            self._near[name] = torch.empty_like(near).index_copy_(0, order, near)
            self._spread[name] = (ordered - near).abs().mean(dim=0).clamp(min=_SMALLEST_SPREAD)

    def quantized(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The parameters rounded; gradients pass straight through to `params`."""
        assert self._rounding is not None, "refresh comes first"
        return self._rounding.shown(params)

    def penalty(self, params: Mapping[str, Tensor]) -> Tensor:
        """What the scene's bits add to the loss."""
        assert self._rounding is not None, "refresh comes first"
        bits = params["means"].new_zeros(())
        for name, values in self._rounding.numbers(params).items():
            bits = bits + ((values - self._near[name]).abs() / self._spread[name]).sum()
        return bits * (self.config.rate * 1e-6 / math.log(2))

    def state_dict(self) -> dict[str, Tensor]:
        if self._rounding is None:
            return {}
        return {
            **self._rounding.state_dict(),
            **{f"near.{name}": value for name, value in self._near.items()},
            **{f"spread.{name}": value for name, value in self._spread.items()},
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        if not state:
            return
        self._rounding = Rounding.from_state_dict(state, self.config.steps)
        self._near = {name: state[f"near.{name}"] for name in FIELDS}
        self._spread = {name: state[f"spread.{name}"] for name in FIELDS}

    @torch.no_grad()
    def encode(self, gaussians: Gaussians) -> Container:
        """The coded scene; its Gaussians are in Morton order there."""
        params = {name: value.detach().float().cpu() for name, value in gaussians.params.items()}
        basis = None if self._rounding is None else self._rounding.basis
        rounding = Rounding.fit(params, self.config.steps, basis)
        codes, order = morton_codes(rounding.lattice.cells(params["means"])).sort(stable=True)
        params = {name: value[order] for name, value in params.items()}
        rounding = replace(rounding, which=rounding.which[order])
        neighbors = earlier_neighbors(morton_cells(codes).int())
        return encoded(self.name, encode_ascending(codes), rounding, params, neighbors, order)


def decode(container: Container) -> Gaussians:
    """The scene that `ScalarCodec.encode` coded.

    Raises:
        DataError: entries of the header that are missing or out of range.
    """
    lattice = Lattice.from_header(container.inner("lattice"))
    cells = morton_cells(decode_ascending(container.stream("positions"), container.count))
    return decoded(container, lattice, cells, earlier_neighbors(cells.int()))
