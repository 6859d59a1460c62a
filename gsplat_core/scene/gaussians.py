"""The scene: N Gaussians with their trainable parameters and any further per-Gaussian fields."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from gsplat_core.activations import activate
from gsplat_core.scene.metadata import Metadata
from gsplat_core.scene.sh_rotation import MAX_DEGREE, degree_of, num_coefficients, rotate_sh
from gsplat_core.scene.similarity import Similarity, multiply_quaternions

PARAMETERS = ("means", "quats", "scales", "opacities", "sh0", "shN")
_EXTRA_PREFIX = "extras."
_METADATA_PREFIX = "metadata."


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
            geometry: `transformed` leaves them as they are. The dictionary is held, not copied.
        metadata: what the scene as a whole is, such as how it wants to be drawn.

    The six parameters share one floating-point dtype, and everything is on one device.

    Raises:
        ValueError: a shape, dtype, device or name that does not fit; the message names the field.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh0: Tensor
    shN: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        for name in PARAMETERS:
            if not isinstance(getattr(self, name), Tensor):
                raise ValueError(f"{name}: expected a tensor, got {type(getattr(self, name)).__name__}")
        if self.means.ndim != 2 or self.means.shape[1] != 3:
            raise ValueError(f"means: expected shape [N, 3], got {list(self.means.shape)}")
        n = self.num
        if self.shN.ndim != 3 or self.shN.shape[0] != n or self.shN.shape[2] != 3:
            raise ValueError(f"shN: expected shape [{n}, K-1, 3], got {list(self.shN.shape)}")
        try:
            degree_of(self.shN.shape[1] + 1)
        except ValueError as error:
            raise ValueError(f"shN {list(self.shN.shape)}: {error}") from None
        expected = {"quats": (n, 4), "scales": (n, 3), "opacities": (n,), "sh0": (n, 1, 3)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name}: expected shape {list(shape)}, got {list(getattr(self, name).shape)}"
                )
        for name, tensor in self.params.items():
            if not tensor.is_floating_point() or tensor.dtype != self.means.dtype:
                raise ValueError(
                    f"{name}: expected floating point like means ({self.means.dtype}), got {tensor.dtype}"
                )
            if tensor.device != self.device:
                raise ValueError(f"{name}: is on {tensor.device} but means on {self.device}")
        for name, tensor in self.extras.items():
            self._check_extra(name, tensor)
        if not isinstance(self.metadata, Metadata):
            raise ValueError(f"metadata: expected Metadata, got {type(self.metadata).__name__}")

    def _check_extra(self, name: str, tensor: Tensor) -> None:
        if not isinstance(name, str) or not name or name in PARAMETERS or any(c.isspace() for c in name):
            raise ValueError(f"extras[{name!r}]: expected a name without spaces that is not a parameter's")
        if not isinstance(tensor, Tensor) or tensor.is_complex():
            raise ValueError(f"extras[{name!r}]: expected a real tensor")
        if tensor.ndim < 1 or tensor.shape[0] != self.num:
            raise ValueError(f"extras[{name!r}]: expected shape [{self.num}, ...], got {list(tensor.shape)}")
        if tensor.device != self.device:
            raise ValueError(f"extras[{name!r}]: is on {tensor.device} but means on {self.device}")

    @property
    def params(self) -> dict[str, Tensor]:
        """The six parameters by name, the very tensors (not copies)."""
        return {name: getattr(self, name) for name in PARAMETERS}

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
        extras = "".join(f", {name} {list(tensor.shape[1:])}" for name, tensor in self.extras.items())
        facts = "".join(f", {name} {value}" for name, value in self.metadata.known().items())
        degree = f"SH degree {self.sh_degree}"
        return f"Gaussians({self.num}, {degree}, {self.means.dtype}, {self.device}{extras}{facts})"

    def with_metadata(self, **facts: Any) -> Gaussians:
        """The same scene with other `metadata`, such as `antialiased=True`."""
        metadata = dataclasses.replace(self.metadata, **facts)
        return dataclasses.replace(self, metadata=metadata, extras=dict(self.extras))

    @property
    def rasterize_mode(self) -> Literal["classic", "antialiased"]:
        """How `rasterization` must draw the scene to show it as it was trained."""
        return "antialiased" if self.metadata.antialiased else "classic"

    def activated(self) -> dict[str, Tensor | tuple[Tensor, Tensor]]:
        """Arguments for `rasterization(**...)`: standard deviations, opacities, colours as (sh0, shN)."""
        scales, opacities = activate(self.scales, self.opacities)
        return {
            "means": self.means,
            "quats": self.quats,
            "scales": scales,
            "opacities": opacities,
            "colors": (self.sh0, self.shN),
        }

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
        return self._mapped(lambda tensor: tensor[rows])

    @staticmethod
    def merge(scenes: Sequence[Gaussians]) -> Gaussians:
        """All Gaussians of several scenes, in order.

        The SH degree becomes the largest one (missing coefficients are 0). A field of `extras` that only some
        of the scenes have is filled in for the others: -1 ("no label") for signed integers, 0 for floating
        point and unsigned, False for booleans. Fields of one name must agree in dtype and trailing shape.

        Raises:
            ValueError: no scenes, or dtypes, devices, extra fields or metadata that disagree.
        """
        if not scenes:
            raise ValueError("merge: expected at least one scene")
        degree = max(scene.sh_degree for scene in scenes)
        scenes = [scene.with_sh_degree(degree) for scene in scenes]
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
        return Gaussians(
            means=torch.cat([scene.means for scene in scenes]),
            quats=torch.cat([scene.quats for scene in scenes]),
            scales=torch.cat([scene.scales for scene in scenes]),
            opacities=torch.cat([scene.opacities for scene in scenes]),
            sh0=torch.cat([scene.sh0 for scene in scenes]),
            shN=torch.cat([scene.shN for scene in scenes]),
            extras={
                name: torch.cat([_extra_or_blank(scene, name, template) for scene in scenes])
                for name, template in templates.items()
            },
            metadata=scenes[0].metadata,
        )

    def transformed(self, similarity: Similarity) -> Gaussians:
        """The scene after x -> s R x + t: centres, rotations, sizes and view-dependent colours follow.

        Opacities, the constant colour and `extras` do not change. Differentiable. Images of the moved scene
        from equally moved cameras are the same (except for near and far planes, which are lengths).
        """
        turn = similarity.quaternion().to(self.device, self.quats.dtype)
        return dataclasses.replace(
            self,
            means=similarity.apply(self.means),
            quats=multiply_quaternions(turn.expand_as(self.quats), self.quats),
            scales=self.scales + math.log(similarity.scale),
            shN=rotate_sh(self.shN, similarity.rotation),
            extras=dict(self.extras),
        )

    def with_sh_degree(self, degree: int) -> Gaussians:
        """The scene with another SH degree: new coefficients are 0, surplus ones are cut off."""
        if not 0 <= degree <= MAX_DEGREE:
            raise ValueError(f"SH degree {degree}: expected 0 to {MAX_DEGREE}")
        wanted, present = num_coefficients(degree) - 1, self.shN.shape[1]
        shN = self.shN[:, :wanted]
        if wanted > present:
            shN = torch.cat([shN, shN.new_zeros(self.num, wanted - present, 3)], dim=1)
        return dataclasses.replace(self, shN=shN, extras=dict(self.extras))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Gaussians:
        """The scene on another device, and its parameters (not `extras`) in another floating-point dtype."""
        return self._mapped(
            lambda tensor: tensor.to(device=device, dtype=dtype), lambda tensor: tensor.to(device=device)
        )

    def detached(self) -> Gaussians:
        """The same values outside any autograd graph (memory is shared)."""
        return self._mapped(Tensor.detach)

    def requires_grad_(self, flag: bool = True) -> Gaussians:
        """Switches gradients of the six parameters on or off, in place."""
        for tensor in self.params.values():
            tensor.requires_grad_(flag)
        return self

    def _mapped(
        self, change: Callable[[Tensor], Tensor], change_extra: Callable[[Tensor], Tensor] | None = None
    ) -> Gaussians:
        return Gaussians(
            change(self.means),
            change(self.quats),
            change(self.scales),
            change(self.opacities),
            change(self.sh0),
            change(self.shN),
            extras={name: (change_extra or change)(tensor) for name, tensor in self.extras.items()},
            metadata=self.metadata,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """A flat dictionary of tensors for a checkpoint: the parameters, extras as `extras.NAME`, and what is
        not as usual in the metadata as `metadata.NAME`."""
        extras = {_EXTRA_PREFIX + name: tensor.detach() for name, tensor in self.extras.items()}
        facts = {_METADATA_PREFIX + name: tensor for name, tensor in self.metadata.state_dict().items()}
        return {name: tensor.detach() for name, tensor in self.params.items()} | extras | facts

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Gaussians:
        """The scene that `state_dict` described.

        Raises:
            ValueError: a parameter is missing, a key is unknown, or the tensors do not fit together.
        """
        missing = [name for name in PARAMETERS if name not in state]
        extras, facts, unknown = {}, {}, []
        for key, tensor in state.items():
            if key.startswith(_EXTRA_PREFIX):
                extras[key.removeprefix(_EXTRA_PREFIX)] = tensor
            elif key.startswith(_METADATA_PREFIX):
                facts[key.removeprefix(_METADATA_PREFIX)] = tensor
            elif key not in PARAMETERS:
                unknown.append(key)
        if missing or unknown:
            raise ValueError(f"scene state: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}")
        return cls(
            state["means"],
            state["quats"],
            state["scales"],
            state["opacities"],
            state["sh0"],
            state["shN"],
            extras=extras,
            metadata=Metadata.from_state_dict(facts),
        )


def _extra_or_blank(scene: Gaussians, name: str, template: Tensor) -> Tensor:
    """The field of a scene, or the values that stand for "unknown" where the scene has no such field."""
    if name in scene.extras:
        return scene.extras[name]
    signed_integer = template.dtype in (torch.int8, torch.int16, torch.int32, torch.int64)
    return template.new_full((scene.num, *template.shape[1:]), -1 if signed_integer else 0)
