"""Codec `scalar`: every number rounded to a step of its own, coded from its neighbours in space.

While a scene is trained with it, rounding is passed straight through (Bengio et al. 2013), and the loss gets
an estimate of the bits that the coder will need: numbers that no image depends on move to where they cost
nothing, latents of spherical harmonics mostly to zero. EAGLES (Girish et al. 2024; codec `eagles`) trains
linear decoders; here the decoder is a basis that is fitted to the scene (`latents`), and the model of the
bits is a Laplace distribution around what the neighbours predict (`expected_bits`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gsplat_core.compress.container import Container
from gsplat_core.compress.expected_bits import ExpectedBits
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


class ScalarCodec:
    """See the module; implements `gsplat_core.compress.codec.Codec`."""

    name = "scalar"

    def __init__(self, config: ScalarConfig | None = None) -> None:
        self.config = ScalarConfig() if config is None else config
        self._rounding: Rounding | None = None
        self._bits: ExpectedBits | None = None

    @torch.no_grad()
    def refresh(self, params: Mapping[str, Tensor]) -> None:
        """Takes the order, the neighbours and the spread of the numbers from the scene as it is now."""
        self._rounding = Rounding.fit(params, self.config.steps)
        cells = self._rounding.lattice.cells(params["means"])
        self._bits = ExpectedBits.fit(cells, self._rounding.numbers(params))

    def quantized(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The parameters rounded; gradients pass straight through to `params`."""
        assert self._rounding is not None, "refresh comes first"
        return self._rounding.shown(params)

    def penalty(self, params: Mapping[str, Tensor]) -> Tensor:
        """What the scene's bits add to the loss."""
        assert self._rounding is not None, "refresh comes first"
        assert self._bits is not None
        return self._bits(self._rounding.numbers(params)) * (self.config.rate * 1e-6)

    def state_dict(self) -> dict[str, Tensor]:
        if self._rounding is None or self._bits is None:
            return {}
        return {**self._rounding.state_dict(), **self._bits.state_dict()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        if not state:
            return
        self._rounding = Rounding.from_state_dict(state, self.config.steps)
        self._bits = ExpectedBits.from_state_dict(state)

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
