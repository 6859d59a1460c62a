"""A scene in the browser, drawn there by viser (https://viser.studio), which brings its own splat renderer.

viser draws Gaussians of one colour each: spherical harmonics beyond the constant one are left out, so shiny
surfaces look matt. It serves its page itself, without a network.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np

from gsplat_core.errors import UsageError
from gsplat_core.primitive import no_place_for
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.harmonics import rgb_of
from trainers.camera_paths import Orbit, default_lens
from trainers.gate import Gate


@dataclass(frozen=True)
class Viewer:
    """A running server."""

    server: Any
    """viser's"""
    url: str
    """What to open in a browser; no other address shows the scene."""

    def stop(self) -> None:
        self.server.stop()


def serve(gaussians: Gaussians, host: str, port: int, orbit: Orbit) -> Viewer:
    """Starts the server with the scene in it, behind a `Gate`.

    Args:
        gaussians: the scene.
        host, port: where it listens; another port is taken if this one is busy.
        orbit: a browser that connects looks from its beginning, and turns around its centre by hand.

    Raises:
        UsageError: viser is not installed or lets no gate be put before it, or the scene is not of plain
            Gaussians.
    """
    gaussians = gaussians.baked()
    if gaussians.primitive != PLAIN:
        raise UsageError(f"The browser's renderer {no_place_for(gaussians.primitive)}; use render.")
    gate = Gate(host)
    try:
        import viser

        # It would print an address without the token.
        with gate.before_websockets(), redirect_stdout(io.StringIO()):
            server: Any = viser.ViserServer(host=host, port=port, verbose=False)
    except ImportError as error:
        raise UsageError(
            "view needs viser: pip install 'gsplat-core[view]' (or pip install viser)."
        ) from error
    if not gate.installed:
        server.stop()
        raise UsageError(
            f"This version of viser ({getattr(viser, '__version__', 'unknown')}) serves its page in another "
            "way than is known, so any website could look at the scene. Install version 1.1 of it."
        )
    up = tuple(orbit.up.tolist())
    server.scene.set_up_direction(up)
    server.gui.configure_theme(show_share_button=False, dark_mode=True)
    server.scene.add_gaussian_splats("/scene", **splats(gaussians))
    lens = default_lens(800, 600)
    view = server.initial_camera
    view.position, view.look_at, view.up = orbit.cameras(1, lens)[0].center, orbit.center, up
    view.fov = float(2 * np.arctan(lens.height / 2 / lens.K[1, 1]))
    return Viewer(server, gate.url(server.get_port()))


def splats(gaussians: Gaussians) -> dict[str, np.ndarray]:
    """What viser draws: centres [N, 3], covariances [N, 3, 3], colours [N, 3] and opacities [N, 1]."""
    scene = gaussians.detached().to("cpu")
    axes = (rotation_matrices(scene.quats) * scene.scales.exp()[:, None, :]).numpy()
    return {
        "centers": scene.means.numpy(),
        "covariances": axes @ axes.transpose(0, 2, 1),
        "rgbs": rgb_of(scene.sh0[:, 0]).clamp(0, 1).numpy(),
        "opacities": scene.opacities.sigmoid().numpy()[:, None],
    }
