"""Forward-mode derivatives of `rasterization`, in all of PyTorch's ways.

They are the adjoint of the reverse mode, which is compared with the reference elsewhere.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from splats import SCENES, Scene, adapted, covariances, random_scene
from torch import Tensor
from torch.autograd import forward_ad

from gsplat_core import rasterization
from gsplat_core.render.variants import CAMERAS

OPS = torch.ops.gsplat_core
Tensors = tuple[Tensor, ...]

on_every_backend = pytest.mark.usefixtures("backend")


class Render:
    """The images of a scene as a function of its tensors, in their order."""

    def __init__(self, scene: Scene, **options: Any) -> None:
        self.scene, self.options = scene, options
        self.values: Tensors = tuple(scene.tensors.values())

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        arguments = self.scene.arguments(dict(zip(self.scene.tensors, tensors, strict=True)))
        colors, alphas, _ = rasterization(**arguments | self.options)
        return colors, alphas

    def directions(self, seed: int = 0) -> Tensors:
        g = torch.Generator().manual_seed(seed)
        return tuple(0.1 * torch.randn(v.shape, generator=g) * v.abs().mean() for v in self.values)


def inner(a: Tensors, b: Tensors) -> float:
    return sum(float((x.double() * y.double()).sum()) for x, y in zip(a, b, strict=True))


def assert_adjoint(render: Render) -> None:
    """<J p, u> = <p, J^T u> for u = J p plus noise, a sum without cancellation."""
    p = render.directions()
    images, changes = torch.func.jvp(render, render.values, p)
    g = torch.Generator().manual_seed(1)
    u = tuple(c + 0.1 * c.std() * torch.randn(c.shape, generator=g) for c in changes)
    leaves = [value.clone().requires_grad_() for value in render.values]
    rendered = render(*leaves)
    for a, b in zip(rendered, images, strict=True):
        assert torch.equal(a, b)
    gradients = torch.autograd.grad(rendered, leaves, u, materialize_grads=True)
    assert inner(changes, u) == pytest.approx(inner(p, gradients), rel=1e-5)


@on_every_backend
@pytest.mark.parametrize("name", sorted(SCENES))
def test_adjoint_of_the_reverse_mode(name: str) -> None:
    assert_adjoint(Render(SCENES[name](), render_mode="RGB+D"))


@on_every_backend
@pytest.mark.parametrize(
    "options", [{"rasterize_mode": "antialiased"}, {"render_mode": "ED"}, {"packed": True}], ids=str
)
def test_adjoint_with_options(options: dict[str, Any]) -> None:
    assert_adjoint(Render(random_scene(cameras=2), **options))


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_adjoint_of_every_camera(camera: str) -> None:
    assert_adjoint(Render(adapted(random_scene(cameras=2), camera), camera_model=camera))


@on_every_backend
@pytest.mark.parametrize("channels", [1, 2, 4, 5, 19])
def test_adjoint_for_any_number_of_channels(channels: int) -> None:
    scene = random_scene(sh_degree=None)
    colors = torch.rand(150, channels, generator=torch.Generator().manual_seed(2))
    assert_adjoint(Render(scene.with_(colors=colors, backgrounds=torch.rand(1, channels))))


@on_every_backend
def test_adjoint_with_covariances_and_split_colours() -> None:
    scene = random_scene(cameras=2)
    t = scene.tensors
    render = Render(scene.with_(covars=covariances(t["quats"], t["scales"])))

    class Split(Render):
        def __call__(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
            arguments = self.scene.arguments(dict(zip(self.scene.tensors, tensors, strict=True)))
            arguments["colors"] = (arguments["colors"][:, :1], arguments["colors"][:, 1:])
            colors, alphas, _ = rasterization(**arguments)
            return colors, alphas

    assert_adjoint(render)
    assert_adjoint(Split(scene))


@on_every_backend
def test_dual_numbers_give_the_same() -> None:
    render = Render(random_scene())
    _, expected = torch.func.jvp(render, render.values, render.directions())
    with forward_ad.dual_level():
        duals = map(forward_ad.make_dual, render.values, render.directions())
        tangents = [forward_ad.unpack_dual(image).tangent for image in render(*duals)]
    for a, b in zip(tangents, expected, strict=True):
        assert torch.equal(a, b)


@on_every_backend
def test_only_some_inputs_have_tangents() -> None:
    render = Render(random_scene())
    names = list(render.scene.tensors)
    for name in ("viewmats", "colors", "backgrounds"):
        i = names.index(name)
        directions = tuple(d if j == i else torch.zeros_like(d) for j, d in enumerate(render.directions()))
        _, expected = torch.func.jvp(render, render.values, directions)

        def of_one(value: Tensor, i: int = i) -> tuple[Tensor, Tensor]:
            return render(*render.values[:i], value, *render.values[i + 1 :])

        _, actual = torch.func.jvp(of_one, (render.values[i],), (directions[i],))
        for a, b in zip(actual, expected, strict=True):
            assert torch.equal(a, b)


def test_jacobian_column_by_column_is_that_of_the_reverse_mode() -> None:
    scene = random_scene(20, width=12, height=9)

    def image(background: Tensor, opacity: Tensor) -> Tensor:
        opacities = torch.cat([opacity, scene.tensors["opacities"][3:]])
        moved = scene.with_(opacities=opacities, backgrounds=background)
        return rasterization(**moved.arguments())[0]

    x = (scene.tensors["backgrounds"], scene.tensors["opacities"][:3])
    forward = torch.func.jacfwd(image, argnums=(0, 1))(*x)
    for f, r in zip(forward, torch.autograd.functional.jacobian(image, x), strict=True):
        assert f.shape == r.shape
        assert torch.allclose(f, r, atol=1e-6)


def test_the_same_bits_for_any_number_of_threads() -> None:
    render = Render(random_scene(5000, cameras=2, width=200, height=150))
    directions = render.directions()
    results = []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append(torch.func.jvp(render, render.values, directions)[1])
    torch.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("isa", OPS.available_isas().split()[:-1])
def test_adjoint_with_every_instruction_set(isa: str) -> None:
    best = OPS.available_isas().split()[-1]
    OPS.set_isa(isa)
    try:
        assert_adjoint(Render(random_scene()))
    finally:
        OPS.set_isa(best)


@on_every_backend
def test_nothing_in_view_changes_nothing() -> None:
    scene = random_scene(30)
    behind = scene.with_(means=scene.tensors["means"] + torch.tensor([0.0, 0.0, -50.0]))
    render = Render(behind)
    directions = [torch.zeros_like(v) if n == "backgrounds" else torch.ones_like(v)
                  for n, v in behind.tensors.items()]  # fmt: skip
    _, changes = torch.func.jvp(render, render.values, tuple(directions))
    assert not any(change.any() for change in changes)
