"""A vector for each photograph, learnt with the scene, and how the scene looks by it (after WE-GS, Wang et
al. 2024): spherical harmonics up to degree 1 change as `gsplat_core.sh_transfer` says.

Unlike an affine change of the image this can make one thing darker and another brighter, as light and weather
do; unlike with a grid over the image, what becomes of the scene for one photograph is an ordinary scene,
which can be looked at from anywhere.

Of anchors, whose colours a network makes, the network reads the vector, too, as in Scaffold-GS: what its
hidden layer makes of it is added to that layer's biases.

Vectors are taken relative to their mean, so that the scene is what it looks like on average.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core import sh_transfer
from gsplat_core.models import scaffold
from gsplat_core.ranges import POSITIVE, Range, check_ranges
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import Dataset, View
from trainers.parts.packed import packed, unpacked
from trainers.parts.part import Group, Part, Rendering, of_unseen
from trainers.schedules import exponential
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class EmbeddingConfig:
    """Args:
        size: of a vector.
        width: of the two hidden layers of a network that looks at each Gaussian; 0: none, changes are linear
            in the Gaussian's coefficients, the products of its colours and the waves of its place. Anchors
            have a network already.
        rate: Adam's learning rate of the vectors, which falls to a tenth.
        network_rate: of the network and the layer that vectors make, which falls to a tenth, too.

    Raises:
        ValueError: a number outside its range.
    """

    size: Annotated[int, Range(1, 1024)] = 32
    width: Annotated[int, Range(0, 1024)] = 0
    rate: Annotated[float, POSITIVE] = 0.01
    network_rate: Annotated[float, POSITIVE] = 1e-3

    def __post_init__(self) -> None:
        check_ranges(self)


class Embedding(Part):
    """`--appearance embedding`."""

    settings: ClassVar[type[Any] | None] = EmbeddingConfig
    first_order: ClassVar[str | None] = "learns no appearances; leave out --appearance"

    def __init__(self, settings: EmbeddingConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._steps = config.steps
        self._names = [view.name for view in views]
        self._model = _MODELS.get(config.primitive, _Model).started(settings, config)
        random = torch.Generator().manual_seed(config.seed + 1)
        self._vectors = torch.randn(len(views), settings.size, generator=random) / math.sqrt(settings.size)
        self._settled = False

    def prepare(self, dataset: Dataset, note: Callable[[str], None]) -> None:
        self._model.center = torch.from_numpy(dataset.scale.center).to(self._model.center)
        self._model.length = dataset.scale.length

    def initialize(self, num: int, device: torch.device) -> None:
        self._vectors = self._vectors.to(device, copy=True).requires_grad_(not self._settled)
        self._model.move_to(device, trained=not self._settled)

    def parameters(self) -> Sequence[Group]:
        if self._settled:
            return []
        network = [Group(name, tensor, self._network_rate) for name, tensor in self._model.tensors.items()]
        return [Group("vectors", self._vectors, self._rate), *network]

    def _rate(self, step: int) -> float:
        return exponential(self._settings.rate, self._settings.rate / 10, step, self._steps)

    def _network_rate(self, step: int) -> float:
        return exponential(self._settings.network_rate, self._settings.network_rate / 10, step, self._steps)

    def vector(self, view: int) -> Tensor:
        """[size] of a training view; 0 is the scene's own look."""
        return self._vectors[view] if self._settled else self._vectors[view] - self._vectors.mean(dim=0)

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        return self._model.changed(params, self.vector(target.view))

    def shown_at_test(
        self, params: Mapping[str, Tensor], camera: Camera, view: int | None
    ) -> Mapping[str, Tensor]:
        return params if view is None else self._model.changed(params, self.vector(view))

    def image(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        return target.overexposed(rendering.image)

    def for_unseen(self, view: View) -> Part:
        return _Unseen(self._settings, self._model)

    def result(self) -> dict[str, Any]:
        """The network, where in the scene it looks, and the vectors by name of the photograph."""
        return {
            "center": self._model.center.tolist(),
            "length": self._model.length,
            "network": {name: packed(tensor) for name, tensor in self._model.tensors.items()},
            "vectors": {name: packed(self.vector(view)) for view, name in enumerate(self._names)},
        }

    def settle(self, result: Mapping[str, Any]) -> None:
        """Photographs that the result does not name have the scene's own look."""
        self._model.settle(result)
        vectors = result.get("vectors")
        if not isinstance(vectors, dict):
            raise ValueError("the embedding has no vectors")
        self._vectors.zero_()
        for view, name in enumerate(self._names):
            if name in vectors:
                self._vectors[view] = unpacked(vectors[name], [self._settings.size], f"the vector of {name}")
        self._settled = True


class _Model:
    """What vectors do to the scene."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self.center = torch.zeros(3)
        self.length = 1.0

    @classmethod
    def started(cls, settings: EmbeddingConfig, config: TrainConfig) -> _Model:
        """The layer that vectors make is 0, so that the scene is as it is."""
        inputs, width = sh_transfer.num_features(0), settings.width
        tensors = {"vectors_to_layer": torch.zeros(settings.size, (inputs + width) * 12)}
        if width:
            random = torch.Generator().manual_seed(config.seed + 2)
            for name, before in (("hidden", inputs), ("output", width)):
                tensors[name] = torch.randn(width, before, generator=random) * math.sqrt(2 / before)
                tensors[f"{name}_bias"] = torch.zeros(width)
        return cls(tensors)

    def move_to(self, device: torch.device, trained: bool) -> None:
        self.center = self.center.to(device)
        self.tensors = {
            name: tensor.detach().to(device, copy=True).requires_grad_(trained)
            for name, tensor in self.tensors.items()
        }

    def changed(self, params: Mapping[str, Tensor], vector: Tensor) -> Mapping[str, Tensor]:
        """The raw parameters of a scene as the photograph of a vector shows it."""
        network = {name: tensor for name, tensor in self.tensors.items() if name != "vectors_to_layer"}
        known = sh_transfer.features(params, self.center, self.length, network)
        layer = (vector @ self.tensors["vectors_to_layer"]).unflatten(0, (-1, 12))
        return sh_transfer.changed(params, known, layer)

    def settle(self, result: Mapping[str, Any]) -> None:
        """
        Raises:
            ValueError: this is no result of such a model.
        """
        try:
            center, length = torch.tensor(result["center"], dtype=torch.float32), float(result["length"])
            network = {
                name: unpacked(result["network"][name], tensor.shape, f"the embedding's {name}")
                for name, tensor in self.tensors.items()
            }
        except (KeyError, TypeError) as error:
            raise ValueError(f"the embedding is none: {error}") from None
        if center.shape != (3,) or not math.isfinite(length) or length <= 0:
            raise ValueError("the embedding is of no place")
        self.center, self.length, self.tensors = center, length, network


class _OfAnchors(_Model):
    """What vectors do to the network of colours of a scene of anchors (`gsplat_core/models/scaffold.py`)."""

    @classmethod
    def started(cls, settings: EmbeddingConfig, config: TrainConfig) -> _Model:
        return cls({"vectors_to_hidden": torch.zeros(settings.size, scaffold.HIDDEN)})

    def changed(self, params: Mapping[str, Tensor], vector: Tensor) -> Mapping[str, Tensor]:
        biases = params[_BIASES] + vector @ self.tensors["vectors_to_hidden"]
        return {**params, _BIASES: biases}


_BIASES = "colors_hidden_biases"
_MODELS: dict[str, type[_Model]] = {scaffold.NAME: _OfAnchors}


class _Unseen(Part):
    """The vector of one photograph, which starts as that of the average."""

    def __init__(self, settings: EmbeddingConfig, model: _Model) -> None:
        self._model = model
        self._vector = torch.zeros(settings.size)

    def initialize(self, num: int, device: torch.device) -> None:
        self._vector = self._vector.to(device).requires_grad_()

    def parameters(self) -> Sequence[Group]:
        return [of_unseen("vector", self._vector, 0.1)]

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        return self._model.changed(params, self._vector)

    def shown_at_test(
        self, params: Mapping[str, Tensor], camera: Camera, view: int | None
    ) -> Mapping[str, Tensor]:
        return self._model.changed(params, self._vector)
