"""Incremental mapping: a scene that grows as frames with depth or points come in, each of which finds its own
pose in it (after GS-LIVO, Hong et al. 2024).

A frame is tracked on all of its pixels together with a Gaussian prior of the pose, as a filter has one; where
the map does not explain it, Gaussians are inserted; and key frames, the latest and others that see the same,
optimize what they see. The map is a store (`gsplat_core.store`): in memory is what these frames see, however
large the whole is. Inertial sensors, clocks and filters are the caller's, for whom `linearize` has the normal
equations.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gsplat_core.losses import as_float, l1_dssim
from gsplat_core.mapping.seeding import discs, fitted_normals, one_of_each
from gsplat_core.mapping.surface import Surface
from gsplat_core.mapping.tracking import track
from gsplat_core.optim import Adam
from gsplat_core.ranges import (
    BETWEEN_0_AND_1,
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    SHARE,
    Range,
    check_ranges,
)
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.render.surfaces import normals_of_depths
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.optics import optics_of
from gsplat_core.second_order.poses import PosePrior
from gsplat_core.second_order.poses import linearize as linearize
from gsplat_core.store.active import ActiveSet
from gsplat_core.store.cells import Keys, cells_of
from gsplat_core.store.filling import SIZES_PER_CELL
from gsplat_core.store.index import found
from gsplat_core.store.layout import Rows
from gsplat_core.store.reach import reach_of
from gsplat_core.store.store import SceneStore, is_store

_SPACING = 1.7
"""Of Gaussians, in sizes."""
_ROUGHNESS = 0.3
"""Of the surface that they are on, in sizes: in a plane they would be at one depth, and a small turn of the
camera would blend all of them in another order, which tracking takes for a change of the image."""
_SETTLING = 3
_MARGIN = 0.15
"""Of the image's size, which may come into view while a pose is found."""


