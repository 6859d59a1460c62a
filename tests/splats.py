"""Scenes for rasterizer tests, and the comparison of a renderer with the float64 reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gsplat_core import reference
from gsplat_core.render.variants import RESPONSES


@contextmanager
def one_thread() -> Iterator[None]:
    """For the reference: its small tensors only lose time with more, much of it on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


IMAGE_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Scene:
    """The tensors of a scene by argument name, and the image size."""

    tensors: dict[str, Tensor]
    width: int
    height: int
    sh_degree: int | None = None

    def leaves(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Copies that require gradients."""
        return {name: value.detach().to(dtype).requires_grad_() for name, value in self.tensors.items()}

    def arguments(self, leaves: dict[str, Tensor] | None = None) -> dict[str, Any]:
        """The keyword arguments for a renderer."""
        given = dict(self.tensors if leaves is None else leaves)
        if "covars" in given:
            given |= {"quats": None, "scales": None}
        return given | {"width": self.width, "height": self.height, "sh_degree": self.sh_degree}

    def with_(self, **tensors: Tensor) -> Scene:
        """The scene with some tensors replaced or added."""
        return replace(self, tensors=self.tensors | tensors)

    def only(self, count: int) -> Scene:
        """The scene with its first `count` Gaussians."""
        per_gaussian = {"means", "quats", "scales", "opacities", "colors", "covars", "extras"}
        return replace(
            self, tensors={k: v[:count] if k in per_gaussian else v for k, v in self.tensors.items()}
        )


def look_at(eye: tuple[float, float, float], target: tuple[float, float, float] = (0, 0, 0)) -> Tensor:
    """World-to-camera matrix [4, 4] of a camera at `eye` that looks at `target`."""
    position, towards = torch.tensor(eye).double(), torch.tensor(target).double()
    z = torch.nn.functional.normalize(towards - position, dim=0)
    x = torch.nn.functional.normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.1]).double(), z), dim=0)
    rotation = torch.stack([x, torch.linalg.cross(z, x), z])
    matrix = torch.eye(4).double()
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ position
    return matrix.float()


def intrinsics(fx: float, fy: float, cx: float, cy: float) -> Tensor:
    return torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def random_scene(
    num: int = 150,
    cameras: int = 1,
    width: int = 70,
    height: int = 50,
    sh_degree: int | None = 3,
    seed: int = 0,
) -> Scene:
    """A ball of Gaussians of mixed size around the origin, seen from about 4 units away."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g)

    colors = uniform(num, 3) if sh_degree is None else 0.3 * normal(num, (sh_degree + 1) ** 2, 3)
    return Scene(
        {
            "means": normal(num, 3) * torch.tensor([1.3, 1.0, 1.0]),
            "quats": normal(num, 4),
            "scales": 0.3 * uniform(num, 3) ** 2 + 0.01,
            "opacities": 0.05 + 0.9 * uniform(num),
            "colors": colors,
            "viewmats": torch.stack([look_at((0.6 * c, -0.5, -4.0 + 0.3 * c)) for c in range(cameras)]),
            "Ks": torch.stack(
                [intrinsics(62, 58, width / 2 + 3, height / 2 - 2 + c) for c in range(cameras)]
            ),
            "backgrounds": uniform(cameras, 3),
        },
        width,
        height,
        sh_degree,
    )


def adapted(scene: Scene, camera: str = "pinhole", response: str = "gaussian", seed: int = 0) -> Scene:
    """The scene for another camera and response: focal lengths with which objects about 4 units away are as
    large as for a pinhole camera, and random coefficients and extras within their usual ranges."""
    kind, g = reference.CAMERAS[camera], torch.Generator().manual_seed(seed)

    def within(ranges: tuple[tuple[float, float], ...], *shape: int) -> Tensor:
        low, high = torch.tensor(ranges, dtype=torch.float32).reshape(-1, 2).unbind(-1)
        return low + (high - low) * torch.rand(*shape, len(ranges), generator=g)

    num_cameras, tensors = scene.tensors["Ks"].shape[0], {}
    if kind.coefficients:
        tensors["lens"] = within(kind.coefficients, num_cameras)
    if reference.RESPONSES[response].extras:
        tensors["extras"] = within(reference.RESPONSES[response].extras, scene.tensors["means"].shape[0])
    one, no_lens = torch.ones(1).double(), torch.zeros(1, len(kind.coefficients)).double()
    unit = reference.Intrinsics(one, one, 0 * one, 0 * one, no_lens, scene.width, scene.height)
    scale = 0.25 / kind.jacobian(torch.tensor([[0.0, 0.0, 4.0]]).double(), unit)[0, 0, 0].item()
    focal_lengths = torch.tensor([[scale, 1, 1], [1, scale, 1], [1, 1, 1]])
    return scene.with_(Ks=scene.tensors["Ks"] * focal_lengths, **tensors)


def needles() -> Scene:
    """A thousand times longer than thick, in all directions."""
    scene = random_scene(60, seed=1)
    return scene.with_(scales=torch.tensor([1.0, 1e-3, 1e-3]).expand(60, 3).contiguous())


def huge() -> Scene:
    """Larger than the scene, so that each covers the image; faint, so that many layers count."""
    scene = random_scene(60, seed=2)
    return scene.with_(scales=5 + 20 * scene.tensors["scales"], opacities=0.2 * scene.tensors["opacities"])


def around_the_camera() -> Scene:
    """In front of, beside, on and behind the camera plane, most of them outside the image."""
    scene = random_scene(150, seed=3)
    means = 0.8 * scene.tensors["means"] + torch.tensor([0.0, -0.5, -4.0])
    means[0] = torch.tensor([0.0, -0.5, -4.0])  # the camera itself
    return scene.with_(means=means, scales=0.3 * scene.tensors["scales"])


def opaque() -> Scene:
    """Alpha reaches its cap, and pixels are finished early."""
    scene = random_scene(150, seed=4)
    return scene.with_(opacities=torch.ones(150), scales=scene.tensors["scales"] + 0.1)


def faint() -> Scene:
    """Around the threshold under which nothing is drawn."""
    scene = random_scene(150, seed=5)
    return scene.with_(opacities=torch.linspace(0.001, 0.02, 150), scales=scene.tensors["scales"] + 0.2)


def tiny() -> Scene:
    """Much smaller than a pixel: only the dilation makes them visible."""
    scene = random_scene(150, seed=6)
    return scene.with_(scales=0.02 * scene.tensors["scales"])


def flat() -> Scene:
    """Discs without any thickness, and points without any extent."""
    scene = random_scene(150, seed=7)
    scales = scene.tensors["scales"].clone()
    scales[:, 1] = 0
    scales[:20] = 0
    return scene.with_(scales=scales)


def twins() -> Scene:
    """Gaussians in the same place: only a stable sort draws them in the right order."""
    scene = random_scene(100, seed=8)
    means = scene.tensors["means"].clone()
    means[50:] = means[:50]
    return scene.with_(means=means)


def far_away() -> Scene:
    """World coordinates of a thousand, as in scenes with a geographic origin."""
    scene = random_scene(150, seed=9)
    offset = torch.tensor([300.0, -200.0, 100.0])
    viewmats = scene.tensors["viewmats"].double()
    viewmats[:, :3, 3] -= viewmats[:, :3, :3] @ offset.double()
    return scene.with_(means=scene.tensors["means"] + offset, viewmats=viewmats.float())


def extremes() -> Scene:
    """At the camera, on its axis, beside, behind and right behind it, where lenses end, infinitely far away,
    far outside the image; huge, thin and without extent; and some that are not finite."""
    places = [[0.0, 0.0, 0.0], [0.0, 0, 1e-20], [0.0, 0, 1], [1e-20, 0, 1], [1.0, 0, 0], [1.0, 0, 1e-9]]
    places += [
        [0.0, 0, -1],
        [1e-6, 0, -1],
        [math.sin(2.966), 0, math.cos(2.966)],
        [0.0, 1e-3, 0],
        [3.0, 2, -1],
    ]
    places += [
        [1e20, 1e20, 1e20],
        [1e30, 0, 1],
        [1e5, 1, 0.02],
        [0.0, 1e9, 1],
        [math.nan, 0, 1],
        [0, 0, math.inf],
    ]
    sizes = [[0.1, 0.1, 0.1], [1e4, 1e4, 1e4], [1e3, 1e-6, 1e-6], [0.0, 0, 0], [1e-12, 1e-12, 1e-12]]
    means = torch.tensor(places).repeat_interleave(len(sizes), 0)
    n = len(means)
    g = torch.Generator().manual_seed(0)
    scene = random_scene(n, sh_degree=1)
    return scene.with_(
        means=means,
        scales=torch.tensor(sizes).repeat(len(places), 1),
        opacities=torch.full((n,), 0.3),
        quats=torch.randn(n, 4, generator=g),
        viewmats=torch.eye(4)[None],
    )


_MAKERS = [random_scene, needles, huge, around_the_camera, opaque, faint, tiny, flat, twins, far_away]
SCENES: dict[str, Callable[[], Scene]] = {make.__name__: make for make in _MAKERS}


def covariances(quats: Tensor, scales: Tensor) -> Tensor:
    """[N, 3, 3]: rotates the axes with quaternion arithmetic, q v q*."""
    q = torch.nn.functional.normalize(quats.double(), dim=-1)
    w, r = q[:, :1], q[:, 1:]
    axes = []
    for axis in torch.eye(3).double():
        v = axis.expand_as(r)
        t = 2 * torch.linalg.cross(r, v)
        axes.append(v + w * t + torch.linalg.cross(r, t))
    root = torch.stack(axes, dim=-1) * scales.double()[:, None, :]
    return (root @ root.mT).to(scales.dtype)


@dataclass(frozen=True)
class Rendered:
    """Images, and the gradients of a random but fixed weighting of them."""

    colors: Tensor
    alphas: Tensor
    meta: Any
    gradients: dict[str, Tensor]


def render_with_gradients(
    render: Callable[..., Any],
    scene: Scene,
    keep: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Rendered:
    """Renders and differentiates a weighted sum of colours and alphas; `keep` [..., C, H, W] masks pixels."""
    leaves = scene.leaves(dtype)
    colors, alphas, meta = render(**scene.arguments(leaves) | options)
    meta["means2d"].retain_grad()
    g = torch.Generator().manual_seed(99)
    loss = torch.zeros(())
    for image in (colors, alphas):
        weights = torch.randn(image.shape, generator=g)
        loss = loss + (image * (weights if keep is None else weights * keep[..., None])).sum()
    loss.backward()
    gradients = {
        name: torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        for name, tensor in [*leaves.items(), ("means2d", meta["means2d"])]
    }
    return Rendered(colors.detach(), alphas.detach(), meta, gradients)


@dataclass(frozen=True)
class Truth:
    """What the float64 reference makes of a scene, and where float32 may decide otherwise."""

    rendered: Rendered
    ambiguous: Tensor


def truth_of(scene: Scene, max_ambiguous: float = 0.3, **options: Any) -> Truth:
    """Renders with the reference."""
    with torch.no_grad(), one_thread():
        ambiguous = reference.rasterization(**scene.arguments() | options)[2]["ambiguous"]
    assert ambiguous.double().mean() < max_ambiguous
    with one_thread():
        rendered = render_with_gradients(reference.rasterization, scene, ~ambiguous, torch.float64, **options)
    return Truth(rendered, ambiguous)


def assert_agrees(render: Callable[..., Any], scene: Scene, truth: Truth, **options: Any) -> None:
    """Compares images and gradients with the truth."""
    keep = ~truth.ambiguous
    actual = render_with_gradients(render, scene, keep, **options)
    for name in ("colors", "alphas"):
        image, expected = getattr(actual, name), getattr(truth.rendered, name)
        assert image.shape == expected.shape
        error = ((image - expected).abs() / expected.abs().clamp(min=1))[keep]
        assert error.max() < IMAGE_TOLERANCE, f"{name} differ by {error.max():.2e}"
    # In the frames of thin Gaussians, the rounding of rays is divided by their scales.
    along_rays = RESPONSES[options.get("response", "gaussian")].along_rays
    tolerance = 2 * GRADIENT_TOLERANCE if along_rays else GRADIENT_TOLERANCE
    for name, gradient in truth.rendered.gradients.items():
        assert_gradient(name, actual.gradients[name], gradient, tolerance)


def assert_parity(
    render: Callable[..., Any], scene: Scene, max_ambiguous: float = 0.3, **options: Any
) -> None:
    """Compares images and gradients with the float64 reference, except where float32 may decide otherwise."""
    assert_agrees(render, scene, truth_of(scene, max_ambiguous, **options), **options)


def assert_gradient(
    name: str, gradient: Tensor, truth: Tensor, tolerance: float = GRADIENT_TOLERANCE
) -> None:
    """Every value has a small error, relative to its size plus the typical size of the values."""
    assert gradient.shape == truth.shape
    assert gradient.isfinite().all(), f"the gradient of {name} is not finite"
    typical = truth.square().mean().sqrt()
    error = (
        ((gradient - truth).abs() / (truth.abs() + typical).clamp(min=1e-12)).max() if truth.numel() else 0
    )
    assert error < tolerance, f"gradients of {name} differ by {error:.2e} of their size"
