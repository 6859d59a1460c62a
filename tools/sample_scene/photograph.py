"""Path tracing of the views and their development into 8-bit pictures."""

from __future__ import annotations

from typing import Any

import mitsuba as mi
import numpy as np
import pyoidn
from colmap_model.cameras import View
from numpy.typing import NDArray

from .cameras import CAMERA

EXPOSURE = 2.2


def sensor(view: View) -> Any:
    """A pinhole camera; mitsuba's camera looks along z with x to the left and y up."""
    pose = np.eye(4)
    pose[:3, :3] = view.rotation.T @ np.diag([-1.0, -1.0, 1.0])
    pose[:3, 3] = view.centre
    film = {
        "type": "hdrfilm",
        "width": CAMERA.width,
        "height": CAMERA.height,
        "pixel_format": "rgb",
        "rfilter": {"type": "box"},
    }
    angle = float(np.degrees(2 * np.arctan(CAMERA.width / 2 / CAMERA.focal)))
    return mi.load_dict(
        {
            "type": "perspective",
            "fov": angle,
            "fov_axis": "x",
            "near_clip": 0.01,
            "far_clip": 100.0,
            "to_world": mi.ScalarTransform4f(pose),
            "film": film,
            "sampler": {"type": "multijitter"},
        }
    )


def render(scene: Any, view: View, samples: int, seed: int, bounces: int = 4) -> NDArray[np.float32]:
    """Linear radiance [H,W,3], path-traced and denoised with the help of albedo and normals."""
    camera = sensor(view)
    path = mi.load_dict({"type": "path", "max_depth": bounces, "rr_depth": 3})
    guides = mi.load_dict({"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"})
    colour = np.array(
        mi.render(scene, sensor=camera, integrator=path, spp=samples, seed=seed), dtype=np.float32
    )
    guide = np.array(mi.render(scene, sensor=camera, integrator=guides, spp=16, seed=seed), dtype=np.float32)
    albedo, normal = (np.ascontiguousarray(guide[..., k : k + 3]) for k in (0, 3))
    return pyoidn.denoise(colour, albedo=np.clip(albedo, 0, 1), normal=normal, hdr=True)


def develop(radiance: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Film-like shoulder 1 - exp(-x), then the sRGB curve."""
    linear = 1 - np.exp(-EXPOSURE * np.maximum(radiance, 0))
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(np.round(255 * encoded), 0, 255).astype(np.uint8)