@dataclass(frozen=True)
class Config:
    """
    Args:
        size: standard deviation of a Gaussian along the surface, scene units; far ones are as large as their
            pixel.
        limit_per_cell: Gaussians of a cell, whose side is 16 sizes, that frames may insert.
        sh_degree: of their colours.
        opacity: that they start with.
        least_alpha: pixels of which the map covers less are not explained.
        nearer: nor are those whose depth is by this share less than the map's.
        noise, huber, depth_noise: see `gsplat_core.mapping.tracking.track`; the last in sizes.
        keyframe_every: so many frames, the first included, are kept to optimize with.
        window: how many of the latest key frames optimize, and as many others.
        overlap: other key frames see of the map what the latest see, all but so much.
        steps: of the optimizer after a key frame.
        rate: of centres, in sizes per step.
        depth_weight: of the mean difference of depths, in sizes, beside that of colours.
        prune: Gaussians that become fainter than this are removed.
        seed: of the choice of key frames.

    Raises:
        ValueError: a value outside its range.
    """

    size: Annotated[float, POSITIVE]
    limit_per_cell: Annotated[int, COUNT] = 2000
    sh_degree: Annotated[int, Range(0, 4)] = 0
    opacity: Annotated[float, BETWEEN_0_AND_1] = 0.9
    least_alpha: Annotated[float, BETWEEN_0_AND_1] = 0.6
    nearer: Annotated[float, BETWEEN_0_AND_1] = 0.1
    noise: Annotated[float, POSITIVE] = 0.05
    huber: Annotated[float, POSITIVE] = 0.1
    depth_noise: Annotated[float, POSITIVE] = 0.2
    keyframe_every: Annotated[int, COUNT] = 1
    window: Annotated[int, COUNT] = 3
    overlap: Annotated[float, SHARE] = 0.7
    steps: Annotated[int, Range(0, 1_000_000)] = 20
    rate: Annotated[float, NOT_NEGATIVE] = 0.02
    depth_weight: Annotated[float, NOT_NEGATIVE] = 0.02
    prune: Annotated[float, BETWEEN_0_AND_1] = 0.02
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame where it was found.

    Args:
        camera: its lens and pose.
        information: [6, 6] float64, the inverse of the covariance of twists in the camera's frame, of the
            frame and its prior.
        inserted: how many Gaussians it has added to the map.
    """

    camera: Camera
    information: Tensor
    inserted: int


@dataclass(frozen=True, eq=False)
class _KeyFrame:
    camera: Camera
    image: Tensor
    depth: Tensor | None


class Mapper:
    """A map in the making. Close it, or use it in a `with` block.

    Args:
        K: [3, 3] pinhole intrinsics of all frames, pixels.
        config: see there.
        folder: of the map's store, which is gone on with if it is there; None: a temporary one.

    Raises:
        ValueError: K is none that a camera can have.
        DataError, ResourceError, UsageError: as for `SceneStore`.
    """

    def __init__(self, K: npt.ArrayLike, config: Config, folder: Path | str | None = None) -> None:
        self.K, self.config = np.array(K, np.float64), config
        self._exit = ExitStack()
        if folder is None:
            folder = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="gsplat-map-"))
        if is_store(folder):
            store = SceneStore(folder, writable=True)
        else:
            side = SIZES_PER_CELL * config.size
            store = SceneStore.create(folder, _blank(config.sh_degree), side, moments=True)
        self.active = ActiveSet(self._exit.enter_context(store))
        """The part of the map that is in memory."""
        self.frames: list[Frame] = []
        """All that were added."""
        self._keys: list[_KeyFrame] = []

    def __enter__(self) -> Mapper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Writes the map to its store, and lets go of that."""
        with self._exit:
            self.active.commit()

    @property
    def num(self) -> int:
        """Number of Gaussians of the whole map."""
        return self.active.total

    def add_frame(
        self,
        image: Tensor,
        depth: Tensor | None = None,
        pose_prior: Tensor | None = None,
        info: Tensor | None = None,
        points: Tensor | None = None,
        normals: Tensor | None = None,
    ) -> Frame:
        """Finds where a frame was taken, extends the map by what it shows, and optimizes after key frames.

        Args:
            image: [H, W, 3] uint8, or float32 in [0, 1].
            depth: [H, W] along the viewing axis, scene units; where it is not positive or not finite, it is
                not known.
            pose_prior: [4, 4] world to camera, the mean of what was known of the pose; None: the pose of the
                frame before, or the identity.
            info: [6, 6] the inverse of its covariance, of twists (rotation in radians before translation) in
                the camera's frame. None: nothing was known, and the search only begins at `pose_prior`.
                Where there is no map yet, the prior is the pose.
            points: [P, 3] measured in camera coordinates, such as a LiDAR's, instead of depth or besides.
            normals: [P, 3] of these, as good as unit; None: those of planes through their neighbours.

        Raises:
            ValueError: a shape does not fit.
        """
        _check("image", image, (*image.shape[:2], 3))
        if depth is not None:
            _check("depth", depth, image.shape[:2])
        if points is not None:
            _check("points", points, (len(points), 3))
        if normals is not None:
            _check("normals", normals, (0 if points is None else len(points), 3))
        mean = self._last_pose() if pose_prior is None else torch.as_tensor(pose_prior).double()
        prior = PosePrior(mean, torch.zeros(6, 6) if info is None else torch.as_tensor(info))
        camera = self._camera(mean, image)
        information = prior.information.double()
        scene = self.active.look(_wider(camera))
        if scene.num:
            with torch.no_grad():
                surface = None if depth is None else Surface.of(depth, camera)
                tracked = track(
                    scene, image, camera, prior, self.config.noise, self.config.huber,
                    surface, self.config.depth_noise * self.config.size,
                )  # fmt: skip
            camera, information = self._camera(tracked.viewmat, image), tracked.information
        self.active.look(camera)
        inserted = self._extend(camera, image, depth, points, normals)
        self.frames.append(Frame(camera, information, inserted))
        if (len(self.frames) - 1) % self.config.keyframe_every == 0:
            self._keys.append(_KeyFrame(camera, image, depth))
            self.optimize(self.config.window, self.config.steps)
        return self.frames[-1]

    def optimize(self, window: int, steps: int) -> None:
        """Fits what the latest key frames see to them, and to as many earlier ones that see the same.

        Args:
            window: how many of the latest ones.
            steps: of one frame each.
        """
        if not self._keys or not steps:
            return
        frames, cells = self._window(window)
        self.active.hold(cells)
        random = torch.Generator().manual_seed(self.config.seed * 1_000_003 + len(self.frames))
        adam = self._optimizer()
        for _ in range(steps):
            self._step(frames[int(torch.randint(len(frames), (1,), generator=random))], adam)
        scene = self.active.rows.scene
        for name, param in scene.params.items():
            param.requires_grad_(False)
            state = adam.state.get(param)
            if state:
                self.active.rows.moments[name] = (state["exp_avg"], state["exp_avg_sq"])
        self.active.changed()
        faint = scene.opacities.sigmoid() < self.config.prune
        if bool(faint.any()):
            self.active.remove(faint)

    def render(self, camera: Camera, background: Tensor | None = None) -> Any:
        """The image of the whole map, `ActiveSet.render`."""
        with torch.no_grad():
            return self.active.render(camera, background)

    def _last_pose(self) -> Tensor:
        return torch.from_numpy(self.frames[-1].camera.viewmat) if self.frames else torch.eye(4).double()

    def _camera(self, viewmat: Tensor, image: Tensor) -> Camera:
        height, width = image.shape[:2]
        return Camera(viewmat.double().numpy().copy(), self.K, width, height, f"frame_{len(self.frames):05d}")

    def _extend(
        self,
        camera: Camera,
        image: Tensor,
        depth: Tensor | None,
        points: Tensor | None,
        normals: Tensor | None,
    ) -> int:
        """Inserts what of the measured points the map does not explain."""
        measured = [] if depth is None else [_of_depth(camera, image, depth)]
        if points is not None:
            facing = fitted_normals(points) if normals is None else normals
            measured.append(_of_points(camera, image, points.float(), facing.float()))
        if not measured:
            return 0
        pixels, places, facing, colors, depths = (torch.cat(parts) for parts in zip(*measured, strict=True))
        new = self._unexplained(camera)(pixels, depths)
        if not bool(new.any()):
            return 0
        pixels, places, facing, colors, depths = (
            part[new] for part in (pixels, places, facing, colors, depths)
        )
        to_world = torch.from_numpy(camera.viewmat[:3, :3].T).float()
        places = places @ to_world.T + torch.from_numpy(camera.center).float()
        sizes = (depths / float(self.K[0, 0])).clamp(min=self.config.size)
        rows = one_of_each(places, _SPACING * self.config.size)
        places, facing, colors, sizes = places[rows], facing[rows] @ to_world.T, colors[rows], sizes[rows]
        random = torch.Generator().manual_seed(self.config.seed * 1_000_003 + len(self.frames))
        outward = torch.nn.functional.normalize(facing, dim=1) * torch.randn(len(rows), 1, generator=random)
        places = places + _ROUGHNESS * self.config.size * outward
        scene = discs(places, facing, colors, sizes, self.config.opacity, self.config.sh_degree)
        self._settle(scene, camera, pixels[rows], depths[rows])
        scene = scene.subset(self._allowed(scene))
        self.active.insert(Rows(scene))
        return scene.num

    def _settle(self, new: Gaussians, camera: Camera, pixels: Tensor, depths: Tensor) -> None:
        """Moves new Gaussians along their rays, until the map shows depths as they were measured: the nearest
        of a rough surface hide the others, and each frame would find its pose a little farther away."""
        to_rays = (new.means - torch.from_numpy(camera.center).float()) / depths[:, None]
        for _ in range(_SETTLING):
            both = Gaussians.merge([self.active.rows.scene, new]) if self.active.num else new
            with torch.no_grad():
                seen = render(both, camera, outputs=Outputs(colors=False, depth="expected"))
            apart = depths - seen.depths[0].flatten()[pixels]
            there = seen.alphas[0].flatten()[pixels] > self.config.least_alpha
            size = self.config.size
            new.means += to_rays * apart.clamp(-size, size).where(there, 0.0)[:, None]

    def _unexplained(self, camera: Camera) -> Any:
        """Tells, of pixels [N] in row order with depths [N], which the map has nothing of."""
        scene = self.active.scene
        if not scene.num:
            return lambda pixels, depths: torch.ones(len(pixels), dtype=torch.bool)
        with torch.no_grad():
            seen = render(scene, camera, outputs=Outputs(depth="expected"))
        alphas, there = seen.alphas[0].flatten(), seen.depths[0].flatten()

        def unexplained(pixels: Tensor, depths: Tensor) -> Tensor:
            nearer = depths < (1 - self.config.nearer) * there[pixels]
            return (alphas[pixels] < self.config.least_alpha) | nearer

        return unexplained

    def _allowed(self, scene: Gaussians) -> Tensor:
        """The rows that their cells have room for, in order."""
        homes = cells_of(scene.means.numpy(), reach_of(scene).numpy(), self.active.store.cell)
        order = np.argsort(homes, kind="stable")
        cells, starts, counts = np.unique(homes[order], return_index=True, return_counts=True)
        rank = np.arange(len(homes)) - np.repeat(starts, counts)
        room = self.config.limit_per_cell - self.active.rows_of(cells)
        return torch.from_numpy(np.sort(order[rank < np.repeat(room, counts)]))

    def _window(self, count: int) -> tuple[list[_KeyFrame], Keys]:
        """The latest key frames, as many of the others, and the cells that they see."""
        frames = self._keys[-count:]
        cells = np.unique(np.concatenate([self.active.seen_by(frame.camera) for frame in frames]))
        others = self._keys[:-count]
        random = torch.Generator().manual_seed(self.config.seed * 1_000_003 + len(self.frames))
        for number in torch.randperm(len(others), generator=random).tolist():
            if len(frames) >= 2 * count:
                break
            seen = self.active.seen_by(others[number].camera)
            if found(seen, cells).mean() >= self.config.overlap:
                frames, cells = [*frames, others[number]], np.union1d(cells, seen)
        return frames, cells

    def _optimizer(self) -> Adam:
        """Of all rows in memory, with the moments they had. Without bias correction new ones, whose moments
        are zero, take steps no larger than the others', since (1 - 0.9) / sqrt(1 - 0.99) = 1."""
        scene, moments = self.active.rows.scene, self.active.rows.moments
        rates = {known.name: known.learning_rate for known in scene.schema.trained}
        rates["means"] = self.config.rate * self.config.size
        groups = [
            {"params": [scene.params[name].requires_grad_()], "lr": rate} for name, rate in rates.items()
        ]
        adam = Adam(groups, betas=(0.9, 0.99), eps=1e-15, bias_correction=False)
        for name in rates:
            mean, square = moments[name]
            state = {"step": torch.tensor(0.0), "exp_avg": mean, "exp_avg_sq": square}
            adam.state[scene.params[name]] = state
        return adam

    def _step(self, frame: _KeyFrame, adam: Adam) -> None:
        depth = frame.depth if self.config.depth_weight else None
        wanted = Outputs(depth="none" if depth is None else "expected")
        seen = render(self.active.rows.scene, frame.camera, outputs=wanted)
        loss = l1_dssim(seen.colors, frame.image[None])
        if depth is not None:
            there = (depth > 0) & depth.isfinite() & (seen.alphas[0, ..., 0].detach() > 0.5)
            apart = (seen.depths[0] - depth).abs().where(there, 0.0) / self.config.size
            # Where a surface ends, the mean depth of a pixel is that of none.
            loss = loss + self.config.depth_weight * apart.clamp(max=10.0).mean()
        loss.backward()
        adam.step(visible=(seen.meta["radii"][0] > 0).all(dim=-1))
        adam.zero_grad()


