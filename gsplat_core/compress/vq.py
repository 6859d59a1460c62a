"""Codec `vq`: codebooks of colours, spherical harmonics, scales, rotations (Compact3D, Navaneet et al. 2024).

Every Gaussian stores the numbers of its codes; similar Gaussians share them. While a scene is trained with
it, the codes are rendered and their gradients passed straight through to the Gaussians' own values, which the
codes follow; the sum of opacities is kept small, so that what the views do not need can be pruned.

Codes are assigned anew in every step, not every hundred as published. A Gaussian's own value shows only in
which code it takes. In between nothing answers to it, so it runs on along its gradient, a whole step of Adam
each time, far past what it was to become, and the next codebook is fitted to such values.

Beyond the published method, positions and opacities are rounded too, axes and quaternions are made unique
before clustering (`symmetry`), and the numbers are entropy-coded in Morton order with the neighbours' numbers
as context, in place of packed bits: that spends the freedom of the order on the positions, which are the
larger part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.compress import symmetry
from gsplat_core.compress.codebook import Codebook
from gsplat_core.compress.container import Container
from gsplat_core.compress.fields import columns_of, from_fields, scene_of, to_fields
from gsplat_core.compress.latents import rows_before
from gsplat_core.compress.positions import Lattice
from gsplat_core.compress.rounded import LARGEST_STEP, SMALLEST_STEP
from gsplat_core.morton import morton_cells, morton_codes
from gsplat_core.ops.context_coder import (
    decode_ascending,
    decode_labels,
    decode_table,
    earlier_neighbors,
    encode_ascending,
    encode_labels,
    encode_table,
)
from gsplat_core.scene.gaussians import Gaussians

GROUPS = ("dc", "sh", "scales", "rotation")
MAX_BITS = 16
# How finely the numbers in the codebooks are rounded, as a fraction of a code's typical distance to its own.
_CODE_STEP = {"dc": 0.02, "sh": 0.01, "scales": 0.05, "rotation": 0.01}


@dataclass(frozen=True)
class VQConfig:
    """Args:
    dc, sh, scales, rotation: sizes of the codebooks, powers of two up to 2^16.
    position_step, opacity_step: how coarse these are (`positions`; logits).
    opacity_weight: how much the sum of opacities adds to the loss in training.

    Raises:
        ValueError: a size that is not a power of two in range.
    """

    dc: int = 4096
    sh: int = 1024
    scales: int = 4096
    rotation: int = 4096
    position_step: float = 2.0**-10
    opacity_step: float = 0.4
    opacity_weight: float = 1e-7
    seed: int = 0

    def __post_init__(self) -> None:
        for name in GROUPS:
            size = getattr(self, name)
            if not 1 <= size <= 2**MAX_BITS or size & (size - 1):
                raise ValueError(f"{name} = {size}: expected a power of two up to {2**MAX_BITS}")

    def coarser(self, factor: float) -> VQConfig:
        """Steps multiplied by the factor, codebooks divided by its square (rounded to a power of two)."""

        def size(codes: int) -> int:
            return 2 ** min(MAX_BITS, max(0, round(math.log2(codes / factor**2))))

        sizes = {group: size(getattr(self, group)) for group in GROUPS}
        steps = {name: getattr(self, name) * factor for name in ("position_step", "opacity_step")}
        return replace(self, **sizes, **steps)


class VQCodec:
    """See the module; implements `gsplat_core.compress.codec.Codec`."""

    name = "vq"

    def __init__(self, config: VQConfig | None = None) -> None:
        self.config = VQConfig() if config is None else config
        self._codebooks = {
            group: Codebook(getattr(self.config, group), seed=self.config.seed) for group in GROUPS
        }
        self._which = torch.zeros(0, dtype=torch.long)
        self._lattice: Lattice | None = None

    @torch.no_grad()
    def refresh(self, params: Mapping[str, Tensor]) -> None:
        """Fits codebooks, renaming of the axes and the lattice of the positions."""
        self._which = symmetry.renaming(params["quats"])
        self._lattice = Lattice.around(params["means"], self.config.position_step)
        for group, values in _groups(to_fields(params, self._which)).items():
            self._codebooks[group].fit(values)

    def quantized(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The parameters with their codes; gradients pass straight through to `params`."""
        assert self._lattice is not None, "refresh comes first"
        with torch.no_grad():
            fields = to_fields(params, self._which)
            coded = {
                group: self._codebooks[group].follow(values) for group, values in _groups(fields).items()
            }
            coded["opacity"] = (
                fields["opacity"] / self.config.opacity_step
            ).round() * self.config.opacity_step
            shown = from_fields({**fields, **coded})
            shown["quats"], shown["scales"] = symmetry.undo(shown["quats"], shown["scales"], self._which)
            shown["means"] = self._lattice.positions(self._lattice.cells(params["means"]))
            shown["quats"] = symmetry.like(shown["quats"], params["quats"])
        return {name: value + (shown[name] - value).detach() for name, value in params.items()}

    def penalty(self, params: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of opacities."""
        return self.config.opacity_weight * sigmoid(params["opacities"]).sum()

    def state_dict(self) -> dict[str, Tensor]:
        if self._lattice is None:
            return {}
        books = {f"centroids.{group}": book.centroids for group, book in self._codebooks.items()}
        return {"which": self._which, "lattice": self._lattice.to_tensor(), **books}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        if not state:
            return
        self._which = state["which"].long()
        self._lattice = Lattice.from_tensor(state["lattice"])
        for group, book in self._codebooks.items():
            book.centroids = state[f"centroids.{group}"]

    @torch.no_grad()
    def encode(self, gaussians: Gaussians) -> Container:
        """The coded scene, its Gaussians in Morton order. Codebooks are those of the training, if any."""
        params = {name: value.detach().float().cpu() for name, value in gaussians.params.items()}
        lattice = Lattice.around(params["means"], self.config.position_step)
        codes, order = morton_codes(lattice.cells(params["means"])).sort(stable=True)
        params = {name: value[order] for name, value in params.items()}
        fields = to_fields(params, symmetry.renaming(params["quats"]))
        neighbors = earlier_neighbors(morton_cells(codes).int())
        streams = {"positions": encode_ascending(codes)}
        opacity = (fields["opacity"] / self.config.opacity_step).round().int()
        streams["opacity"] = encode_table(opacity, neighbors)
        bits = {}
        for group, values in _groups(fields).items():
            book = Codebook(getattr(self.config, group), seed=self.config.seed)
            book.centroids = self._codebooks[group].centroids.cpu()
            if book.centroids.shape[1] == values.shape[1]:
                book.follow(values)
            else:
                book.fit(values)
            centroids, labels = book.ordered()
            bits[group] = (len(centroids) - 1).bit_length()
            streams[group] = encode_labels(labels, neighbors, bits[group])
            table = (centroids / _CODE_STEP[group]).round().int()
            streams[f"{group} codebook"] = encode_table(table, rows_before(len(table)))
        header = {
            "codec": self.name,
            "count": gaussians.num,
            "sh_degree": gaussians.sh_degree,
            "lattice": lattice.to_json(),
            "opacity_step": self.config.opacity_step,
            "bits": bits,
            "code_steps": _CODE_STEP,
        }
        return Container(header, streams, order=order)


def decode(container: Container) -> Gaussians:
    """The scene that `VQCodec.encode` coded.

    Raises:
        DataError: entries of the header that are missing or out of range.
    """
    lattice = Lattice.from_header(container.inner("lattice"))
    step = container.number("opacity_step", SMALLEST_STEP, LARGEST_STEP)
    cells = morton_cells(decode_ascending(container.stream("positions"), container.count))
    neighbors = earlier_neighbors(cells.int())
    fields = {
        "opacity": decode_table(container.stream("opacity"), neighbors, 1) * step,
        "sh": torch.zeros(container.count, 0),
    }
    for group in GROUPS:
        columns = columns_of(group, container.sh_degree)
        if columns:
            bits = container.inner("bits").integer(group, 0, MAX_BITS)
            scale = container.inner("code_steps").number(group, SMALLEST_STEP, LARGEST_STEP)
            codes = decode_table(container.stream(f"{group} codebook"), rows_before(2**bits), columns) * scale
            labels = decode_labels(container.stream(group), neighbors, bits)
            fields[group] = codes[labels.long()]
    return scene_of(lattice.positions(cells), fields)


def _groups(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The fields that have a codebook; scenes of SH degree 0 have one less."""
    return {group: fields[group] for group in GROUPS if fields[group].shape[1]}
