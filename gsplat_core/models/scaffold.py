"""Anchors that small networks turn into Gaussians for each camera: Scaffold-GS (Lu et al. 2024).

A row is an anchor, which stays where it is (`means`), with 32 `features` that say nothing by themselves. For
a camera in the direction d of it, three networks with one hidden layer read both and say of ten splats how
opaque they are (those below zero are not drawn), their colours, and their rotations and scales, as shares of
the anchor's `scales`. Where splats lie does not depend on the camera: at the anchor + `offsets`, in units of
its `offset_scales` (`ops/anchors.py` has the formulas). The networks belong to the scene as a whole, which
is saved with them.

Anchors lie on the lattice `origin` + `voxel` times whole numbers along the rows of `frame`, in which
directions and offsets are measured, too; so what turns, moves and scales the scene leaves numbers of voxels,
offsets and networks as they are.

A scene that was trained to be small does without some of its splats (`compress/anchors.py`): `dropped` says
which.

Of the plain Gaussian's fields, `quats`, `opacities` and colours are not read.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops.anchors import decode_anchors
from gsplat_core.ops.neighbors import knn
from gsplat_core.primitive import Evaluated, register
from gsplat_core.reference.anchors import Decoder, Network
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.schema import GAUSSIAN, Field, Shared

NAME = "scaffold"
SPLATS, FEATURES, HIDDEN = 10, 32, 32
"""As published: splats of an anchor, numbers of its features, and units of each network's hidden layer."""

DROPPED = "dropped"
"""The field that says which splats of an anchor are not drawn: a whole number, whose bits these are."""

# Of each network: its outputs, and Adam's learning rate with what becomes of it, as published.
_NETWORKS = {
    "opacities": (SPLATS, 2e-3, 1e-2),
    "colors": (3 * SPLATS, 8e-3, 1 / 160),
    "covariances": (7 * SPLATS, 4e-3, 1.0),
}
# Splats count up to so many standard deviations, with room for what linearization adds at the image's border.
_SPREAD = 4.0
# So much of the scene's extent is the voxel of points that are all at one place.
_LEAST_VOXEL = 1e-6


def _shapes(outputs: int) -> dict[str, tuple[int, ...]]:
    """Of a network's tensors."""
    return Network((HIDDEN, FEATURES + 3), (HIDDEN,), (outputs, HIDDEN), (outputs,))._asdict()  # type: ignore[arg-type]


_UNUSED: dict[str, Any] = {"role": "unused", "learning_rate": None, "similarity": "invariant"}

