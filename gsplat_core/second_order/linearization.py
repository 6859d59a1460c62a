"""The images of a scene and their exact Jacobian J by all parameters, as an operator.

It gives J p, J^T u and blocks of J^T W J. Nothing is stored per pair of pixel and Gaussian. What is kept
are the splats and tile lists of the views, so that every product costs one pass over them: forward mode for
J p, reverse mode for J^T u. The parameters are the raw ones of
:class:`gsplat_core.scene.gaussians.Gaussians` (log-scales, logit opacities).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from gsplat_core.ops import gauss_newton as gauss_newton_ops
from gsplat_core.ops.variants import GAUSSIAN, NO_CARRIERS
from gsplat_core.primitive import no_place_for
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.render.stages import Splats, TileLists, bin_splats
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.second_order.vectors import Vector, add_

ops = torch.ops.gsplat_core
NO_TANGENTS = (None, None, None)  # of extras, canonical and rays, which a Gaussian on the screen has not
GEOMETRY = gauss_newton_ops.GEOMETRY
_ROWS, _COLUMNS = torch.triu_indices(GEOMETRY, GEOMETRY)
_DIAGONAL = (_ROWS == _COLUMNS).nonzero()[:, 0]


class View(Protocol):
    """A camera."""

    @property
    def viewmat(self) -> Tensor:
        """[1, 4, 4] world to camera"""

    @property
    def K(self) -> Tensor:
        """[1, 3, 3] pixels"""

    @property
    def model(self) -> str:
        """One of :data:`gsplat_core.render.variants.CAMERAS`"""

    @property
    def lens(self) -> Tensor | None:
        """[1, P] coefficients of the model beyond `K`, None where it has none"""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


@dataclass(frozen=True)
class Settings:
    """What the images show."""

    sh_degree: int
    background: Tensor | None = None
    """[3]"""
    drawn: RenderSettings = USUAL


@dataclass(frozen=True)
class Blocks:
    """What is exactly known of J^T W J near its diagonal."""

    geometry: Tensor
    """[N, 66] upper triangle, row by row, of each Gaussian's block for its means, quats, scales, opacity"""
    sh0: Tensor
    """[N, 1, 3] diagonal"""
    shN: Tensor
    """[N, K - 1, 3] diagonal"""

    def diagonal(self) -> dict[str, Tensor]:
        means, quats, scales, opacities = split_geometry(self.geometry[:, _DIAGONAL])
        return {
            "means": means,
            "quats": quats,
            "scales": scales,
            "opacities": opacities,
            "sh0": self.sh0,
            "shN": self.shN,
        }


