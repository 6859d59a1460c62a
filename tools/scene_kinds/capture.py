"""Pinhole cameras and their photographs of a scene of meshes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from colmap_model.cameras import Pinhole, View
from numpy.typing import NDArray
from torch import Tensor

from .meshes import Mesh
from .noise import Noise
from .raster import rasterize

Array = NDArray[Any]

NEAR = 0.05
SUPERSAMPLING = 2
SHADOW_MAP = 2048
EXPOSURE = 1.5


@dataclass(frozen=True)
class Spot:
    """N places on a surface: points, normals [N,3], footprint [N] of a pixel there, tone [N]; noise."""

    points: Tensor
    normals: Tensor
    footprint: Tensor
    tone: Tensor
    noise: Noise


@dataclass(frozen=True)
class Look:
    """albedo [N,3] (linear), bump [N,3] to be added to the normals, gloss: strength of the highlight."""

    albedo: Tensor
    bump: Tensor | float = 0.0
    gloss: Tensor | float = 0.0
    through: float = 0.0  # light that comes through, as through leaves


@dataclass(frozen=True)
class Scene:
    """What a photograph shows.

    surfaces: the look of each material; sky: radiance [N,3] of unit directions [N,3] (world);
    sun: the direction to it; lit: the middle and radius of the ball in which things throw shadows;
    haze: the distance over which the air takes 63 % of the light; found: how likely a feature on a material
    becomes a point (1 where it is not named).
    """

    meshes: list[Mesh]
    surfaces: dict[str, Callable[[Spot], Look]]
    sky: Callable[[Tensor, Noise], Tensor]
    sun: Array
    lit: tuple[Array, float]
    haze: float
    found: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Photograph:
    """picture [H,W,3] uint8; of each of the SUPERSAMPLING^2 parts of its pixels, depth (inf: sky) and how
    likely a feature there becomes a point."""

    picture: NDArray[np.uint8]
    depth: Array
    likely: Array


class Studio:
    """Holds the scene's geometry and its shadows, and takes photographs."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene, self._noise = scene, Noise(seed)
        self._materials = list(scene.surfaces)
        starts = np.cumsum([0] + [len(mesh.vertices) for mesh in scene.meshes[:-1]])
        self._vertices = _tensor(np.concatenate([mesh.vertices for mesh in scene.meshes]))
        self._normals = _tensor(np.concatenate([mesh.normals for mesh in scene.meshes]))
        self._faces = torch.from_numpy(
            np.concatenate([mesh.faces + start for mesh, start in zip(scene.meshes, starts, strict=True)])
        ).long()
        self._tones = _tensor(np.concatenate([mesh.tones for mesh in scene.meshes]))
        number = [np.full(len(mesh.faces), self._materials.index(mesh.material)) for mesh in scene.meshes]
        self._material = torch.from_numpy(np.concatenate(number)).long()
        self._sun = _tensor(scene.sun / np.linalg.norm(scene.sun))
        self._frame, self._heights = self._cast_shadows()

    def _cast_shadows(self) -> tuple[Tensor, Tensor]:
        """A map of how high, towards the sun, the outermost surface is."""
        side = torch.linalg.cross(self._sun, torch.tensor([0.0, 0.0, 1.0]))
        side /= side.norm()
        frame = torch.stack([side, torch.linalg.cross(self._sun, side), self._sun])
        place = self._in_shadow_map(frame, self._vertices)
        near = (place[:, :2] > -8).all(1) & (place[:, :2] < SHADOW_MAP + 8).all(1)
        key = torch.where(near, place[:, 2].clamp(min=0), 0.0)
        return frame, rasterize(place[:, :2], key, self._faces, SHADOW_MAP, SHADOW_MAP)[1].view(
            SHADOW_MAP, SHADOW_MAP
        )

    def _in_shadow_map(self, frame: Tensor, points: Tensor) -> Tensor:
        """Pixels and height [N,3] of points, the height positive within the lit ball."""
        middle, radius = self._scene.lit
        local = (points - _tensor(middle)) @ frame.T
        return torch.cat([(local[:, :2] / radius + 1) * SHADOW_MAP / 2, local[:, 2:] + 10 * radius], dim=1)

    def _sunlit(self, points: Tensor, normals: Tensor) -> Tensor:
        """The visible part [N] of the sun, smoothed over 3 x 3 pixels of the map."""
        texel = 2 * self._scene.lit[1] / SHADOW_MAP
        place = self._in_shadow_map(self._frame, points + 1.5 * texel * normals)
        inside = ((place[:, :2] >= 1) & (place[:, :2] < SHADOW_MAP - 2)).all(1)
        x, y = place[:, 0].long().clamp(1, SHADOW_MAP - 2), place[:, 1].long().clamp(1, SHADOW_MAP - 2)
        light = torch.zeros(len(points))
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                light += (self._heights[y + dy, x + dx] <= place[:, 2] + 2 * texel).float() / 9
        return torch.where(inside, light, 1.0)

    def photograph(self, camera: Pinhole, view: View) -> Photograph:
        scale = SUPERSAMPLING
        width, height = scale * camera.width, scale * camera.height
        focal = scale * camera.focal
        rotation, translation = _tensor(view.rotation), _tensor(view.translation)
        local = self._vertices @ rotation.T + translation
        depth = local[:, 2]
        safe = torch.where(depth > NEAR, depth, 1.0)
        screen = focal * local[:, :2] / safe[:, None] + torch.tensor([width, height]) / 2
        face, inverse = rasterize(
            screen, torch.where(depth > NEAR, 1 / safe, 0.0), self._faces, width, height
        )
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        rays = torch.stack([(x - width / 2) / focal, (y - height / 2) / focal, torch.ones_like(x)], -1)
        rays = rays.view(-1, 3) @ rotation
        centre = _tensor(view.centre)

        radiance = torch.empty(width * height, 3)
        likely = torch.zeros(width * height)
        hit = face >= 0
        looking = torch.nn.functional.normalize(rays, dim=1)
        radiance[~hit] = self._scene.sky(looking[~hit], self._noise)
        for number, material in enumerate(self._materials):
            chosen = (hit & (self._material[face.clamp(min=0)] == number)).nonzero()[:, 0]
            if not len(chosen):
                continue
            distance = 1 / inverse[chosen]
            points = centre + rays[chosen] * distance[:, None]
            weights = self._weights(points, face[chosen])
            normal = (self._normals[self._faces[face[chosen]]] * weights[..., None]).sum(1)
            normal = torch.nn.functional.normalize(normal, dim=1)
            slope = (normal * looking[chosen]).sum(1).abs().clamp(min=0.1)
            footprint = distance / camera.focal / slope.sqrt()
            spot = Spot(points, normal, footprint, self._tones[face[chosen]], self._noise)
            look = self._scene.surfaces[material](spot)
            radiance[chosen] = self._shade(spot, look, looking[chosen], distance * rays[chosen].norm(dim=1))
            likely[chosen] = self._scene.found.get(material, 1.0) * (slope > 0.2)
        parts = (height // scale, scale, width // scale, scale, 3)
        # Light is averaged before it is developed, as in a camera.
        picture = develop(radiance.view(parts).mean(dim=(1, 3)).numpy())
        return Photograph(
            picture, (1 / inverse).view(height, width).numpy(), likely.view(height, width).numpy()
        )

    def _weights(self, points: Tensor, face: Tensor) -> Tensor:
        """Barycentric weights [N,3] of points on faces."""
        a, b, c = (self._vertices[self._faces[face, k]] for k in range(3))
        flat = torch.linalg.cross(b - a, c - a)
        square = (flat * flat).sum(1).clamp(min=1e-20)
        wb = (torch.linalg.cross(points - a, c - a) * flat).sum(1) / square
        wc = (torch.linalg.cross(b - a, points - a) * flat).sum(1) / square
        return torch.stack([1 - wb - wc, wb, wc], dim=1).clamp(0, 1)

    def _shade(self, spot: Spot, look: Look, looking: Tensor, distance: Tensor) -> Tensor:
        normal = torch.nn.functional.normalize(spot.normals + look.bump, dim=1)
        facing = (normal @ self._sun).clamp(min=0)
        if look.through:
            facing = torch.maximum(facing, look.through * (normal @ self._sun).abs())
        light = self._sunlit(spot.points, spot.normals)
        up = normal[:, 2:]
        ambient = torch.tensor([0.30, 0.38, 0.52]) * (0.62 + 0.38 * up) + torch.tensor([0.10, 0.08, 0.05]) * (
            0.5 - 0.5 * up
        )
        shaded = look.albedo * (ambient + torch.tensor([1.5, 1.38, 1.15]) * (facing * light)[:, None])
        half = torch.nn.functional.normalize(self._sun - looking, dim=1)
        highlight = (normal * half).sum(1).clamp(min=0) ** 40 * light
        shaded = shaded + (look.gloss * highlight)[:, None]
        clear = torch.exp(-distance / self._scene.haze)[:, None]
        return shaded * clear + torch.tensor([0.55, 0.68, 0.88]) * (1 - clear)


def develop(radiance: Array) -> NDArray[np.uint8]:
    """Film-like shoulder 1 - exp(-x), then the sRGB curve."""
    linear = 1 - np.exp(-EXPOSURE * np.maximum(radiance, 0))
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(np.round(255 * encoded), 0, 255).astype(np.uint8)


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
