"""The scene: N Gaussians with their trainable parameters and any further per-Gaussian fields."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from gsplat_core import primitive as primitives
from gsplat_core.errors import UnsuitableSceneError
from gsplat_core.scene.harmonics import MAX_DEGREE, degree_of, num_coefficients
from gsplat_core.scene.metadata import Metadata
from gsplat_core.scene.schema import FROZEN, PACE, PARAMETERS, Schema, names_of
from gsplat_core.scene.similarity import Similarity

PLAIN = "gaussian"
"""The primitive that has nothing but the six parameters."""

_EXTRA_PREFIX = "extras."
_METADATA_PREFIX = "metadata."
_SHARED_PREFIX = "shared."
_PRIMITIVE_PREFIX = "primitive."


@dataclass(eq=False)
class Gaussians:
    """Raw parameters as they are trained, and extra fields that follow their rows through every operation.

    Args:
        means: centres [N, 3], scene units.
        quats: rotations [N, 4], (w, x, y, z), need not be normalised.
        scales: [N, 3], natural logarithm of the standard deviations along the Gaussian's own axes.
        opacities: [N], logits (opacity = sigmoid).
        sh0: constant SH coefficient [N, 1, 3]; colour = max(0, 0.5 + sum_k b_k sh_k).
        shN: the other SH coefficients [N, K-1, 3], K = (degree + 1)^2, degree 0 to 4.
        extras: further per-Gaussian fields by name, tensors [N, ...]: labels, features, times. They carry no
            geometry: `transformed` leaves them as they are, but for those that the primitive's schema knows.
            The dictionary is held, not copied. `frozen` [N] bool says which rows training leaves as they are,
            `pace` [N] floating point by what the steps of each are multiplied.
        metadata: what the scene as a whole is, such as how it wants to be drawn.
        primitive: what the rows are (`gsplat_core.primitive`).
        further: the parameters that this primitive has beyond the six, by name, [N, ...] as its schema says.
        shared: what all rows share, by name, as its schema says, such as the weights of a network.

    All parameters share one floating-point dtype, and everything is on one device.

    Raises:
        ValueError: a shape, dtype, device or name that does not fit; the message names the field.
        UsageError: there is no such primitive.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh0: Tensor
    shN: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=Metadata)
    primitive: str = PLAIN
    further: dict[str, Tensor] = field(default_factory=dict)
    shared: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        schema = self.schema
        schema["means"].check(self.means, None, "means")
        self._check_further(schema)
        for known in schema.parameters:
            known.check(self.params[known.name], self.num, known.name)
        try:
            degree_of(self.shN.shape[1] + 1)
        except ValueError as error:
            raise ValueError(f"shN {list(self.shN.shape)}: {error}") from None
        for name, tensor in self.params.items():
            if not tensor.is_floating_point() or tensor.dtype != self.means.dtype:
                raise ValueError(
                    f"{name}: expected floating point like means ({self.means.dtype}), got {tensor.dtype}"
                )
            if tensor.device != self.device:
                raise ValueError(f"{name}: is on {tensor.device} but means on {self.device}")
        for name, tensor in self.extras.items():
            self._check_extra(name, tensor)
        for known in schema.carried:
            if known.name not in self.extras:
                raise ValueError(
                    f"extras: the primitive {self.primitive!r} reads {known.name!r}, which is not there"
                )
            known.check(self.extras[known.name], self.num, f"extras[{known.name!r}]")
        self._check_shared(schema)
        if not isinstance(self.metadata, Metadata):
            raise ValueError(f"metadata: expected Metadata, got {type(self.metadata).__name__}")
        if (fits := primitives.get(self.primitive).fits) is not None:
            fits(self)

    def _check_further(self, schema: Schema) -> None:
        """That the primitive has these parameters beyond the six, and no others."""
        expected = [known.name for known in schema.further]
        if sorted(self.further) != sorted(expected):
            raise ValueError(
                f"further: the primitive {self.primitive!r} has the parameters "
                f"{names_of(schema.further) or 'of the plain Gaussian only'} beyond the six, got "
                f"{names_of(self.further) or 'none'}; Gaussians.with_primitive makes one scene from another"
            )

    def _check_shared(self, schema: Schema) -> None:
        if sorted(self.shared) != sorted(known.name for known in schema.shared):
            raise ValueError(
                f"shared: rows of the primitive {self.primitive!r} share "
                f"{names_of(schema.shared) or 'nothing'}, got {names_of(self.shared) or 'nothing'}"
            )
        for known in schema.shared:
            known.check(self.shared[known.name], self.means)

    def _check_extra(self, name: str, tensor: Tensor) -> None:
        if not isinstance(name, str) or not name or name in self.params or any(c.isspace() for c in name):
            raise ValueError(f"extras[{name!r}]: expected a name without spaces that is not a parameter's")
        if not isinstance(tensor, Tensor) or tensor.is_complex():
            raise ValueError(f"extras[{name!r}]: expected a real tensor")
        if tensor.ndim < 1 or tensor.shape[0] != self.num:
            raise ValueError(f"extras[{name!r}]: expected shape [{self.num}, ...], got {list(tensor.shape)}")
        if tensor.device != self.device:
            raise ValueError(f"extras[{name!r}]: is on {tensor.device} but means on {self.device}")
        if name == FROZEN and (tensor.dtype != torch.bool or tensor.ndim != 1):
            raise ValueError(
                f"extras[{name!r}] says which rows are not trained: expected bool [{self.num}], got "
                f"{tensor.dtype} {list(tensor.shape)}; rename it if it is something else"
            )

    @classmethod
    def of(
        cls,
        params: Mapping[str, Tensor],
        primitive: str = PLAIN,
        extras: Mapping[str, Tensor] | None = None,
        metadata: Metadata | None = None,
        shared: Mapping[str, Tensor] | None = None,
    ) -> Gaussians:
        """The scene with these parameters, the six and further ones alike; the inverse of `params`.

        Raises:
            ValueError, UsageError: as for the class; a parameter is missing.
        """
        if missing := [name for name in PARAMETERS if name not in params]:
            raise ValueError(f"every scene has the parameters {', '.join(PARAMETERS)}; missing: {missing}")
        return cls(
            **{name: params[name] for name in PARAMETERS},
            extras=dict(extras or {}),
            metadata=metadata or Metadata(),
            primitive=primitive,
            further={name: params[name] for name in params if name not in PARAMETERS},
            shared=dict(shared or {}),
        )

    @property
    def params(self) -> dict[str, Tensor]:
        """The parameters by name, the six and further ones, the very tensors (not copies)."""
        return {**{name: getattr(self, name) for name in PARAMETERS}, **self.further}

    @property
    def fields(self) -> dict[str, Tensor]:
        """What the primitive reads: the parameters, what rows share, and those of `extras` that its schema
        knows."""
        carried = {known.name: self.extras[known.name] for known in self.schema.carried}
        return {**self.params, **self.shared, **carried}

    @property
    def schema(self) -> Schema:
        """The fields of its primitive."""
        return primitives.get(self.primitive).schema

    @property
    def num(self) -> int:
        """Number of Gaussians."""
        return self.means.shape[0]

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, 0 to 4."""
        return degree_of(self.shN.shape[1] + 1)

    @property
    def device(self) -> torch.device:
        return self.means.device

    def __repr__(self) -> str:
        extras = "".join(
            f", {name} {list(tensor.shape[1:])}" for name, tensor in (self.further | self.extras).items()
        )
        facts = "".join(f", {name} {value}" for name, value in self.metadata.known().items())
        degree = f"SH degree {self.sh_degree}"
        kind = "" if self.primitive == PLAIN else f"{self.primitive}, "
        return f"Gaussians({kind}{self.num}, {degree}, {self.means.dtype}, {self.device}{extras}{facts})"

    def with_metadata(self, **facts: Any) -> Gaussians:
        """The same scene with other `metadata`, such as `antialiased=True`."""
        return self._replaced(metadata=dataclasses.replace(self.metadata, **facts))

    def require_plain(self, path: str | os.PathLike[str], what: str) -> None:
        """
        Args:
            path: of the file that is to hold the scene.
            what: can hold plain Gaussians only.

        Raises:
            UnsuitableSceneError: these are of another primitive.
        """
        if self.primitive != PLAIN:
            kind = primitives.get(self.primitive)
            raise UnsuitableSceneError(
                path, f"{what} {primitives.no_place_for(self.primitive)}",
                remedy="Write a .ply, or what cameras see: `gsplat-core export` with --camera or --bake."
                if kind.per_camera
                else "Write a .ply, or what is left without it: `gsplat-core export` with --bake."
                if kind.nearest is not None
                else "Write a .ply, or give that up first: Gaussians.with_primitive('gaussian').",
            )  # fmt: skip

    def with_primitive(self, name: str) -> Gaussians:
        """The rows as those of another primitive: what it has beyond this one starts blank, which is as the
        plain Gaussian (`Field.blank`), or is made to look like it (`Primitive.fitted`), and what it does not
        have or read is given up.

        Raises:
            UsageError: there is no such primitive.
            ValueError: a field that has no blank value.
        """
        kind = primitives.get(name)
        schema = kind.schema
        own = {name: t for name, t in (self.params | self.extras).items() if name not in schema.unused}
        if "shN" in schema.unused:
            own["shN"] = self.shN[:, :0]
        fields = {
            known.name: own[known.name] if known.name in own else known.blanks(self.num, self.means)
            for known in schema
        }
        shared = {
            known.name: self.shared[known.name] if known in self.schema.shared else known.blank(self.means)
            for known in schema.shared
        }
        known_here = {known.name for known in self.schema.carried}
        extras = {key: tensor for key, tensor in self.extras.items() if key not in known_here}
        scene = self._replaced(
            **{unused: fields[unused] for unused in schema.unused},
            primitive=name,
            further={known.name: fields[known.name] for known in schema.further},
            extras=extras | {known.name: fields[known.name] for known in schema.carried},
            shared=shared,
        )
        return scene if kind.fitted is None or self.primitive == name else kind.fitted(scene)

    def with_fields(self, fields: Mapping[str, Tensor]) -> Gaussians:
        """The same scene with other parameters and shared tensors: all of the former, and what there is of
        the latter."""
        params = {name: tensor for name, tensor in fields.items() if name not in self.shared}
        shared = {name: fields.get(name, tensor) for name, tensor in self.shared.items()}
        return Gaussians.of(params, self.primitive, self.extras, self.metadata, shared)

    def baked(self) -> Gaussians:
        """The plain Gaussians that look exactly like this scene, where its primitive has such
        (`gsplat_core.primitive.Primitive.baked`); else the scene itself."""
        bake = primitives.get(self.primitive).baked
        return self if bake is None else bake(self)

    def without_extras(self) -> Gaussians:
        """Without the fields of `extras` that its primitive does not read."""
        return self._replaced(extras={known.name: self.extras[known.name] for known in self.schema.carried})

    @property
    def rasterize_mode(self) -> Literal["classic", "antialiased"]:
        """How `rasterization` must draw the scene to show it as it was trained."""
        return "antialiased" if self.metadata.antialiased else "classic"

    def activated(self) -> dict[str, Any]:
        """Arguments for `rasterization(**...)`: what `gsplat_core.primitive.evaluate` makes of the scene."""
        return primitives.evaluate(self).arguments()

    def subset(self, rows: Tensor | slice) -> Gaussians:
        """Some of the Gaussians, as a new scene (differentiable).

        Args:
            rows: boolean mask [N], integer indices [M] (any order, repetition allowed), or a slice.
        """
        if isinstance(rows, Tensor):
            if rows.ndim != 1 or rows.is_floating_point() or rows.is_complex():
                raise ValueError(
                    f"rows: expected a boolean mask [{self.num}] or integer indices [M], "
                    f"got {rows.dtype} {list(rows.shape)}"
                )
            if rows.dtype == torch.bool:
                if rows.shape[0] != self.num:
                    raise ValueError(f"rows: mask of {rows.shape[0]} for {self.num} Gaussians")
                rows = rows.nonzero().squeeze(1)
            elif rows.numel() and not (-self.num <= int(rows.min()) and int(rows.max()) < self.num):
                raise ValueError(
                    f"rows: indices {int(rows.min())} .. {int(rows.max())} for {self.num} Gaussians"
                )
            else:
                rows = rows.long()  # uint8 would be taken for a mask
            rows = rows.to(self.device)
        return self._mapped(lambda tensor: tensor[rows], change_shared=lambda tensor: tensor)

    @staticmethod
    def merge(scenes: Sequence[Gaussians]) -> Gaussians:
        """All Gaussians of several scenes, in order.

        The SH degree becomes the largest one (missing coefficients are 0). Scenes of plain Gaussians become
        those of the primitive of the others, with blank fields (`Field.blank`). A field of `extras` that only
        some of the scenes have is filled in for the others: -1 ("no label") for signed integers, 0 for
        floating point and unsigned, False for booleans, and 1 for `pace`. Fields of one name must agree in
        dtype and trailing shape. What rows share must be the same in all scenes that have it.

        Raises:
            ValueError: no scenes, or primitives, dtypes, devices, extra fields, metadata or shared tensors
                that disagree.
        """
        if not scenes:
            raise ValueError("merge: expected at least one scene")
        degree = max(scene.sh_degree for scene in scenes)
        primitive = _common_primitive(scene.primitive for scene in scenes)
        like = [scene for scene in scenes if scene.primitive == primitive]
        if primitives.get(primitive).fitted and len(like) < len(scenes):
            raise ValueError(
                f"merge: rows of the primitive {primitive!r} share what was found for them, so that others "
                "cannot become such; merge what they look like: Gaussians.baked"
            )
        shared = _common_shared(like)
        scenes = [scene.with_sh_degree(degree).with_primitive(primitive) for scene in scenes]
        for scene in scenes[1:]:
            if (scene.means.dtype, scene.device) != (scenes[0].means.dtype, scenes[0].device):
                raise ValueError(
                    f"merge: scenes are {scenes[0].means.dtype} on {scenes[0].device} and "
                    f"{scene.means.dtype} on {scene.device}; convert with .to() first"
                )
            if scene.metadata != scenes[0].metadata:
                raise ValueError(
                    f"merge: scenes with different metadata, {scenes[0].metadata} and {scene.metadata}, "
                    "cannot be drawn as one; make them agree with .with_metadata() first"
                )
        templates: dict[str, Tensor] = {}
        for scene in scenes:
            for name, tensor in scene.extras.items():
                template = templates.setdefault(name, tensor)
                if (template.dtype, template.shape[1:]) != (tensor.dtype, tensor.shape[1:]):
                    raise ValueError(
                        f"merge: extras[{name!r}] is {template.dtype} {list(template.shape[1:])} in one "
                        f"scene and {tensor.dtype} {list(tensor.shape[1:])} in another"
                    )
        return Gaussians.of(
            {name: torch.cat([scene.params[name] for scene in scenes]) for name in scenes[0].params},
            primitive,
            {
                name: torch.cat([_extra_or_blank(scene, name, template) for scene in scenes])
                for name, template in templates.items()
            },
            scenes[0].metadata,
            shared,
        )

    def transformed(self, similarity: Similarity) -> Gaussians:
        """The scene after x -> s R x + t: centres, rotations, sizes and view-dependent colours follow, and
        further fields as their primitive's schema says.

        Opacities, the constant colour and other fields of `extras` do not change. Differentiable. Images of
        the moved scene from equally moved cameras are the same (except for near and far planes, which are
        lengths).
        """
        schema, fields = self.schema, self.fields
        moved = {known.name: known.moved(fields[known.name], similarity) for known in schema.known}
        carried = {known.name: moved.pop(known.name) for known in schema.carried}
        shared = {known.name: moved.pop(known.name) for known in schema.shared}
        return Gaussians.of(moved, self.primitive, self.extras | carried, self.metadata, shared)

    def with_sh_degree(self, degree: int) -> Gaussians:
        """The scene with another SH degree: new coefficients are 0, surplus ones are cut off."""
        if not 0 <= degree <= MAX_DEGREE:
            raise ValueError(f"SH degree {degree}: expected 0 to {MAX_DEGREE}")
        wanted, present = num_coefficients(degree) - 1, self.shN.shape[1]
        shN = self.shN[:, :wanted]
        if wanted > present:
            shN = torch.cat([shN, shN.new_zeros(self.num, wanted - present, 3)], dim=1)
        return self._replaced(shN=shN)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Gaussians:
        """The scene on another device, and its parameters (not `extras`) in another floating-point dtype."""

        def converted(tensor: Tensor) -> Tensor:
            return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)

        return self._mapped(converted, lambda tensor: tensor.to(device=device))

    def detached(self) -> Gaussians:
        """The same values outside any autograd graph (memory is shared)."""
        return self._mapped(Tensor.detach)

    def cloned(self) -> Gaussians:
        """The same values in memory of their own."""
        return self._mapped(Tensor.clone)

    def requires_grad_(self, flag: bool = True) -> Gaussians:
        """Switches gradients of the parameters on or off, in place."""
        for tensor in (*self.params.values(), *self.shared.values()):
            if tensor.is_floating_point():
                tensor.requires_grad_(flag)
        return self

    def _mapped(
        self,
        change: Callable[[Tensor], Tensor],
        change_extra: Callable[[Tensor], Tensor] | None = None,
        change_shared: Callable[[Tensor], Tensor] | None = None,
    ) -> Gaussians:
        return Gaussians.of(
            {name: change(tensor) for name, tensor in self.params.items()},
            self.primitive,
            {name: (change_extra or change)(tensor) for name, tensor in self.extras.items()},
            self.metadata,
            {name: (change_shared or change)(tensor) for name, tensor in self.shared.items()},
        )

    def _replaced(self, **changes: Any) -> Gaussians:
        """With other values of some attributes; dictionaries are its own."""
        own = {"extras": dict(self.extras), "further": dict(self.further), "shared": dict(self.shared)}
        return dataclasses.replace(self, **{**own, **changes})

    def state_dict(self) -> dict[str, Tensor]:
        """A flat dictionary of tensors for a checkpoint: the parameters, extras as `extras.NAME`, what is not
        as usual in the metadata as `metadata.NAME`, what rows share as `shared.NAME`, and for any primitive
        but the plain Gaussian an empty tensor, `primitive.NAME`."""
        shared = {_SHARED_PREFIX + name: tensor.detach() for name, tensor in self.shared.items()}
        extras = {_EXTRA_PREFIX + name: tensor.detach() for name, tensor in self.extras.items()}
        facts = {_METADATA_PREFIX + name: tensor for name, tensor in self.metadata.state_dict().items()}
        kind = {} if self.primitive == PLAIN else {_PRIMITIVE_PREFIX + self.primitive: torch.empty(0)}
        params = {name: tensor.detach() for name, tensor in self.params.items()}
        return params | extras | shared | facts | kind

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Gaussians:
        """The scene that `state_dict` described.

        Raises:
            ValueError: a parameter is missing, a key is unknown, or the tensors do not fit together.
            UsageError: its primitive is not known here.
        """
        primitive, params, extras, shared, facts = PLAIN, {}, {}, {}, {}
        for key, tensor in state.items():
            if key.startswith(_EXTRA_PREFIX):
                extras[key.removeprefix(_EXTRA_PREFIX)] = tensor
            elif key.startswith(_SHARED_PREFIX):
                shared[key.removeprefix(_SHARED_PREFIX)] = tensor
            elif key.startswith(_METADATA_PREFIX):
                facts[key.removeprefix(_METADATA_PREFIX)] = tensor
            elif key.startswith(_PRIMITIVE_PREFIX):
                primitive = key.removeprefix(_PRIMITIVE_PREFIX)
            else:
                params[key] = tensor
        known = [known.name for known in primitives.get(primitive).schema.parameters]
        missing = [name for name in known if name not in params]
        unknown = [name for name in params if name not in known]
        if missing or unknown:
            raise ValueError(
                f"state of a scene of primitive {primitive!r}: missing {missing or 'nothing'}, "
                f"unknown {unknown or 'nothing'}"
            )
        return cls.of(params, primitive, extras, Metadata.from_state_dict(facts), shared)


def _common_primitive(names: Iterable[str]) -> str:
    """What scenes of these primitives are together."""
    names = set(names)
    others = sorted(names - {PLAIN})
    if len(others) > 1:
        raise ValueError(
            f"merge: scenes of the primitives {' and '.join(map(repr, others))} cannot be drawn as one; "
            "make them agree with .with_primitive() first, which gives up what the other does not have"
        )
    if others and PLAIN in names and primitives.get(others[0]).schema.unused:
        raise ValueError(
            f"merge: a plain Gaussian is none of the primitive {others[0]!r}; merge plain Gaussians that "
            "look like that scene, as `gsplat-core export --bake` makes them"
        )
    return others[0] if others else PLAIN


def _common_shared(scenes: Sequence[Gaussians]) -> dict[str, Tensor]:
    """What the rows of all these scenes of one primitive share."""
    first = scenes[0].shared if scenes else {}
    for scene in scenes[1:]:
        for name, tensor in first.items():
            if not torch.equal(tensor, scene.shared[name]):
                raise ValueError(
                    f"merge: what rows of the primitive {scene.primitive!r} share, {name!r}, is not the same "
                    "in all scenes, so that they cannot be one; merge what they look like: Gaussians.baked"
                )
    return dict(first)


def _extra_or_blank(scene: Gaussians, name: str, template: Tensor) -> Tensor:
    """The field of a scene, or the values that stand for "unknown" where the scene has no such field."""
    if name in scene.extras:
        return scene.extras[name]
    signed_integer = template.dtype in (torch.int8, torch.int16, torch.int32, torch.int64)
    blank = 1 if name == PACE else -1 if signed_integer else 0
    return template.new_full((scene.num, *template.shape[1:]), blank)
