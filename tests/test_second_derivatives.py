"""Second derivatives are right or an error, in all of PyTorch's ways to ask for them; never silently zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from anchor_decoders import anchors, decoder
from splats import covariances, random_scene
from torch import Tensor
from torch.autograd import forward_ad

from gsplat_core import rasterization, rasterization_2dgs
from gsplat_core.activations import activate
from gsplat_core.losses import l1_dssim
from gsplat_core.ops.anchors import decode_anchors
from gsplat_core.ops.directional import directional_slices
from gsplat_core.optim import Adam
from gsplat_core.radiative import project, voxelize
from gsplat_core.raygauss import raycast

Function = Callable[[Tensor], Tensor]  # a tensor to a number
on_every_backend = pytest.mark.usefixtures("backend")


def rendered(name: str, **options: Any) -> tuple[Function, Tensor]:
    """The square of an image as a function of one of its arguments."""
    scene = random_scene(12, width=20, height=16, sh_degree=options.pop("sh_degree", None))
    if options.pop("covars", False):
        t = scene.tensors
        scene = scene.with_(covars=covariances(t["quats"], t["scales"]))

    def energy(value: Tensor) -> Tensor:
        colors, alphas, _ = rasterization(**scene.arguments({**scene.tensors, name: value}) | options)
        return colors.square().sum() + alphas.square().sum()

    return energy, scene.tensors[name].clone()


def activated() -> tuple[Function, Tensor]:
    def energy(value: Tensor) -> Tensor:
        scales, opacities = activate(value, value[:, 0])
        return scales.square().sum() + (opacities**3).sum()

    return energy, torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def sliced() -> tuple[Function, Tensor]:
    g = torch.Generator().manual_seed(0)
    opacities, quats, slopes = torch.rand(4, generator=g), torch.randn(4, 4, generator=g), torch.ones(4, 3, 3)
    centre = torch.tensor([0.0, 1.0, -4.0])

    def energy(value: Tensor) -> Tensor:
        means, shown = directional_slices(value, opacities, value, quats, value, slopes, centre, 0.35)
        return means.square().sum() + shown.square().sum()

    return energy, 0.5 * torch.randn(4, 3, generator=g)


def decoded() -> tuple[Function, Tensor]:
    given, networks = anchors(4), decoder()

    def energy(value: Tensor) -> Tensor:
        splats = decode_anchors(**given | {"scales": value}, decoder=networks)
        return splats.scales.square().sum() + splats.means.square().sum()

    return energy, given["scales"]


def loss_of_an_image() -> tuple[Function, Tensor]:
    g = torch.Generator().manual_seed(0)
    target = torch.rand(12, 12, 3, generator=g)
    return lambda image: l1_dssim(image, target).square(), torch.rand(12, 12, 3, generator=g)


def surfels() -> tuple[Function, Tensor]:
    scene = random_scene(8, width=20, height=16)

    def energy(value: Tensor) -> Tensor:
        colors, alphas, *_ = rasterization_2dgs(**scene.arguments({**scene.tensors, "opacities": value}))
        return colors.square().sum() + alphas.square().sum()

    return energy, scene.tensors["opacities"].clone()


def seen_from_afar() -> dict[str, Tensor]:
    """A few Gaussians around the origin, three away from the camera."""
    g = torch.Generator().manual_seed(0)
    viewmat = torch.eye(4)
    viewmat[2, 3] = 3.0
    return {
        "means": 0.3 * torch.randn(5, 3, generator=g),
        "quats": torch.randn(5, 4, generator=g),
        "scales": 0.2 + 0.2 * torch.rand(5, 3, generator=g),
        "densities": 1.0 + torch.rand(5, generator=g),
        "viewmats": viewmat[None],
        "Ks": torch.tensor([[[16.0, 0.0, 6.0], [0.0, 16.0, 5.0], [0.0, 0.0, 1.0]]]),
    }


def line_integrals() -> tuple[Function, Tensor]:
    field = seen_from_afar()

    def energy(value: Tensor) -> Tensor:
        return project(**{**field, "densities": value}, width=12, height=10).square().sum()

    return energy, field["densities"]


def voxels() -> tuple[Function, Tensor]:
    means, quats, scales, densities, *_ = seen_from_afar().values()
    grid = {"origin": (-1.0, -1.0, -1.0), "spacing": 0.2, "shape": (10, 10, 10)}
    return lambda value: voxelize(means, quats, scales, value, **grid).square().sum(), densities


def rays() -> tuple[Function, Tensor]:
    field = seen_from_afar()
    colors = torch.rand(5, 3, generator=torch.Generator().manual_seed(3))

    def energy(value: Tensor) -> Tensor:
        lit = {**field, "colors": value}
        images, _, _ = raycast(**lit, width=12, height=10, step=0.1, near=1.0, far=5.0)
        return images.square().sum()

    return energy, colors


FUNCTIONS: dict[str, Callable[[], tuple[Function, Tensor]]] = {
    **{
        name: lambda name=name: rendered(name)
        for name in ("means", "quats", "scales", "opacities", "colors", "viewmats", "Ks", "backgrounds")
    },
    "covars": lambda: rendered("covars", covars=True),
    "sh": lambda: rendered("colors", sh_degree=2),
    "means through sh": lambda: rendered("means", sh_degree=2),
    "depth": lambda: rendered("means", render_mode="ED"),
    "antialiased": lambda: rendered("scales", rasterize_mode="antialiased"),
    "packed": lambda: rendered("means", packed=True),
    "activations": activated,
    "slices": sliced,
    "anchors": decoded,
    "surfels": surfels,
    "line integrals": line_integrals,
    "voxels": voxels,
    "rays": rays,
    "loss": loss_of_an_image,
}


REVERSE_MODE_ONLY = ("line integrals", "voxels", "rays")
"""Functions without derivatives in forward mode; PyTorch refuses to take others by torch.func."""


def gradient(f: Function, x: Tensor) -> Tensor:
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(f(x), x)[0]


def double_backward(f: Function, x: Tensor, v: Tensor) -> Tensor | None:
    x = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(f(x), x, create_graph=True)
    return torch.autograd.grad((g * v).sum(), x, allow_unused=True)[0]


def penalty(f: Function, x: Tensor, v: Tensor) -> Tensor | None:
    """As a gradient penalty is trained."""
    x = x.clone().requires_grad_()
    f(x).backward(create_graph=True)
    assert x.grad is not None
    g, x.grad = x.grad, None
    (g * v).sum().backward()
    return x.grad


def forward_over_reverse(f: Function, x: Tensor, v: Tensor) -> Tensor | None:
    x = x.clone().requires_grad_()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, v)
        return forward_ad.unpack_dual(torch.autograd.grad(f(dual), dual)[0]).tangent


def reverse_over_forward(f: Function, x: Tensor, v: Tensor) -> Tensor | None:
    x = x.clone().requires_grad_()
    with forward_ad.dual_level():
        change = forward_ad.unpack_dual(f(forward_ad.make_dual(x, v))).tangent
        assert change is not None
        return torch.autograd.grad(change, x, allow_unused=True)[0]


def func_hessian(f: Function, x: Tensor, v: Tensor) -> Tensor:
    return (torch.func.hessian(f)(x).flatten(x.dim()) @ v.flatten()).reshape(x.shape)


def func_reverse_twice(f: Function, x: Tensor, v: Tensor) -> Tensor:
    return torch.func.vjp(torch.func.grad(f), x)[1](v)[0]


def func_forward_over_reverse(f: Function, x: Tensor, v: Tensor) -> Tensor:
    return torch.func.jvp(torch.func.grad(f), (x,), (v,))[1]


def func_reverse_over_forward(f: Function, x: Tensor, v: Tensor) -> Tensor:
    return torch.func.grad(lambda y: torch.func.jvp(f, (y,), (v,))[1])(x)


def func_forward_twice(f: Function, x: Tensor, v: Tensor) -> Tensor:
    """v^T H v times v / v^T v, so that the same test applies along v."""
    change = torch.func.jvp(lambda y: torch.func.jvp(f, (y,), (v,))[1], (x,), (v,))[1]
    return change * v / (v * v).sum()


WAYS = [
    double_backward,
    penalty,
    lambda f, x, v: torch.autograd.functional.hvp(f, x, v)[1],
    forward_over_reverse,
    reverse_over_forward,
    func_hessian,
    func_reverse_twice,
    func_forward_over_reverse,
    func_reverse_over_forward,
    func_forward_twice,
]


@on_every_backend
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore:Using backward")
def test_products_with_a_hessian_are_right_or_refused(name: str) -> None:
    f, x = FUNCTIONS[name]()
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    if name == "viewmats":
        v[..., 3, :] = 0
    if name == "Ks":  # others would make it another kind of camera
        v *= torch.tensor([[1.0, 0, 1], [0, 1, 1], [0, 0, 0]])
    step = 3e-3 / float(v.abs().max())
    true = (gradient(f, x + step * v) - gradient(f, x - step * v)) / (2 * step)
    for way in WAYS:
        if way is func_hessian and x.numel() > 100:
            continue
        try:
            product = way(f, x, v)
        except (NotImplementedError, RuntimeError) as error:
            if name in REVERSE_MODE_ONLY and ("forward-mode" in str(error) or "functorch" in str(error)):
                continue
            assert "no second derivatives" in str(error)  # noqa: PT017  (or it is right)
            assert name not in ("activations",)
            continue
        assert product is not None, "this would count as zero"
        scale = float(true.abs().max())
        if way is func_forward_twice:
            assert float((product * v).sum()) == pytest.approx(float((true * v).sum()), rel=0.05)
        else:
            assert torch.allclose(product, true, rtol=0.05, atol=0.05 * scale), way


@on_every_backend
@pytest.mark.parametrize("derive", [torch.func.grad, torch.func.jacrev, torch.func.jacfwd])
@pytest.mark.parametrize("name", ["opacities", "backgrounds", "sh", "activations", "slices", "loss"])
def test_first_derivatives_by_torch_func(name: str, derive: Any) -> None:
    f, x = FUNCTIONS[name]()
    expected = gradient(f, x)
    assert torch.allclose(derive(f)(x), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_an_outer_transform_gets_its_derivative_where_the_inner_one_needs_none() -> None:
    """d/dy of (d/dz f(y) z) v = f'(y): the operators see no tangent of the inner transform."""
    f, x = FUNCTIONS["opacities"]()
    v = torch.ones_like(x)

    def inner(y: Tensor) -> Tensor:
        one = torch.ones(())
        return torch.func.jvp(lambda z: f(y) * z, (one,), (one,))[1]

    change = torch.func.jvp(inner, (x,), (v,))[1]
    assert float(change) == pytest.approx(float(gradient(f, x).sum()), rel=1e-4)