SCHEMA = (
    GAUSSIAN.changed("means", learning_rate=None)
    .changed("quats", **_UNUSED)
    .changed("scales", learning_rate=7e-3)
    .changed("opacities", **_UNUSED, blank=0.0)
    .changed("sh0", **_UNUSED)
    .changed("shN", **_UNUSED)
    .plus(
        Field("features", (FEATURES,), learning_rate=7.5e-3),
        Field("offsets", (SPLATS, 3), learning_rate=0.01, decay=0.01),
        Field("offset_scales", (3,), activation="exp", learning_rate=7e-3, similarity="log length"),
        Field(DROPPED, role="carried"),
    )
    .sharing(
        Shared("frame", (3, 3), similarity="direction"),
        Shared("origin", (3,), similarity="point"),
        Shared("voxel", (), similarity="length"),
        *(
            Shared(f"{network}_{tensor}", shape, rate, decay)
            for network, (outputs, rate, decay) in _NETWORKS.items()
            for tensor, shape in _shapes(outputs).items()
        ),
    )
)


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where anchors may be; in float64, since there are many voxels in a scene.

    Args:
        frame: [3, 3], its axes in rows.
        origin: [3] a knot.
        voxel: [] from knot to knot.
    """

    frame: Tensor
    origin: Tensor
    voxel: Tensor

    @staticmethod
    def of(shared: Mapping[str, Tensor]) -> Lattice:
        """That of a scene of anchors."""
        return Lattice(*(shared[name].detach().double() for name in ("frame", "origin", "voxel")))

    def knots(self, places: Tensor) -> Tensor:
        """[N, 3] whole numbers, the knots nearest to places [N, 3]."""
        return ((places.detach().double() - self.origin) @ self.frame.T / self.voxel).round()

    def places(self, knots: Tensor) -> Tensor:
        """[N, 3] of knots [N, 3]."""
        return self.origin + (knots * self.voxel) @ self.frame


def started(scene: Gaussians, seed: int) -> Gaussians:
    """Anchors in the voxels where there are Gaussians. A voxel is as large as the median distance of a
    Gaussian to the nearest other; networks start at random, features with zeros."""
    means = scene.means
    voxel = _voxel(means)
    frame, origin = torch.eye(3).to(means), means.new_zeros(3)
    lattice = Lattice(frame.double(), origin.double(), voxel.double())
    knots, which = torch.unique(lattice.knots(means), dim=0, return_inverse=True)
    first = torch.full((len(knots),), len(means), device=means.device).scatter_reduce(
        0, which, torch.arange(len(means), device=means.device), "amin"
    )
    rows = scene.subset(first)
    shared = {
        "frame": frame,
        "origin": origin,
        "voxel": voxel,
        **{name: tensor.to(means) for name, tensor in _random_networks(seed).items()},
    }
    return dataclasses.replace(
        rows,
        means=lattice.places(knots).to(means),
        further=rows.further | {"offset_scales": rows.scales.clone()},
        shared=shared,
    )


def _voxel(means: Tensor) -> Tensor:
    """[] the median distance to the nearest other place."""
    if len(means) < 2:
        return means.new_ones(())
    gaps = knn(means.detach().float().cpu().contiguous(), 1)[1].sqrt()
    extent = (means.amax(dim=0) - means.amin(dim=0)).max()
    return torch.maximum(gaps.median().to(means), _LEAST_VOXEL * extent.clamp(min=1e-6))


def _random_networks(seed: int) -> dict[str, Tensor]:
    """Evenly distributed weights and biases, with the variance of 1 / (3 inputs), as published."""
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for network, (outputs, _, _) in _NETWORKS.items():
        for name, shape in _shapes(outputs).items():
            inputs = FEATURES + 3 if name.startswith("hidden") else HIDDEN
            tensors[f"{network}_{name}"] = (2 * torch.rand(shape, generator=random) - 1) / math.sqrt(inputs)
    return tensors


def kept_of(dropped: Tensor) -> Tensor:
    """[N, 10] bool, which splats are drawn, by the field `dropped` [N]."""
    bits = torch.arange(SPLATS, device=dropped.device)
    return (dropped.detach().int()[:, None] >> bits) & 1 == 0


def as_dropped(kept: Tensor) -> Tensor:
    """[N] float32, the inverse of `kept_of`."""
    bits = 1 << torch.arange(SPLATS, device=kept.device)
    return (~kept * bits).sum(dim=1).float()


def decoder_of(fields: Mapping[str, Tensor]) -> Decoder:
    """The networks of a scene."""
    return Decoder(
        *(
            Network(*(fields[f"{network}_{tensor}"] for tensor in Network._fields))
            for network in Decoder._fields
        )
    )


@torch.no_grad()
def visible(fields: Mapping[str, Tensor], cameras: Any) -> Tensor | None:
    """[N] bool, anchors of which a camera may see a splat: those whose splats all lie outside the pyramid
    that its image shows are left out.

    Args:
        cameras: one camera, `gsplat_core.render.cameras.Cameras`.

    Returns:
        None where its rays are no pyramid: all are decoded.
    """
    if cameras.model != "pinhole":
        return None
    viewmat, K = cameras.viewmats[0], cameras.Ks[0]
    places = fields["means"] @ viewmat[:3, :3].T + viewmat[:3, 3]
    shifts = fields["offsets"] * fields["offset_scales"].exp()[:, None]
    reach = shifts.square().sum(dim=2).amax(dim=1).sqrt() + _SPREAD * fields["scales"].amax(dim=1).exp()
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    inward = torch.stack(
        [
            torch.stack([fx, zero, cx]),
            torch.stack([-fx, zero, cameras.width - cx]),
            torch.stack([zero, fy, cy]),
            torch.stack([zero, -fy, cameras.height - cy]),
            torch.stack([zero, zero, one]),
        ]
    )
    depths = places @ torch.nn.functional.normalize(inward, dim=1).T
    return (depths >= -reach[:, None]).all(dim=1)


@register(NAME, SCHEMA, per_camera=True, started=started, sh_degree=0, splats=SPLATS)
def scaffold(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads "viewmats" [1, 4, 4] from the context, and "cameras", the same with what their images show, where
    that is known: what is outside need not be decoded. By "kept" [N, 10] of the parameters, where it is
        there,
    the opacities of splats are multiplied, instead of leaving out those that are dropped."""
    viewmat = context["viewmats"][0].to(params["means"])
    cameras = context.get("cameras")
    decoded = decode_anchors(
        params["means"],
        params["features"],
        params["offsets"],
        params["offset_scales"],
        params["scales"],
        centre=-(viewmat[:3, 3] @ viewmat[:3, :3]),
        frame=params["frame"],
        decoder=decoder_of(params),
        visible=None if cameras is None else visible(params, cameras),
    )
    kept = params["kept"] if "kept" in params else kept_of(params[DROPPED])
    return Evaluated(*decoded._replace(opacities=decoded.opacities * kept.flatten()))
