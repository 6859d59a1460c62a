"""Walks around a room with a camera that measures depth, maps it, and tells how well (docs/mapping.md).

    .venv/bin/python tools/map_room.py --frames 60 --gaussians 20000

Where each frame is believed to be before it is tracked is the frame before, moved as in truth, and wrong by
2 degrees and 2 cm (standard deviations of the turn and of the shift).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gsplat_core import se3
from gsplat_core.apps.mapper import Config, Mapper
from gsplat_core.mapping.seeding import discs
from gsplat_core.metrics import psnr
from gsplat_core.pose_metrics import absolute_trajectory_error, pose_errors
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

ROOM = (4.0, 4.0, 2.5)
WALK = 0.7
"""Radius of the walk about the middle of the room."""
NOISE = (2.0, 0.02)
"""Degrees and scene units."""


def room(num: int, seed: int = 0) -> Gaussians:
    """The walls, floor and ceiling of a room with a pattern, of about so many Gaussians."""
    random = torch.Generator().manual_seed(seed)
    areas = [ROOM[(axis + 1) % 3] * ROOM[(axis + 2) % 3] for axis in range(3)]
    spacing = math.sqrt(2 * sum(areas) / num)
    places, normals = [], []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        across = (torch.arange(0, ROOM[a], spacing), torch.arange(0, ROOM[b], spacing))
        u, v = (grid.flatten() for grid in torch.meshgrid(*across, indexing="ij"))
        for side in (-0.5, 0.5):
            place = torch.empty(len(u), 3)
            place[:, a], place[:, b], place[:, axis] = u - ROOM[a] / 2, v - ROOM[b] / 2, side * ROOM[axis]
            places.append(place)
            normals.append(torch.nn.functional.one_hot(torch.tensor(axis), 3).expand(len(u), 3) * -2 * side)
    xyz, facing = torch.cat(places), torch.cat(normals)
    # In rows and columns many would be at one depth, and a small turn put all of them in another order.
    xyz = xyz + spacing * (0.3 * torch.rand(xyz.shape, generator=random) - 0.15)
    waves = torch.randn(12, 3, generator=random) * torch.tensor([3.0, 8.0, 18.0]).repeat(4)[:, None]
    phases = torch.rand(12, 3, generator=random) * math.tau
    pattern = ((xyz @ waves.T)[..., None] + phases).sin()
    colors = (0.5 + 0.09 * pattern.sum(dim=1)).clamp(0, 1)
    sizes = torch.full((len(xyz),), 0.6 * spacing)
    return discs(xyz, facing, colors, sizes, opacity=0.95)


def walk(frames: int, turn: float = 1.0) -> Tensor:
    """[F, 4, 4] world to camera: around the middle, looking outward and a little ahead, up and down."""
    poses = []
    for number in range(frames):
        angle = math.tau * turn * number / frames
        center = np.array([WALK * math.cos(angle), WALK * math.sin(angle), 0.1 * math.sin(3 * angle)])
        heading = angle + 0.3
        forward = np.array([math.cos(heading), math.sin(heading), 0.15 * math.sin(2 * angle)])
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ center
        poses.append(pose)
    return torch.from_numpy(np.stack(poses))


@dataclass(frozen=True)
class Result:
    """
    Args:
        trajectory_error: root mean square of the distances of centres, where the map has them, metres.
        aligned_error: the same after the similarity that fits best (ATE).
        degrees: mean error of rotations.
        psnr: mean over the frames, of the map from where they were in truth.
        between: the same halfway between frames.
        most_active: the largest share of the finished map that was in memory.
        equality: the smallest PSNR between images of what is in memory and of the whole map.
        gaussians: of the map.
        processor_seconds: of all frames.
    """

    trajectory_error: float
    aligned_error: float
    degrees: float
    psnr: float
    between: float
    most_active: float
    equality: float
    gaussians: int
    processor_seconds: float


def map_room(
    num: int, frames: int, width: int, height: int, config: Config, turn: float = 1.0, seed: int = 0
) -> Result:
    """
    Args:
        num: Gaussians of the room.
        turn: how much of a round the walk is.
    """
    random = torch.Generator().manual_seed(seed)
    truth, poses = room(num, seed), walk(frames, turn)
    focal = 0.7 * width
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])

    def camera(pose: Tensor) -> Camera:
        return Camera(pose.numpy(), K, width, height)

    deviations = torch.tensor([math.radians(NOISE[0])] * 3 + [NOISE[1]] * 3).double() / math.sqrt(3)
    info = deviations.square().reciprocal().diag()
    most, start = 0, time.process_time()
    with Mapper(K, config) as mapper:
        for number, pose in enumerate(poses):
            with torch.no_grad():
                seen = render(truth, camera(pose), outputs=Outputs(depth="expected"))
            image = (seen.colors[0].clamp(0, 1) * 255).round().to(torch.uint8)
            depth = seen.depths[0].where(seen.alphas[0, ..., 0] > 0.5, 0.0)
            if number:
                before = torch.from_numpy(mapper.frames[-1].camera.viewmat)
                moved = pose @ torch.linalg.inv(poses[number - 1]) @ before
                prior = se3.exp(deviations * torch.randn(6, generator=random).double()) @ moved
            else:
                prior = pose
            mapper.add_frame(image, depth, pose_prior=prior, info=info)
            most = max(most, mapper.active.num)
        seconds = time.process_time() - start
        tracked = torch.stack([torch.from_numpy(frame.camera.viewmat) for frame in mapper.frames])
        mapper.active.commit()
        whole, gaussians = mapper.active.store.pieces().whole(), mapper.num

        def quality(pose: Tensor) -> float:
            with torch.no_grad():
                image = render(truth, camera(pose)).colors[0].clamp(0, 1)
            return psnr(mapper.render(camera(pose)).colors[0].clamp(0, 1), image)

        def equality(pose: Tensor) -> float:
            with torch.no_grad():
                image = render(whole, camera(pose)).colors
            difference = (mapper.render(camera(pose)).colors - image).square().mean()
            return min(100.0, -10 * math.log10(max(float(difference), 1e-10)))

        halfway = walk(2 * frames, turn)[1::2][: frames - 1]
        errors = pose_errors(tracked, poses)
        return Result(
            errors.trajectory_error,
            absolute_trajectory_error(tracked, poses),
            float(errors.degrees.mean()),
            sum(map(quality, poses)) / frames,
            sum(map(quality, halfway)) / max(len(halfway), 1),
            most / gaussians,
            min(map(equality, poses[::5])),
            gaussians,
            seconds,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gaussians", type=int, default=20_000, help="of the room")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--height", type=int, default=120)
    parser.add_argument("--size", type=float, default=0.025, help="of the map's Gaussians")
    parser.add_argument("--steps", type=int, default=Config(1.0).steps, help="after a key frame")
    parser.add_argument("--turn", type=float, default=1.0, help="how much of a round the walk is")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    config = replace(Config(given.size), steps=given.steps)
    result = map_room(
        given.gaussians, given.frames, given.width, given.height, config, given.turn, given.seed
    )
    print(json.dumps(vars(result), indent=1))


if __name__ == "__main__":
    main()
