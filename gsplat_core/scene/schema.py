"""What a row of a scene consists of: its fields, and how each of them behaves.

The plain Gaussian has six (`GAUSSIAN`). A primitive (`gsplat_core.primitive`) brings its own schema: these
six and further ones, such as the exponent of a generalized exponential. Everything that handles rows asks
the schema instead of knowing names: a new field is trained, saved, merged and moved without another line.

What decodes rows, such as the weights of a network, belongs to all of them: a scene has it once (`Shared`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.quaternions import multiply
from gsplat_core.scene.sh_rotation import rotate_sh
from gsplat_core.scene.similarity import Similarity

PARAMETERS = ("means", "quats", "scales", "opacities", "sh0", "shN")
"""The fields of the plain Gaussian, which every scene has."""

FROZEN = "frozen"
"""The field of `Gaussians.extras`, bool [N], that says which rows training leaves as they are."""

PACE = "pace"
"""The field of `Gaussians.extras`, float [N] of at least 0, by which the steps of each row are multiplied in
training (`gsplat_core.optim.Adam.step`); 1 where there is no such field."""

Role: TypeAlias = Literal["geometry", "colour", "trained", "carried", "unused"]


class Activation(NamedTuple):
    """Between the raw numbers that are trained and the values that they stand for, both differentiable."""

    value: Callable[[Tensor], Tensor]
    raw: Callable[[Tensor], Tensor]
    """The inverse."""


def between(low: float, high: float) -> Activation:
    """Values from `low` to `high`, both positive, of which raw numbers are logits on a logarithmic scale: 0
    stands for the geometric mean.
    """
    ratio = math.log(high / low)
    middle = math.sqrt(low * high)
    return Activation(
        lambda raw: middle * (ratio * (sigmoid(raw) - 0.5)).exp(),
        lambda value: torch.logit((value / low).log() / ratio),
    )


ACTIVATIONS = {
    "none": Activation(lambda raw: raw, lambda value: value),
    "exp": Activation(torch.exp, torch.log),
    "sigmoid": Activation(sigmoid, torch.logit),
}

Moved: TypeAlias = Callable[[Tensor, Similarity], Tensor]
"""What becomes of the rows [N, ...] of a field when the scene is moved."""


def _rotated(quats: Tensor, similarity: Similarity) -> Tensor:
    turn = similarity.quaternion().to(quats.device, quats.dtype)
    return multiply(turn.expand_as(quats), quats)


def _turned(vectors: Tensor, similarity: Similarity) -> Tensor:
    turned = vectors.to(torch.float64) @ similarity.rotation.T.to(vectors.device)
    return turned.to(vectors.dtype)


SIMILARITIES: dict[str, Moved] = {
    "invariant": lambda rows, similarity: rows,
    "point": lambda rows, similarity: similarity.apply(rows),
    "vector": lambda rows, similarity: similarity.scale * _turned(rows, similarity),
    "direction": _turned,
    "length": lambda rows, similarity: similarity.scale * rows,
    "log length": lambda rows, similarity: rows + math.log(similarity.scale),
    "rotation": _rotated,
    "harmonics": lambda rows, similarity: rotate_sh(rows, similarity.rotation),
}

_LENGTHS = ("point", "vector", "length")


@dataclass(frozen=True)
class Field:
    """One number, or several, of every row.

    Args:
        name: by which parameters, edits, files and the primitive know it.
        shape: of a row; (-1, 3) are as many as the degree of the spherical harmonics asks for.
        role: "geometry" and "colour" of the Gaussian, what else is "trained", or what is only "carried" with
            the rows for the primitive to read, without being trained; that is one of `Gaussians.extras`.
            "unused" is what of the Gaussian's six the primitive does not read: blank, and in no file.
        activation: from the raw numbers to the values; one of `ACTIVATIONS` or a pair of functions.
        learning_rate: Adam's, for raw numbers; of lengths, in units of the scene. None: it stays as it is.
        similarity: what becomes of it when the scene is moved; one of `SIMILARITIES` or a function.
        blank: the raw numbers with which a row is a plain Gaussian. Rows that come from scenes without the
            field get them, and training starts with them. None: there are none.
        decay: what its learning rate is multiplied by at the end of a training, towards which it falls
            exponentially. That of means is `TrainConfig`'s.
        decoded_from: the further field that it is computed from, in place of being trained; it holds what
            that says, for those who read it, and who changes it changes that (`trainers/parts/latents.py`).

    Raises:
        ValueError: a name, role, activation, similarity or rate that makes no sense.
    """

    name: str
    shape: tuple[int, ...] = ()
    role: Role = "trained"
    activation: str | Activation = "none"
    learning_rate: float | None = None
    similarity: str | Moved = "invariant"
    blank: float | tuple[float, ...] | None = 0.0
    decay: float = 1.0
    decoded_from: str | None = None

    def __post_init__(self) -> None:
        if self.role == "carried" and self.learning_rate is not None:
            raise ValueError(f"field {self.name!r} is only carried, so it has no learning rate")
        _check(self)
        if isinstance(self.activation, str) and self.activation not in ACTIVATIONS:
            raise ValueError(
                f"field {self.name!r}: {self.activation!r} is none of {', '.join(map(repr, ACTIVATIONS))}"
            )

    @property
    def trained(self) -> bool:
        """Whether an optimizer moves it."""
        return self.learning_rate is not None

    @property
    def measures_lengths(self) -> bool:
        """Whether its learning rate is in units of the scene."""
        return self.similarity in _LENGTHS

    def value(self, raw: Tensor) -> Tensor:
        """What raw numbers stand for."""
        return self._activation.value(raw)

    def raw(self, value: Tensor) -> Tensor:
        """The inverse of `value`."""
        return self._activation.raw(value)

    @property
    def _activation(self) -> Activation:
        return ACTIVATIONS[self.activation] if isinstance(self.activation, str) else self.activation

    def moved(self, rows: Tensor, similarity: Similarity) -> Tensor:
        """The rows [N, ...] after x -> s R x + t of the scene. Differentiable."""
        return _change(self)(rows, similarity)

    def blanks(self, count: int, like: Tensor) -> Tensor:
        """[count, ...] rows of a plain Gaussian, of the dtype and on the device of `like`.

        Raises:
            ValueError: there are none for this field, or how many numbers a row has is open.
        """
        if self.blank is None or -1 in self.shape:
            raise ValueError(f"there is no value of the field {self.name!r} that fits every row")
        row = torch.as_tensor(self.blank, dtype=like.dtype, device=like.device)
        return row.expand(count, *self.shape).clone()

    def check(self, rows: Any, count: int | None, what: str) -> None:
        """
        Args:
            count: how many rows are expected; None: any number.
            what: names the field in the error.

        Raises:
            ValueError: this is not [count, ...] with the field's shape.
        """
        if not isinstance(rows, Tensor):
            raise ValueError(f"{what}: expected a tensor, got {type(rows).__name__}")
        expected = (-1 if count is None else count, *self.shape)
        shape = tuple(rows.shape)
        fits = len(shape) == len(expected)
        if not fits or any(e not in (-1, n) for e, n in zip(expected, shape, strict=True)):
            first, *rest = expected
            sizes = ["N" if first == -1 else str(first), *("K-1" if n == -1 else str(n) for n in rest)]
            raise ValueError(f"{what}: expected shape [{', '.join(sizes)}], got {list(shape)}")


@dataclass(frozen=True)
class Shared:
    """A tensor that all rows of a scene share: the weights of a network that decodes them, a codebook, the
    nodes of trees whose leaves they are.

    Args:
        name: as for `Field`, and none of the scene's fields.
        shape: of the whole tensor. A first size of -1 is open: rows of their own, which come and go.
        learning_rate, decay, similarity: as for `Field`, of the tensor as a whole.
        integer: whether it is int64, which is not trained; else it is floating point like the fields.

    Raises:
        ValueError: a name, shape, similarity or rate that makes no sense.
    """

    name: str
    shape: tuple[int, ...] = ()
    learning_rate: float | None = None
    decay: float = 1.0
    similarity: str | Moved = "invariant"
    integer: bool = False

    def __post_init__(self) -> None:
        _check(self)
        if any(size < 1 for size in self.shape[1:]) or any(size < -1 for size in self.shape[:1]):
            raise ValueError(f"field {self.name!r}: the shape {self.shape} is none; the first size may be -1")
        if self.integer and self.trained:
            raise ValueError(f"field {self.name!r} has integers, so it has no learning rate")

    @property
    def trained(self) -> bool:
        """Whether an optimizer moves it."""
        return self.learning_rate is not None

    @property
    def measures_lengths(self) -> bool:
        """Whether its learning rate is in units of the scene."""
        return self.similarity in _LENGTHS

    def moved(self, tensor: Tensor, similarity: Similarity) -> Tensor:
        """The tensor after x -> s R x + t of the scene. Differentiable."""
        return _change(self)(tensor, similarity)

    def blank(self, like: Tensor) -> Tensor:
        """Zeros, and no rows where their number is open; of the dtype and on the device of `like`."""
        shape = [max(size, 0) for size in self.shape]
        return torch.zeros(shape, dtype=torch.int64 if self.integer else like.dtype, device=like.device)

    def check(self, tensor: Any, like: Tensor) -> None:
        """
        Args:
            like: a field of the scene's.

        Raises:
            ValueError: this is not such a tensor, of the dtype and on the device of `like`.
        """
        what = f"shared[{self.name!r}]"
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{what}: expected a tensor, got {type(tensor).__name__}")
        shape = tuple(tensor.shape)
        if len(shape) != len(self.shape) or any(
            e not in (-1, n) for e, n in zip(self.shape, shape, strict=True)
        ):
            sizes = ", ".join("M" if n == -1 else str(n) for n in self.shape)
            raise ValueError(f"{what}: expected shape [{sizes}], got {list(shape)}")
        dtype = torch.int64 if self.integer else like.dtype
        if tensor.dtype != dtype or tensor.device != like.device:
            raise ValueError(
                f"{what}: expected {dtype} on {like.device}, got {tensor.dtype} on {tensor.device}"
            )


def _check(known: Field | Shared) -> None:
    """What is asked of both."""
    if not known.name.isidentifier():
        raise ValueError(f"field {known.name!r}: expected a name of letters, digits and underscores")
    rate = known.learning_rate
    if rate is not None and not 0 <= rate < math.inf:
        raise ValueError(f"field {known.name!r}: learning rate {rate} must be 0 or positive")
    if not 0 < known.decay <= 1:
        raise ValueError(f"field {known.name!r}: decay {known.decay} must be in (0, 1]")
    if isinstance(known.similarity, str) and known.similarity not in SIMILARITIES:
        raise ValueError(
            f"field {known.name!r}: {known.similarity!r} is none of {', '.join(map(repr, SIMILARITIES))}"
        )


def _change(known: Field | Shared) -> Moved:
    return SIMILARITIES[known.similarity] if isinstance(known.similarity, str) else known.similarity


@dataclass(frozen=True)
class Schema:
    """The fields of a scene, in their order, and what its rows share.

    Raises:
        ValueError: a name twice, one of the six missing or of another shape than the plain Gaussian's, or
            another field whose shape is open.
    """

    fields: tuple[Field, ...]
    shared: tuple[Shared, ...] = ()

    def __post_init__(self) -> None:
        names = [known.name for known in self.known]
        if len(set(names)) < len(names):
            raise ValueError(f"a field is named twice: {', '.join(names)}")
        for taken, says in ((FROZEN, "which rows are not trained"), (PACE, "how fast rows are trained")):
            if taken in names:
                raise ValueError(f"a field must not be named {taken!r}: that says {says}")
        if missing := [name for name in PARAMETERS if name not in names]:
            raise ValueError(
                f"every scene has the fields {', '.join(PARAMETERS)}, but {', '.join(missing)} is missing; "
                "a field that shall not be trained has no learning rate"
            )
        for field in self.fields:
            if -1 in field.shape and field.name != "shN":
                raise ValueError(f"field {field.name!r}: only shN has a shape that is open, {field.shape}")

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __contains__(self, name: object) -> bool:
        return any(field.name == name for field in self.fields)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    @property
    def known(self) -> tuple[Field | Shared, ...]:
        """The fields and what their rows share."""
        return (*self.fields, *self.shared)

    @property
    def parameters(self) -> tuple[Field, ...]:
        """The fields that are parameters of a scene: the six and further ones, trained or not."""
        return tuple(field for field in self.fields if field.role != "carried")

    @property
    def further(self) -> tuple[Field, ...]:
        """The parameters beyond the six of the plain Gaussian."""
        return tuple(field for field in self.parameters if field.name not in PARAMETERS)

    @property
    def carried(self) -> tuple[Field, ...]:
        """The fields of `Gaussians.extras` that the primitive reads."""
        return tuple(field for field in self.fields if field.role == "carried")

    @property
    def unused(self) -> frozenset[str]:
        """The names of those of the six that the primitive does not read."""
        return frozenset(field.name for field in self.fields if field.role == "unused")

    @property
    def trained(self) -> tuple[Field, ...]:
        """The parameters that an optimizer moves."""
        return tuple(field for field in self.parameters if field.trained)

    @property
    def optimized(self) -> tuple[Field | Shared, ...]:
        """What an optimizer moves of the parameters and of what rows share."""
        return (*self.trained, *(known for known in self.shared if known.trained))

    def plus(self, *fields: Field) -> Schema:
        """With further fields behind."""
        return replace(self, fields=(*self.fields, *fields))

    def sharing(self, *shared: Shared) -> Schema:
        """With further tensors that all rows share."""
        return replace(self, shared=(*self.shared, *shared))

    def changed(self, name: str, **changes: Any) -> Schema:
        """With a field that differs, such as `changed("quats", learning_rate=None)`: rotations are fixed."""
        if name not in self:
            raise KeyError(name)
        return replace(
            self, fields=tuple(replace(f, **changes) if f.name == name else f for f in self.fields)
        )


# Adam's learning rates are those of 3DGS (Kerbl et al. 2023).
GAUSSIAN = Schema(
    (
        Field("means", (3,), "geometry", "none", 1.6e-4, "point", blank=None),
        Field("quats", (4,), "geometry", "none", 1e-3, "rotation", blank=(1.0, 0.0, 0.0, 0.0)),
        Field("scales", (3,), "geometry", "exp", 5e-3, "log length", blank=None),
        Field("opacities", (), "geometry", "sigmoid", 0.05, "invariant", blank=None),
        Field("sh0", (1, 3), "colour", "none", 2.5e-3, "invariant"),
        Field("shN", (-1, 3), "colour", "none", 1.25e-4, "harmonics"),
    )
)
"""The plain Gaussian: `Gaussians` says what its fields are."""


def names_of(fields: Iterable[str | Field | Shared]) -> str:
    """Names of fields for a message."""
    return ", ".join(repr(field if isinstance(field, str) else field.name) for field in fields)
