"""Primitives: what turns a scene's raw parameters into the Gaussians that are projected.

A primitive is a function that runs before projection, in PyTorch, so that it is differentiated by autograd
(or brings a derivative of its own), and the schema of the fields that it reads (`scene/schema.py`). The
plain Gaussian only activates its parameters; others slice a 6D Gaussian by view direction, move with time,
hang on the faces of a mesh, or filter against aliasing. A scene knows its primitive by name
(`Gaussians.primitive`), and `evaluate` is the only way from raw to rendered:

    gaussians = primitive.evaluate(scene, {"viewmats": viewmats})
    colors, alphas, meta = rasterization(**gaussians.arguments(), viewmats=..., Ks=..., ...)

Primitives of this package are modules of `gsplat_core/models`; those of other packages are known once the
module that registers them is imported.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from torch import Tensor

from gsplat_core.activations import activate
from gsplat_core.errors import UsageError
from gsplat_core.scene import schema as schemas
from gsplat_core.scene.schema import Schema

if TYPE_CHECKING:
    from gsplat_core.render.head import Head
    from gsplat_core.render.volume import Volume
    from gsplat_core.scene.gaussians import Gaussians

# Primitives of gsplat_core/models, each with the module that registers it. To add one: write its file, and
# its line here.
MODELS: Mapping[str, str] = {
    "2dgs": "surfel",
    "6dgs": "directional",
    "analytic": "analytic",
    "eagles": "eagles",
    "flat": "flat",
    "forest": "forest",
    "generalized": "generalized",
    "ges": "ges",
    "mip": "mip",
    "ndg": "directional",
    "ray": "ray",
    "raygauss": "raygauss",
    "scaffold": "scaffold",
    "sundae": "sundae",
}


class Evaluated(NamedTuple):
    """Gaussians ready for projection. Shapes as in :func:`gsplat_core.rasterization`."""

    means: Tensor  # [..., N, 3]
    quats: Tensor | None  # [..., N, 4], with scales
    scales: Tensor | None  # [..., N, 3] linear
    opacities: Tensor  # [..., N] in [0, 1]
    colors: Tensor | tuple[Tensor, Tensor]  # features, SH coefficients, or these as (sh0, shN)
    covars: Tensor | None = None  # [..., N, 6] or [..., N, 3, 3] instead of quats and scales
    response: str = "gaussian"  # how opacity falls with the distance from a splat's centre
    extras: Tensor | None = None  # [..., N, E] the response's numbers per splat
    sh_means: Tensor | None = None  # [..., N, 3] that harmonics are seen at, where that is not at the means
    planes: bool = False  # whether they are flat, with depths of their planes, gsplat_core.render.planes
    volume: Volume | None = None  # what else they are, where rays are cast through them
    head: Head | None = None  # what makes the image of what is blended, gsplat_core.render.head

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of :func:`gsplat_core.rasterization` that describe the scene; optional ones
        only where they are not as by default. Of a density they are Gaussians that look much like it, and of
        Gaussians with a head these alone."""
        given = self._asdict()
        del given["volume"], given["head"]
        if self.covars is None:
            del given["covars"]
        if self.response == "gaussian":
            del given["response"]
        if self.extras is None:
            del given["extras"]
        if self.sh_means is None:
            del given["sh_means"]
        if not self.planes:
            del given["planes"]
        return given


