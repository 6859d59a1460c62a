"""Primitives: what turns a scene's raw parameters into the Gaussians that are projected.

A primitive is a function that runs before projection, in PyTorch, so that it is differentiated by autograd
(or brings a derivative of its own). The plain Gaussian only activates its parameters; others slice a 6D
Gaussian by view direction, move with time, hang on the faces of a mesh, or filter against aliasing. Use:

    gaussians = primitive.get("gaussian")(params, {})
    colors, alphas, meta = rasterization(**gaussians.arguments(), viewmats=..., Ks=..., ...)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor

from gsplat_core.activations import activate
from gsplat_core.errors import UsageError


class Evaluated(NamedTuple):
    """Gaussians ready for projection. Shapes as in :func:`gsplat_core.rasterization`."""

    means: Tensor  # [..., N, 3]
    quats: Tensor | None  # [..., N, 4], with scales
    scales: Tensor | None  # [..., N, 3] linear
    opacities: Tensor  # [..., N] in [0, 1]
    colors: Tensor | tuple[Tensor, Tensor]  # features, SH coefficients, or these as (sh0, shN)
    covars: Tensor | None = None  # [..., N, 6] or [..., N, 3, 3] instead of quats and scales

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of :func:`gsplat_core.rasterization` that describe the scene."""
        return self._asdict()


class Primitive(Protocol):
    """Evaluates raw parameters for a view.

    `params` holds the trained tensors by name, each with one row per primitive. `context` holds what else the
    primitive depends on, by name: time, viewmats, a mesh, an appearance embedding; each primitive documents
    the names that it reads.
    """

    def __call__(self, params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated: ...


_registry: dict[str, Primitive] = {}
_P = TypeVar("_P", bound=Primitive)


def register(name: str) -> Callable[[_P], _P]:
    """Decorator that makes a primitive available under `name`."""

    def add(primitive: _P) -> _P:
        if name in _registry:
            raise UsageError(f"a primitive named {name!r} is registered already")
        _registry[name] = primitive
        return primitive

    return add


def get(name: str) -> Primitive:
    """The primitive registered as `name`; raises :class:`gsplat_core.errors.UsageError` if there is none."""
    if name not in _registry:
        raise UsageError(f"no primitive is named {name!r}; there are: {', '.join(names())}")
    return _registry[name]


def names() -> list[str]:
    """The names of all registered primitives."""
    return sorted(_registry)


@register("gaussian")
def gaussian(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """The Gaussian of 3DGS: log-scales, logit-opacities, SH colours. Reads nothing from the context."""
    scales, opacities = activate(params["scales"], params["opacities"])
    return Evaluated(
        means=params["means"],
        quats=params["quats"],
        scales=scales,
        opacities=opacities,
        colors=(params["sh0"], params["shN"]),
    )