def split_geometry(rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[N, 11] to means [N, 3], quats [N, 4], scales [N, 3], opacities [N]."""
    means, quats, scales, opacities = rows.split([3, 4, 3, 1], dim=1)
    return means, quats, scales, opacities[:, 0]


def join_geometry(vector: Vector) -> Tensor:
    """The opposite of :func:`split_geometry`."""
    return torch.cat(
        [vector["means"], vector["quats"], vector["scales"], vector["opacities"][:, None]], dim=1
    )


class Linearization:
    """The rendering of some views around the current parameters.

    Args:
        gaussians: the scene; not modified, and not to be modified while this is in use.
        views: cameras; those of one size and model are rendered together, up to `at_once`.
        settings: how.
    """

    def __init__(
        self, gaussians: Gaussians, views: Sequence[View], settings: Settings, at_once: int = 4
    ) -> None:
        if gaussians.primitive != PLAIN:
            raise ValueError(
                f"a linearization {no_place_for(gaussians.primitive)}; it knows plain Gaussians only"
            )
        if settings.drawn.order != "global":
            raise NotImplementedError("a linearization knows the order 'global' only, not the order 'pixel'")
        with torch.no_grad():
            self._activated: dict[str, Any] = {
                name: value if isinstance(value, Tensor) else tuple(part.detach() for part in value)
                for name, value in gaussians.activated().items()
            }
            opacities = self._activated["opacities"]
            self._slopes: dict[str, Tensor] = {
                "scales": self._activated["scales"],
                "opacities": opacities * (1 - opacities),
            }
            self._names = tuple(gaussians.params)
            self._groups = [
                _Group.render(self._activated, group, [views[i] for i in group], settings)
                for group in _alike(views, at_once)
            ]
        self.images: list[Tensor] = [torch.empty(0)] * len(views)
        """[H, W, 3] per view"""
        for group in self._groups:
            for i, image in zip(group.places, group.image, strict=True):
                self.images[i] = image

    def sampled(self, fraction: float, generator: torch.Generator) -> Linearization:
        """The same with a random part of the residuals: pixels of other tiles neither change nor matter.

        Args:
            fraction: of the tiles of all images together.
        """
        result = object.__new__(Linearization)
        result.__dict__.update(self.__dict__)
        result._groups = [group.sampled(fraction, generator) for group in self._groups]
        return result

    @torch.no_grad()
    def jvp(self, p: Vector) -> list[Tensor]:
        """J p: how the images [H, W, 3] change when the parameters change by `p`."""
        tangents = {name: p[name] * self._slopes[name] if name in self._slopes else p[name] for name in p}
        result = [torch.empty(0)] * len(self.images)
        for group in self._groups:
            for i, change in zip(group.places, group.jvp(self._activated, tangents), strict=True):
                result[i] = change
        return result

    @torch.no_grad()
    def vjp(self, u: Sequence[Tensor]) -> dict[str, Tensor]:
        """J^T u for one [H, W, 3] per view."""
        total: dict[str, Tensor] = {}
        for group in self._groups:
            gradients = group.vjp(self._activated, torch.stack([u[i] for i in group.places]))
            if total:
                add_(total, gradients)
            else:
                total = gradients
        for name, slope in self._slopes.items():
            total[name] = total[name] * slope
        return {name: total[name] for name in self._names}

    @torch.no_grad()
    def blocks(self, weights: Sequence[Tensor]) -> Blocks:
        """Blocks of J^T W J, exact, for the diagonal W of non-negative weights [H, W, 3] per view."""
        parts = [
            group.blocks(self._activated, torch.stack([weights[i] for i in group.places]))
            for group in self._groups
        ]
        geometry, sh0, shN = (sum(part[1:], start=part[0]) for part in zip(*parts, strict=True))
        ones = torch.ones_like(geometry[:, :7])
        slopes = torch.cat([ones, self._slopes["scales"], self._slopes["opacities"][:, None]], dim=1)
        rows, columns = _ROWS.to(slopes.device), _COLUMNS.to(slopes.device)
        for pair, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
            if j >= 7:
                geometry[:, pair] *= slopes[:, i] * slopes[:, j]
        return Blocks(geometry, sh0, shN)

    @torch.no_grad()
    def probed_diagonal(
        self, weights: Sequence[Tensor], probes: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """An unbiased estimate of the diagonal of J^T W J: the mean of (J^T sqrt(W) z)^2 over random signs z
        (Hutchinson's estimator of a diagonal; Bekas, Kokiopoulou and Saad 2007).

        One reverse pass per probe, where :meth:`blocks` takes a dearer one but is exact.
        """
        roots = [w.sqrt() for w in weights]
        total: dict[str, Tensor] = {}
        for _ in range(probes):
            signs = [2 * torch.randint(2, w.shape, generator=generator).to(w) - 1 for w in weights]
            gradients = self.vjp([r * z for r, z in zip(roots, signs, strict=True)])
            for name, gradient in gradients.items():
                square = gradient.square() / probes
                total[name] = total[name] + square if name in total else square
        return total


@dataclass(frozen=True)
class _Group:
    """Views of one size and camera model, rendered: C cameras and a batch dimension of one."""

    places: list[int]
    cameras: Cameras
    settings: Settings
    splats: Splats
    colors: Tensor
    tiles: TileLists
    image: Tensor
    alphas: Tensor

    @staticmethod
    def render(
        activated: dict[str, Any], places: list[int], views: Sequence[View], settings: Settings
    ) -> _Group:
        cameras = Cameras.together(views, activated["means"].device)
        group = _Group(places, cameras, settings, *([torch.empty(0)] * 5))  # type: ignore[arg-type]
        splats = Splats(*ops.project(*group._gaussians(activated), cameras.model, *group._drawing))
        colors = ops.spherical_harmonics(*group._harmonics(activated), splats.radii)
        tiles = bin_splats(splats, cameras.width, cameras.height, settings.drawn)
        group = replace(group, splats=splats, colors=colors, tiles=tiles)
        image, alphas, *_ = ops.composite(*group._compositing, *GAUSSIAN, *NO_CARRIERS)
        return replace(group, image=image, alphas=alphas)

    def sampled(self, fraction: float, generator: torch.Generator) -> _Group:
        count = self.tiles.offsets.numel() - 1
        keep = torch.zeros(count, dtype=torch.bool)
        keep[torch.randperm(count, generator=generator)[: max(round(fraction * count), 1)]] = True
        splats = self.splats.depths.numel()
        return replace(self, tiles=keep_tiles(self.tiles, keep.to(self.tiles.offsets.device), splats))

    def jvp(self, activated: dict[str, Any], tangents: Vector) -> Tensor:
        t = {name: value[None] for name, value in tangents.items()}
        still, fixed, unbent = (None if t is None else torch.zeros_like(t) for t in self._lenses)
        t_means2d, t_roots, _, t_opacities = ops.project_jvp(
            *self._gaussians(activated), self.cameras.model, *self._drawing, self.splats.radii,
            t["means"], t["quats"], t["scales"], None, t["opacities"], still, fixed, unbent,
        )  # fmt: skip
        t_colors = ops.spherical_harmonics_jvp(
            *self._harmonics(activated), self.splats.radii, self.colors,
            t["means"], still, t["sh0"], t["shN"] if t["shN"].numel() else None,
        )  # fmt: skip
        t_splats = (t_means2d[0], t_roots[0], t_opacities[0], t_colors[0], *NO_TANGENTS)
        t_image: Tensor = ops.composite_jvp(*self._compositing, *GAUSSIAN, *t_splats)[0]
        return t_image

    def vjp(self, activated: dict[str, Any], u: Tensor) -> dict[str, Tensor]:
        v_means2d, v_roots, v_opacities2d, v_colors, *_ = ops.composite_backward(
            *self._compositing,
            *GAUSSIAN,
            self.image,
            self.alphas,
            u,
            torch.zeros_like(self.alphas),
        )
        v_directions, _, v_sh0, v_shN = ops.spherical_harmonics_backward(
            *self._harmonics(activated), self.splats.radii, self.colors, v_colors[None], False
        )
        depths = torch.zeros_like(self.splats.depths)
        v_means, v_quats, v_scales, _, v_opacities, *_ = ops.project_backward(
            *self._gaussians(activated), self.cameras.model, *self._drawing, self.splats.radii,
            v_means2d[None], v_roots[None], depths, v_opacities2d[None], False,
        )  # fmt: skip
        shN = activated["colors"][1]
        gradients = {
            "means": v_means.add_(v_directions),
            "quats": v_quats,
            "scales": v_scales,
            "opacities": v_opacities,
            "sh0": v_sh0,
            "shN": v_shN if shN.numel() else torch.zeros_like(shN)[None],
        }
        return {name: gradient[0] for name, gradient in gradients.items()}

    def blocks(self, activated: dict[str, Any], weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        moments = ops.composite_moments(*self._compositing, self.image, weights)
        means, quats, scales, _, *others = self._gaussians(activated)
        degree, _, _, sh0, shN = self._harmonics(activated)
        geometry, d_sh0, d_shN = ops.gauss_newton_blocks(
            means, quats, scales, *others, self.cameras.model, *self._drawing, degree, sh0, shN,
            self.splats.radii, self.colors, moments[None],
        )  # fmt: skip
        empty = activated["colors"][1]
        return geometry[0], d_sh0[0], d_shN[0] if shN is not None else torch.zeros_like(empty)

    def _gaussians(self, activated: dict[str, Any]) -> tuple[Tensor | None, ...]:
        means, quats, scales, opacities = (
            activated[name][None] for name in ("means", "quats", "scales", "opacities")
        )
        return means, quats, scales, None, opacities, *self._lenses

    @property
    def _lenses(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """World to camera, intrinsics and further coefficients, with a batch dimension of one."""
        viewmats, Ks, lens = self.cameras.viewmats, self.cameras.Ks, self.cameras.lens
        return viewmats[None], Ks[None], None if lens is None else lens[None]

    @property
    def _drawing(self) -> tuple[Any, ...]:
        return self.cameras.width, self.cameras.height, self.settings.drawn.numbers()

    def _harmonics(self, activated: dict[str, Any]) -> tuple[Any, ...]:
        sh0, shN = activated["colors"]
        rest = shN[None] if shN.numel() else None
        return self.settings.sh_degree, activated["means"][None], self.cameras.viewmats[None], sh0[None], rest

    @property
    def _compositing(self) -> tuple[Any, ...]:
        background = self.settings.background
        return (
            self.splats.means2d[0],
            self.splats.shapes[0],
            self.splats.opacities[0],
            self.colors[0],
            None if background is None else background.expand(len(self.places), 3).contiguous(),
            *self.tiles,
            *self._drawing,
        )


def keep_tiles(tiles: TileLists, keep: Tensor, splats: int) -> TileLists:
    """The lists with the other tiles emptied.

    Args:
        keep: bool [images * tiles].
        splats: how many there are, culled ones included.
    """
    counts = tiles.offsets.diff()
    kept = keep.repeat_interleave(counts.long())
    flatten_ids = tiles.flatten_ids[kept]
    of_splats = torch.bincount(flatten_ids, minlength=splats)[tiles.order.long()]
    # On CUDA there are no slots.
    place = kept.cumsum(0, dtype=torch.int32) - 1
    slots = tiles.slots.long()
    return TileLists(
        offsets=_running_sums(counts * keep),
        flatten_ids=flatten_ids,
        order=tiles.order,
        slot_offsets=_running_sums(of_splats),
        slots=place[slots[kept[slots]]],
    )


def _running_sums(counts: Tensor) -> Tensor:
    return torch.nn.functional.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))


def _alike(views: Sequence[View], at_once: int) -> list[list[int]]:
    """The numbers of the views, in groups that `Cameras.together` takes."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, view in enumerate(views):
        near = getattr(view, "near", None)
        groups.setdefault((view.width, view.height, view.model, near), []).append(i)
    return [places[i : i + at_once] for places in groups.values() for i in range(0, len(places), at_once)]