def _blank(sh_degree: int) -> Gaussians:
    nothing = torch.zeros(0, 3)
    return discs(nothing, nothing, nothing, torch.zeros(0), sh_degree=sh_degree)


def _wider(camera: Camera) -> Camera:
    """The camera with more around its image."""
    x, y = round(_MARGIN * camera.width), round(_MARGIN * camera.height)
    K = camera.K.copy()
    K[:2, 2] += x, y
    return replace(camera, K=K, width=camera.width + 2 * x, height=camera.height + 2 * y)


_Measured = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Of N points: pixels [N] in row order, places [N, 3] and normals [N, 3] in camera coordinates, colours
[N, 3] and depths [N]."""


def _of_depth(camera: Camera, image: Tensor, depth: Tensor) -> _Measured:
    depth = depth.float()
    known = (depth > 0) & depth.isfinite()
    pixels = known.flatten().nonzero().squeeze(1)
    x, y = pixels % camera.width + 0.5, pixels // camera.width + 0.5
    rays = torch.from_numpy(optics_of(camera).rays(torch.stack([x, y], dim=1).double().numpy())).float()
    depths = depth.flatten()[pixels]
    K = torch.from_numpy(camera.K).float()[None]
    normals = normals_of_depths(depth.where(known, 0.0)[None], torch.eye(4)[None], K)[0].reshape(-1, 3)[
        pixels
    ]
    flat = (normals == 0).all(dim=1, keepdim=True)  # at the border: as if they faced the camera
    colors = as_float(image).reshape(-1, 3)[pixels]
    return pixels, rays * depths[:, None], torch.where(flat, -rays, normals), colors, depths


def _of_points(camera: Camera, image: Tensor, points: Tensor, normals: Tensor) -> _Measured:
    places = torch.from_numpy(optics_of(camera).pixels(points.double().numpy()))
    x, y = places.nan_to_num(-1.0).floor().long().unbind(dim=1)
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height) & (points[:, 2] > camera.near)
    pixels = (y * camera.width + x)[inside]
    colors = as_float(image).reshape(-1, 3)[pixels]
    return pixels, points[inside], normals[inside], colors, points[inside, 2]


def _check(name: str, tensor: Tensor, shape: Sequence[int]) -> None:
    if tuple(tensor.shape) != tuple(shape):
        raise ValueError(f"{name} must be {list(shape)}, got {list(tensor.shape)}")
