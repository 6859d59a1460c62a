"""Rendering a scene: the function that training, measuring and showing call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import Tensor

from gsplat_core import primitive
from gsplat_core.ops.adam import StepsOneByOne
from gsplat_core.primitive import Evaluated
from gsplat_core.render import stages
from gsplat_core.render.cameras import Cameras, Posed
from gsplat_core.render.drawing import COLORS, NO_FEATURES, Outputs, Rendered, draw
from gsplat_core.render.flow import Flow
from gsplat_core.render.head import FEATURES, Head, mixed
from gsplat_core.render.inputs import Inputs, prepare
from gsplat_core.render.lists import listed, projected
from gsplat_core.render.seam import Copies
from gsplat_core.render.seen import Labels, check_labels
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.render.volume import Volume, draw_volume
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.metadata import Metadata

Scene: TypeAlias = Gaussians | Mapping[str, Tensor] | Evaluated
"""A scene; the raw parameters of plain Gaussians by name; or what a primitive made of a scene."""


def render(
    scene: Scene,
    camera: Posed | Cameras,
    settings: RenderSettings = USUAL,
    context: Mapping[str, Any] | None = None,
    *,
    outputs: Outputs = COLORS,
    features: Mapping[str, Tensor] = NO_FEATURES,
    flow: Flow | None = None,
    labels: Labels | None = None,
    background: Tensor | None = None,
    sh_degree: int | None = None,
    sh_optimizer: StepsOneByOne | None = None,
) -> Rendered:
    """Renders a scene into the images of one camera, or of several of one size, differentiably.

    Args:
        scene: with N Gaussians; without dimensions of a batch.
        camera: whose near plane, if it has one, takes the place of the settings'.
        settings: how it is drawn. Whether that is antialiased, and with which screen filter, is known by a
            scene that has metadata (`RenderSettings.as_trained`).
        context: what the scene's primitive reads besides the scene; it finds the cameras under "cameras", and
            their matrices under "viewmats".
        outputs: what the rendering has besides alphas.
        features: further tensors [N, F] or [C, N, F] to blend, see :func:`gsplat_core.rasterization`.
        flow: see there, and `flow_to`.
        labels: integers [C, H, W] and their number, see there.
        background: [D], [1, D] or [C, D] colour behind the Gaussians; None for black.
        sh_degree: of the spherical harmonics to evaluate, where colours are such; None for all that there
            are.
        sh_optimizer: see :func:`gsplat_core.rasterization`.

    Raises:
        ValueError: a tensor has a wrong shape or type; the message names the argument of
            :func:`gsplat_core.rasterization` that it is.
        NotImplementedError: the scene's primitive is not drawn so.
    """
    shot = _Shot.of(scene, camera, settings, context, outputs.colors, background, sh_degree)
    if shot.volume is not None:
        if features or flow is not None or labels is not None:
            raise NotImplementedError("a density that rays are cast through has no features, flow or labels")
        return draw_volume(
            shot.inputs, shot.volume, shot.sh_degree, shot.cameras.width, shot.cameras.height, shot.settings,
            outputs,
        )  # fmt: skip
    inputs, head = shot.inputs, shot.head
    if head is not None:  # it makes an image on black
        inputs, features = inputs._replace(backgrounds=None), {**features, FEATURES: head.features}
    rendered = draw(
        inputs, shot.sh_degree, shot.cameras.width, shot.cameras.height, shot.settings, outputs,
        features=features, flow=flow, labels=labels, sh_optimizer=sh_optimizer, sh_leaves=shot.colors,
    )  # fmt: skip
    return rendered if head is None else mixed(rendered, head, shot.background)


def flow_to(
    scene: Scene,
    camera: Posed | Cameras,
    context: Mapping[str, Any] | None = None,
    *,
    mode: Literal["roots", "translation", "material"] = "roots",
    detached: bool = True,
) -> Flow:
    """For :func:`render`: the flow to this camera, or as many of them as that has, and this state of the
    scene, which has the same Gaussians. See :class:`gsplat_core.render.flow.Flow`."""
    means = scene["means"] if isinstance(scene, Mapping) else scene.means
    cameras = Cameras.of(camera, means.device)
    seen = evaluated(scene, cameras, context)
    return Flow(
        seen.means, seen.quats, seen.scales, seen.covars, cameras.viewmats, cameras.Ks, cameras.lens,
        mode, detached,
    )  # fmt: skip


def measure(
    scene: Scene,
    camera: Posed | Cameras,
    settings: RenderSettings = USUAL,
    context: Mapping[str, Any] | None = None,
) -> tuple[Tensor, stages.Splats]:
    """How much the images of :func:`render` show of each Gaussian, without colours and without a derivative.

    Returns:
        The sums [C, N, 3] of :func:`gsplat_core.render.stages.contributions`, and the splats, whose batch
        dimension is one.
    """
    splats, copies, drawn, tiles, along = _seen_in(_Shot.of(scene, camera, settings, context, colors=False))
    sums = stages.contributions(drawn, tiles, **along)
    return (sums if copies is None else copies.together(sums))[0], splats


def measure_labels(
    scene: Scene,
    camera: Posed | Cameras,
    labels: Labels,
    settings: RenderSettings = USUAL,
    context: Mapping[str, Any] | None = None,
) -> Tensor:
    """How much the images of :func:`render` show of each Gaussian under each label: what `labels` of it
    gives, [L, N], without colours and alphas and without a derivative.

    Args:
        labels: integers [C, H, W] and how many labels L there are.

    Raises:
        ValueError: the labels do not fit; the message says what was expected.
    """
    shot = _Shot.of(scene, camera, settings, context, colors=False)
    checked = check_labels(labels, shot.inputs, shot.cameras.width, shot.cameras.height)
    _, copies, drawn, tiles, along = _seen_in(shot)
    weights = stages.label_weights(drawn, tiles, *checked, **along)
    return (weights if copies is None else copies.labels_together(weights))[0]


class _SeenIn(NamedTuple):
    """Splats and their lists, and the other arguments of stages that look along them."""

    splats: stages.Splats
    copies: Copies | None
    drawn: stages.Splats  # the splats with their copies
    tiles: stages.TileLists
    along: dict[str, Any]


def _seen_in(shot: _Shot) -> _SeenIn:
    inputs, size = shot.inputs, (shot.cameras.width, shot.cameras.height)
    if shot.volume is not None:
        raise NotImplementedError(
            "what is seen of each Gaussian is not known where rays are cast through them"
        )
    settings = shot.settings.for_response(inputs.response)
    splats, extras, rays = projected(inputs, *size, settings)
    copies, drawn, extras, rays, tiles = listed(inputs, splats, extras, rays, *size, settings)
    along: dict[str, Any] = {
        "width": size[0], "height": size[1], "settings": settings, "response": inputs.response,
        "extras": extras, "rays": rays,
    }  # fmt: skip
    return _SeenIn(splats, copies, drawn, tiles, along)


def evaluated(scene: Scene, cameras: Cameras, context: Mapping[str, Any] | None = None) -> Evaluated:
    """The Gaussians that these cameras see."""
    if isinstance(scene, Evaluated):
        return scene
    return primitive.evaluate(scene, {**seen_by(cameras), **(context or {})})


def seen_by(cameras: Cameras) -> dict[str, Any]:
    """What primitives read of the cameras that see them: the context of `gsplat_core.primitive.evaluate`."""
    return {"viewmats": cameras.viewmats, "cameras": cameras}


class _Shot(NamedTuple):
    """A scene in front of cameras, ready for the stages."""

    inputs: Inputs
    cameras: Cameras
    settings: RenderSettings
    colors: Tensor | tuple[Tensor, Tensor] | None
    """As the scene has them; None where they are not wanted."""
    sh_degree: int | None
    volume: Volume | None
    head: Head | None
    """None where colours are not wanted."""
    background: Tensor | None
    """[C, D]"""

    @staticmethod
    def of(
        scene: Scene,
        camera: Posed | Cameras,
        settings: RenderSettings,
        context: Mapping[str, Any] | None,
        colors: bool,
        background: Tensor | None = None,
        sh_degree: int | None = None,
    ) -> _Shot:
        means = scene["means"] if isinstance(scene, Mapping) else scene.means
        cameras = Cameras.of(camera, means.device)
        if isinstance(scene, Gaussians):
            settings = _as_trained(settings, scene.metadata)
        seen = evaluated(scene, cameras, context)
        shown = seen.colors if colors else None
        features = isinstance(shown, Tensor) and shown.dim() == 2
        degree = stored_degree(shown) if sh_degree is None or features else sh_degree
        if not colors:
            background = None
        if background is not None:
            background = background.to(means.device).expand(len(cameras.viewmats), -1)
        inputs = prepare(
            seen.means, seen.quats, seen.scales, seen.covars, seen.opacities, shown, degree,
            cameras.viewmats, cameras.Ks, background, cameras.lens, cameras.model, seen.extras, seen.response,
            sh_means=seen.sh_means, planes=seen.planes,
        )  # fmt: skip
        settings, head = cameras.applied_to(settings), seen.head if colors else None
        return _Shot(inputs, cameras, settings, shown, degree, seen.volume, head, background)


def stored_degree(colors: Tensor | tuple[Tensor, Tensor] | None) -> int | None:
    """The degree of spherical harmonics ([N, K, 3] or a pair); None for features [N, D], or nothing."""
    if colors is None:
        return None
    if isinstance(colors, Tensor):
        return None if colors.dim() == 2 else math.isqrt(colors.shape[-2]) - 1
    return math.isqrt(1 + colors[1].shape[-2]) - 1


@lru_cache(maxsize=64)
def _as_trained(settings: RenderSettings, metadata: Metadata) -> RenderSettings:
    return settings.as_trained(metadata)