class Evaluation(Protocol):
    """Evaluates raw parameters for a view.

    `params` holds the tensors of the primitive's fields by name, each with one row per primitive, and what
    these rows share (`Schema.shared`). `context` holds what else the primitive depends on, by name: time,
    viewmats, a mesh, an appearance embedding; each primitive documents the names that it reads.
    """

    def __call__(self, params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated: ...


@dataclass(frozen=True)
class Primitive:
    """What is registered under a name: a function, and the fields of the scenes that it evaluates.

    Args:
        baked: the scene of plain Gaussians that looks exactly like a scene of this primitive, which files and
            viewers get; None where there is none.
        nearest: the scene of plain Gaussians that looks roughly like it, which files get on request.
        per_camera: whether its Gaussians are others for each camera, so that it reads one from the context,
            "viewmats" [1, 4, 4].
        started: what a training makes of a scene with blank fields, with a seed for what is random; None: it
            starts with these.
        sh_degree: of its colours as published; None: any.
        any_axes: whether a row looks the same when its axes are renamed, as an ellipsoid does, so that
            codecs, which do that (`compress/symmetry.py`), may code it.
        splats: as how many Gaussians each row is drawn: row i as splats i * splats to (i + 1) * splats - 1 of
            what is told of each splat.
        kept: whether files that can hold its rows hold them and not what they are `baked` to, as they are
            smaller or tell more.
        fits: raises ValueError where tensors of the right shapes do not make a scene of it; None: they do.
        fitted: what makes a scene whose fields are blank look as its six fields of the plain Gaussian say,
            where blank is not that (`Gaussians.with_primitive`).
    """

    name: str
    schema: Schema
    evaluation: Evaluation
    baked: Callable[[Gaussians], Gaussians] | None = None
    nearest: Callable[[Gaussians], Gaussians] | None = None
    per_camera: bool = False
    started: Callable[[Gaussians, int], Gaussians] | None = None
    sh_degree: int | None = None
    any_axes: bool = False
    splats: int = 1
    kept: bool = False
    fits: Callable[[Gaussians], None] | None = None
    fitted: Callable[[Gaussians], Gaussians] | None = None

    def __call__(self, params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
        """
        Raises:
            ValueError: a field, or the camera, is missing.
        """
        if missing := tuple(known for known in self.schema.known if known.name not in params):
            raise ValueError(
                f"the primitive {self.name!r} needs {schemas.names_of(missing)}; given are "
                f"{schemas.names_of(params)}"
            )
        if self.per_camera:
            self._check_camera(context.get("viewmats"))
        return self.evaluation(params, context)

    def _check_camera(self, viewmats: Any) -> None:
        got = list(viewmats.shape) if isinstance(viewmats, Tensor) else type(viewmats).__name__
        if got != [1, 4, 4]:
            raise ValueError(
                f"the primitive {self.name!r} consists of other Gaussians for each camera: "
                f"context['viewmats'] must be that of one, [1, 4, 4], got {got}; "
                "gsplat_core.render.scene.render(scene, camera) gives it, for one camera at a time"
            )


_registry: dict[str, Primitive] = {}
_E = TypeVar("_E", bound=Evaluation)


def register(
    name: str,
    schema: Schema = schemas.GAUSSIAN,
    **kind: Any,
) -> Callable[[_E], _E]:
    """Decorator that makes a function available as the primitive `name`.

    Args:
        name: by which scenes, files and options know it; letters, digits, `_` and `-`.
        schema: the fields that it reads; by default those of the plain Gaussian.
        kind: what else `Primitive` says of it: `baked` and so on.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise UsageError(f"a primitive's name has letters, digits, _ and -, not {name!r}")

    def add(evaluation: _E) -> _E:
        if name in _registry:
            raise UsageError(f"a primitive named {name!r} is registered already")
        _registry[name] = Primitive(name, schema, evaluation, **kind)
        return evaluation

    return add


def get(name: str) -> Primitive:
    """The primitive registered as `name`; raises :class:`gsplat_core.errors.UsageError` if there is none."""
    if name not in _registry and name in MODELS:
        importlib.import_module(f"gsplat_core.models.{MODELS[name]}")
    if name not in _registry:
        raise UsageError(f"no primitive is named {name!r}; there are: {', '.join(names())}")
    return _registry[name]


def names() -> list[str]:
    """The names of all primitives."""
    return sorted({*_registry, *MODELS})


def no_place_for(name: str) -> str:
    """What a file, codec or viewer of plain Gaussians says about a scene of this primitive."""
    fields = [field.name for field in get(name).schema if field.name not in schemas.PARAMETERS]
    what = f"{schemas.names_of(fields)} of the primitive {name!r}" if fields else f"the primitive {name!r}"
    return f"has no place for {what}"


def splats_of(scene: Any) -> int:
    """As how many Gaussians each row of a scene is drawn: 1 of what is no scene, but Gaussians already."""
    name = getattr(scene, "primitive", None)
    return 1 if name is None else get(name).splats


def evaluate(
    scene: Gaussians | Mapping[str, Tensor],
    context: Mapping[str, Any] | None = None,
    primitive: str = "gaussian",
) -> Evaluated:
    """The Gaussians that a scene is rendered as.

    Args:
        scene: a scene, which knows its primitive; or raw tensors by field, of the primitive named.
        context: what else the primitive reads, see there.
        primitive: of raw tensors.

    Raises:
        UsageError: there is no such primitive.
        ValueError: it has fields that are not given.
    """
    if isinstance(scene, Mapping):
        return get(primitive)(scene, context or {})
    return get(scene.primitive)(scene.fields, context or {})


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
