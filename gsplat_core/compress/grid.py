"""Codec `grid`: the scene as pictures, one per attribute, sorted to be smooth (Morgenstern et al. 2024).

Gaussians are sorted into a rectangle by position, colour and size (`plas`); each attribute becomes a picture
of rounded numbers, coded from the pixels to the left, above and above left. While a scene is trained with
it, every pixel is drawn to the blurred picture around it. Gaussians that do not fill a row of the rectangle
form a last, incomplete one, which is not sorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from gsplat_core.compress.container import Container
from gsplat_core.compress.plas import grid_shape, sorted_grid
from gsplat_core.compress.positions import Lattice
from gsplat_core.compress.rounded import Rounding, Steps, decoded, encoded
from gsplat_core.ops.context_coder import decode_table, encode_table
from gsplat_core.scene.gaussians import Gaussians


@dataclass(frozen=True)
class GridConfig:
    """Args:
    steps: how coarse each field is.
    smoothness: how much a million steps of difference from the blurred pictures add to the loss.
    """

    steps: Steps = field(default_factory=Steps)
    smoothness: float = 5e-4
    seed: int = 0

    def coarser(self, factor: float) -> GridConfig:
        """All steps, and the weight of smoothness, multiplied by the factor."""
        return GridConfig(self.steps.times(factor), self.smoothness * factor, self.seed)


class GridCodec:
    """See the module; implements `gsplat_core.compress.codec.Codec`."""

    name = "grid"

    def __init__(self, config: GridConfig | None = None) -> None:
        self.config = GridConfig() if config is None else config
        self._order = torch.zeros(0, dtype=torch.long)
        self._rounding: Rounding | None = None

    @torch.no_grad()
    def refresh(self, params: Mapping[str, Tensor]) -> None:
        """Fits the rounding and, when the number of Gaussians has changed, sorts the grid anew."""
        self._rounding = Rounding.fit(params, self.config.steps)
        if len(self._order) != len(self._rounding.which):
            self._order = self._sorted(params, self._rounding.lattice)

    def quantized(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The parameters rounded; gradients pass straight through to `params`."""
        assert self._rounding is not None, "refresh comes first"
        return self._rounding.shown(params)

    def penalty(self, params: Mapping[str, Tensor]) -> Tensor:
        """The distance, in steps, of each pixel from the blurred picture around it (Huber loss)."""
        assert self._rounding is not None, "refresh comes first"
        height, width = grid_shape(len(self._order))
        inside = self._order[: height * width]
        total = params["means"].new_zeros(())
        for values in self._rounding.numbers(params).values():
            if values.shape[1]:
                picture = values[inside].reshape(height, width, -1)
                with torch.no_grad():
                    goal = _blurred(picture)
                total = total + functional.huber_loss(picture, goal, reduction="sum")
        return total * (self.config.smoothness * 1e-6)

    def state_dict(self) -> dict[str, Tensor]:
        if self._rounding is None:
            return {}
        return {**self._rounding.state_dict(), "order": self._order}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        if state:
            self._rounding = Rounding.from_state_dict(state, self.config.steps)
            self._order = state["order"].long()

    @torch.no_grad()
    def encode(self, gaussians: Gaussians) -> Container:
        """The coded scene; its Gaussians are in the order of the grid there."""
        params = {name: value.detach().float().cpu() for name, value in gaussians.params.items()}
        basis = None if self._rounding is None else self._rounding.basis
        rounding = Rounding.fit(params, self.config.steps, basis)
        order = self._order if len(self._order) == gaussians.num else self._sorted(params, rounding.lattice)
        params = {name: value[order] for name, value in params.items()}
        rounding = replace(rounding, which=rounding.which[order])
        neighbors = picture_neighbors(gaussians.num)
        positions = encode_table(rounding.lattice.cells(params["means"]).int(), neighbors)
        return encoded(self.name, positions, rounding, params, neighbors, order)

    def _sorted(self, params: Mapping[str, Tensor], lattice: Lattice) -> Tensor:
        """The order of the grid, by position (as it is coded), colour and size, each scaled to variance 1."""
        keys = [lattice.cells(params["means"]).float(), params["sh0"].flatten(1), params["scales"]]
        scaled = [(key - key.mean(dim=0)) / key.std().clamp(min=1e-12) for key in keys]
        return sorted_grid(torch.cat(scaled, dim=1), self.config.seed)


def decode(container: Container) -> Gaussians:
    """The scene that `GridCodec.encode` coded.

    Raises:
        DataError: entries of the header that are missing or out of range.
    """
    lattice = Lattice.from_header(container.inner("lattice"))
    neighbors = picture_neighbors(container.count)
    cells = decode_table(container.stream("positions"), neighbors, 3)
    return decoded(container, lattice, cells, neighbors)


def picture_neighbors(count: int) -> Tensor:
    """For the pixels of the grid in row-major order: those to the left, above and above left, or -1."""
    _, width = grid_shape(count)
    number = torch.arange(count)
    left, above = number % width > 0, number >= width
    none = torch.full_like(number, -1)
    first = torch.where(left, number - 1, torch.where(above, number - width, none))
    second = torch.where(left & above, number - width, none)
    third = torch.where(left & above, number - width - 1, none)
    return torch.stack([first, second, third], dim=1).int()


def _blurred(picture: Tensor) -> Tensor:
    """A picture [H, W, C] blurred by 5 x 5 pixels (sigma 3), circular along x and mirrored along y."""
    weights = torch.exp(-torch.arange(-2.0, 3.0).square() / 18).to(picture)
    weights = weights / weights.sum()
    planes = picture.permute(2, 0, 1)[:, None]
    if planes.shape[3] > 2:
        planes = functional.conv2d(
            functional.pad(planes, (2, 2, 0, 0), "circular"), weights[None, None, None]
        )
    if planes.shape[2] > 2:
        planes = functional.conv2d(
            functional.pad(planes, (0, 0, 2, 2), "reflect"), weights[None, None, :, None]
        )
    return planes[:, 0].permute(1, 2, 0)