def test_the_loss_has_a_forward_mode() -> None:
    f, x = FUNCTIONS["loss"]()
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    expected = float((gradient(f, x) * v).sum())
    assert float(torch.func.jvp(f, (x,), (v,))[1]) == pytest.approx(expected, rel=1e-4)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(f(forward_ad.make_dual(x, v))).tangent
        assert float(tangent) == pytest.approx(expected, rel=1e-4)


def test_a_gradient_that_is_not_differentiated_may_keep_its_graph() -> None:
    f, x = FUNCTIONS["means"]()
    x.requires_grad_()
    (g,) = torch.autograd.grad(f(x), x, create_graph=True)
    assert torch.equal(g.detach(), gradient(f, x))
    # What does not depend on the gradient is still differentiated.
    (again,) = torch.autograd.grad(f(x) + 0 * g.detach().sum(), x)
    assert torch.equal(again, g.detach())


def test_derivatives_by_the_gradient_of_the_loss() -> None:
    """A gradient of one, with which backward begins, is no constant where it is a variable."""
    target = torch.zeros(12, 12, 3)
    image = torch.rand(12, 12, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    one = torch.ones((), requires_grad=True)
    (g,) = torch.autograd.grad(l1_dssim(image, target), image, one, create_graph=True)
    (slope,) = torch.autograd.grad(g.sum(), one)
    assert torch.allclose(slope, g.sum())


def test_coefficients_trained_during_backward() -> None:
    scene = random_scene(8, width=20, height=16, sh_degree=1)
    sh0, shN = (part.clone().requires_grad_() for part in scene.tensors["colors"].split([1, 3], dim=1))
    means = scene.tensors["means"].clone().requires_grad_()
    arguments = {**scene.arguments(), "colors": (sh0, shN), "means": means}
    image = rasterization(**arguments, sh_optimizer=Adam([sh0, shN], lr=1e-3))[0]
    (g,) = torch.autograd.grad(image.square().sum(), means, create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivatives"):
        torch.autograd.grad(g.sum(), means)


@pytest.mark.parametrize("option", ["absgrad", "statistics"])
def test_what_the_meta_gets_on_backward_is_no_function_of_the_scene_either(option: str) -> None:
    scene = random_scene(8, width=20, height=16)
    means = scene.tensors["means"].clone().requires_grad_()
    image, _, meta = rasterization(**scene.arguments({**scene.tensors, "means": means}), **{option: True})
    extra = meta["probe"].sum() if option == "statistics" else 0.0
    (image.square().sum() + extra).backward(create_graph=True)
    found = meta["means2d"].absgrad if option == "absgrad" else meta["statistics"].grad
    with pytest.raises(NotImplementedError, match="no second derivatives"):
        torch.autograd.grad(found.sum(), means)


def test_operators_called_by_their_names() -> None:
    log_scales = torch.zeros(3, 3, requires_grad=True)
    scales, _ = torch.ops.gsplat_core.activate(log_scales, torch.zeros(3))
    (g,) = torch.autograd.grad(scales.square().sum(), log_scales, create_graph=True)
    assert torch.allclose(torch.autograd.grad(g.sum(), log_scales)[0], 4 * scales.detach() ** 2)
    image = torch.rand(1, 12, 12, 3).requires_grad_()
    loss = torch.ops.gsplat_core.l1_ssim(image, torch.zeros(1, 12, 12, 3), 0.2, False, True)[0]
    (g,) = torch.autograd.grad(loss, image, create_graph=True)
    with pytest.raises(NotImplementedError, match="l1_ssim"):
        torch.autograd.grad(g.sum(), image)


def test_every_differentiable_operator_is_tested_here() -> None:
    names = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("gsplat_core::")]
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    found = {name.split("::")[1] for name in names if has(name, "Autograd")}
    assert found == {
        "activate", "cast_rays", "composite", "decode_anchors", "directional_slices", "l1_ssim", "project",
        "project_integrals", "project_surfels", "spherical_harmonics", "sum_splats", "voxelize",
    }  # fmt: skip
