"""What a viewer shows: a scene, which a later state of it may replace, and the photographs it is from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import torch
from torch import Tensor

from gsplat_core.io.html import FIELD_OF_VIEW, look
from gsplat_core.primitive import no_place_for
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from trainers.camera_paths import Orbit, default_lens
from trainers.parts.parts import Parts
from trainers.parts.results import AtTest

# Of what a browser is sent; more, and spherical harmonics are left out of it.
MOST_BYTES = 512 * 2**20
MOST_DEGREE = 3


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The scene at one time.

    Args:
        version: grows with each state.
        gaussians: detached; nobody changes them.
    """

    version: int
    gaussians: Gaussians


@dataclass(eq=False)
class Training:
    """How far a training is that is being watched."""

    steps: int
    step: int = 0
    loss: float = 0.0
    psnr: float = 0.0
    num_gaussians: int = 0
    ended: bool = False


@dataclass(eq=False)
class Subject:
    """
    Args:
        name: what the page is called.
        source: the run or file, as a shell takes it.
        gaussians: the scene, on the device where it is rendered.
        orbit: one looks from its beginning, and turns around its centre.
        views: the photographs, training views first.
        tests: how many of them, the last ones, were not trained on.
        background: behind the scene at first, black or white.
        compared: how the scene is compared with photographs.
        training: of a run that goes on; None for a finished one.
        history: the curves of the run, one dictionary per logged step.
    """

    name: str
    source: str
    gaussians: InitVar[Gaussians]
    orbit: Orbit
    views: Sequence[View] = ()
    tests: int = 0
    background: str = "black"
    compared: AtTest = field(default_factory=lambda: AtTest(Parts({}), ()))
    training: Training | None = None
    history: Callable[[], list[dict[str, Any]]] = list
    wanted: threading.Event = field(default_factory=threading.Event)
    """Whether somebody waits for a newer state than the last one."""

    def __post_init__(self, gaussians: Gaussians) -> None:
        self._changed = threading.Condition()
        self._snapshot = Snapshot(1, gaussians)

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    def replace(self, gaussians: Gaussians) -> None:
        """Shows a newer state of the scene."""
        with self._changed:
            self._snapshot = Snapshot(self._snapshot.version + 1, gaussians)
            self.wanted.clear()
            self._changed.notify_all()

    def newer(self, version: int, seconds: float) -> Snapshot:
        """The state after `version`, if there is one within so many seconds; else the last one."""
        with self._changed:
            if self._snapshot.version <= version:
                self.wanted.set()
                self._changed.wait_for(lambda: self._snapshot.version > version, seconds)
            return self._snapshot

    def about(self) -> dict[str, Any]:
        """What a page is told once, as JSON."""
        orbit, gaussians = self.orbit, self.snapshot.gaussians
        first = orbit.cameras(1, default_lens(800, 600))[0]
        start = {
            "position": first.center.tolist(),
            "target": orbit.center.tolist(),
            "up": orbit.up.tolist(),
            "fov": FIELD_OF_VIEW,
            "near": orbit.radius / 1000,
            "far": orbit.radius * 10_000,
            "look": look(gaussians.metadata),
        }
        train = len(self.views) - self.tests
        cameras = [(view, self.compared.camera(view)) for view in self.views]
        return {
            "name": self.name,
            "source": self.source,
            "start": start,
            "radius": orbit.radius,
            "degree": gaussians.sh_degree,
            "background": self.background,
            "browser": gaussians.baked().primitive == PLAIN,
            "notes": differences(gaussians),
            "labels": label_field(gaussians) is not None,
            "live": self.training is not None,
            "views": [
                {
                    "name": view.name,
                    "test": number >= train,
                    "viewmat": camera.viewmat.tolist(),
                    "focal": [camera.K[0, 0], camera.K[1, 1]],
                    "middle": [camera.K[0, 2], camera.K[1, 2]],
                    "size": [camera.width, camera.height],
                    "model": camera.model,
                }
                for number, (view, camera) in enumerate(cameras)
            ],
        }

    def state(self) -> dict[str, Any]:
        """What a page asks for again and again, as JSON."""
        snapshot, training = self.snapshot, self.training
        told = None if training is None else dict(vars(training))
        return {"version": snapshot.version, "num": snapshot.gaussians.num, "training": told}


def differences(gaussians: Gaussians) -> list[str]:
    """In what a browser's picture of the scene is another than that of the rasterizer, in sentences."""
    plain = gaussians.baked()
    if plain.primitive != PLAIN:
        return [f"The browser {no_place_for(plain.primitive)}: pictures are rendered by the server."]
    notes = []
    if plain.metadata.pixel_order:
        notes.append("Trained in the order of each pixel; the browser blends by the depth of centres.")
    if plain.sh_degree > (degree := sent_degree(plain)):
        notes.append(f"The browser draws spherical harmonics to degree {degree} of {plain.sh_degree}.")
    return notes


def sent_degree(gaussians: Gaussians) -> int:
    """Up to which degree of spherical harmonics a browser gets the scene."""
    degree = min(gaussians.sh_degree, MOST_DEGREE)
    while degree and gaussians.num * 4 * (14 + 3 * (degree + 1) ** 2) > MOST_BYTES:
        degree -= 1
    return degree


def sent(gaussians: Gaussians) -> Gaussians:
    """The scene as a browser gets it: plain Gaussians with what harmonics it takes, on the CPU."""
    plain = gaussians.baked().without_extras()
    coefficients = (sent_degree(plain) + 1) ** 2 - 1
    params = {**plain.params, "shN": plain.shN[:, :coefficients]}
    return Gaussians.of(params, plain.primitive, plain.extras, plain.metadata).to("cpu")


def label_field(gaussians: Gaussians) -> Tensor | None:
    """[N] integers that say to which thing each Gaussian belongs, if the scene has them: a field whose name
    begins with label, segment, instance or object."""
    for name, values in gaussians.extras.items():
        whole = not values.is_floating_point() and values.dtype != torch.bool and values.ndim == 1
        if whole and name.lower().startswith(("label", "segment", "instance", "object")):
            return values
    return None
