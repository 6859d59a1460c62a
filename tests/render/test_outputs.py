"""gsplat_core/render/outputs.py and layers.py: what one rendering has besides colours, depth and alphas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from splats import Scene, adapted, assert_gradient, covariances, one_thread, random_scene, truth_of
from torch import Tensor

from gsplat_core import rasterization, reference, set_checks
from gsplat_core.errors import NumericalError
from gsplat_core.render import drawing
from gsplat_core.render.flow import Flow
from gsplat_core.render.layers import LAYERS
from gsplat_core.render.outputs import FURTHER, Outputs
from gsplat_core.render.variants import CAMERAS

WIDTH, HEIGHT, NUM = 33, 26, 45


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def scene_of(cameras: int = 2, camera: str = "pinhole") -> Scene:
    scene = random_scene(NUM, cameras=cameras, width=WIDTH, height=HEIGHT, sh_degree=None, seed=4)
    return adapted(scene.with_(Ks=scene.tensors["Ks"] * torch.tensor([[0.5], [0.5], [1.0]])), camera)


def features_of(cameras: int = 2) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(1)
    return {"words": torch.randn(NUM, 5, generator=g), "": torch.randn(cameras, NUM, 1, generator=g)}


def images(meta: Any, names: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: meta[name] for name in names} | {f"features {k}": v for k, v in meta["features"].items()}


def differentiated(render: Any, scene: Scene, keep: Tensor, dtype: torch.dtype, **options: Any) -> Any:
    """All images of one rendering, and the gradients of a random weighting of them."""
    leaves = scene.leaves(dtype)
    features = {name: f.to(dtype).requires_grad_() for name, f in features_of().items()}
    colors, alphas, meta = render(**scene.arguments(leaves), features=features, **options)
    found = {"colors": colors, "alphas": alphas} | images(meta, tuple(LAYERS))
    g, loss = torch.Generator().manual_seed(9), torch.zeros(())
    for image in found.values():
        mask = keep.reshape(*keep.shape, *[1] * (image.dim() - keep.dim()))
        loss = loss + (mask * torch.randn(image.shape, generator=g) * image).sum()
    loss.backward()
    return found, {name: leaf.grad for name, leaf in (leaves | features).items()}


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("render_mode", ["RGB+ED", "D"])
@pytest.mark.usefixtures("backend")
def test_layers_are_those_of_the_reference(camera: str, render_mode: str) -> None:
    scene = scene_of(camera=camera)
    options = {"camera_model": camera, "render_mode": render_mode}
    keep = ~truth_of(scene, **options).ambiguous
    names = tuple(LAYERS)
    expected, v_expected = differentiated(
        reference.rasterization, scene, keep, torch.float64, further=names, **options
    )
    found, v_found = differentiated(rasterization, scene, keep, torch.float32, outputs=names, **options)
    assert found.keys() == expected.keys()
    for name, image in found.items():
        assert image.shape == expected[name].shape, name
        error = ((image - expected[name]).abs() / expected[name].abs().clamp(min=1))[keep]
        assert error.max() < 1e-4, f"{name}: {error.max():.1e}"
    for name, gradient in v_found.items():
        if gradient is not None:
            assert_gradient(name, gradient, v_expected[name])


def test_whoever_asks_for_more_gets_the_same_colours() -> None:
    """To the bit, and alphas and depths too; only the order of sums in gradients may differ."""
    scene = scene_of()
    plain = rasterization(**scene.arguments(), render_mode="RGB+ED")
    more = rasterization(
        **scene.arguments(), render_mode="RGB+ED", outputs=tuple(LAYERS), features=features_of()
    )
    assert torch.equal(plain[0], more[0])
    assert torch.equal(plain[1], more[1])
    assert plain[2].keys() - more[2].keys() == set()


def test_features_are_colours() -> None:
    scene = scene_of()
    (words, other) = features_of().values()
    meta = rasterization(**scene.arguments(), features=features_of())[2]
    for name, tensor in (("words", words), ("", other)):
        given = scene.arguments() | {"colors": tensor, "backgrounds": None}
        assert torch.equal(meta["features"][name], rasterization(**given)[0])


def test_normals_face_the_camera_and_are_no_longer_than_alpha() -> None:
    scene = scene_of()
    _, alphas, meta = rasterization(**scene.arguments(), outputs=["normals"])
    lengths = meta["normals"].norm(dim=-1)
    assert (lengths <= alphas[..., 0] + 1e-5).all()
    # A wall of discs before the camera has the normal that faces it everywhere.
    discs = scene.with_(
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(NUM, 1),
        scales=torch.tensor([[0.3, 0.3, 0.01]]).repeat(NUM, 1),
        viewmats=torch.eye(4).repeat(2, 1, 1), means=scene.tensors["means"] + torch.tensor([0, 0, 5.0]),
    )  # fmt: skip
    _, alphas, meta = rasterization(**discs.arguments(), outputs=["normals"])
    assert torch.allclose(meta["normals"], -alphas * torch.tensor([0.0, 0, 1]), atol=1e-5)


def test_gaussians_that_nobody_sees_do_not_spoil_the_gradients_of_normals() -> None:
    scene = scene_of()
    quats, means = scene.tensors["quats"].clone(), scene.tensors["means"].clone()
    quats[:3], means[3] = 0, torch.nan
    leaves = scene.with_(quats=quats, means=means).leaves()
    rasterization(**scene.arguments(leaves), outputs=["normals"])[2]["normals"].sum().backward()
    assert leaves["quats"].grad is not None
    assert leaves["quats"].grad.isfinite().all()
    assert leaves["quats"].grad[4:].any()


@pytest.mark.usefixtures("backend")
def test_normals_of_covariances_are_those_of_rotations_and_scales() -> None:
    """With the derivatives of the reference's eigenvectors."""
    scene = scene_of()
    t = dict(scene.tensors)
    plain = rasterization(**scene.arguments(), outputs=["normals"])[2]["normals"]
    covars = covariances(t.pop("quats").double(), t.pop("scales").double())
    g = torch.Generator().manual_seed(0)
    weights, found = torch.randn(2, HEIGHT, WIDTH, 3, generator=g), []
    for render, dtype, asked in (
        (rasterization, torch.float32, {"outputs": ["normals"]}),
        (reference.rasterization, torch.float64, {"further": ["normals"]}),
    ):
        given = Scene(t | {"covars": covars.float()}, WIDTH, HEIGHT)
        leaves = given.leaves(dtype)
        normals = render(**given.arguments(leaves), **asked)[2]["normals"]
        # The image of the reference's weights would need pixels left out; eigenvectors do not.
        (weights * normals).sum().backward()
        found.append((normals.detach(), leaves["covars"].grad))
    assert torch.allclose(found[0][0], plain, atol=1e-3)
    assert found[0][1] is not None
    assert found[1][1] is not None
    error = (found[0][1] - found[1][1]).abs() / (found[1][1].abs() + found[1][1].square().mean().sqrt())
    assert error.flatten().quantile(0.95) < 1e-2


def test_round_gaussians_have_some_normal_and_finite_gradients() -> None:
    scene = scene_of()
    t = dict(scene.tensors)
    del t["quats"], t["scales"]
    leaves = Scene(t | {"covars": 0.01 * torch.eye(3).repeat(NUM, 1, 1)}, WIDTH, HEIGHT).leaves()
    given = Scene(t, WIDTH, HEIGHT).arguments(leaves)
    meta = rasterization(**given, outputs=["normals"])[2]
    assert meta["normals"].norm(dim=-1).max() > 0.5
    meta["normals"].square().sum().backward()
    assert leaves["covars"].grad is not None
    assert leaves["covars"].grad.isfinite().all()


def test_many_channels_are_blended_in_several_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> tuple[Tensor, Tensor, Any]:
        leaves = scene_of().leaves()
        g = torch.Generator().manual_seed(2)
        wide = torch.randn(NUM, 21, generator=g).requires_grad_()
        colors, alphas, meta = rasterization(**scene_of().arguments(leaves), features={"wide": wide})
        (colors.sum() + alphas.sum() + meta["features"]["wide"].square().sum()).backward()
        return colors, meta["features"]["wide"], [wide.grad, leaves["means"].grad, leaves["backgrounds"].grad]

    *once, v_once = run()
    monkeypatch.setattr(drawing, "MOST_CHANNELS", 7)
    *often, v_often = run()
    assert all(map(torch.equal, once, often))
    for a, b in zip(v_once, v_often, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)


def test_only_layers() -> None:
    scene = scene_of()
    both = rasterization(**scene.arguments(), outputs=["normals"])[2]["normals"]
    rendered = drawing.draw(
        _inputs(scene),
        None,
        WIDTH,
        HEIGHT,
        drawing.RenderSettings(),
        Outputs(colors=False, further=("normals",)),
    )
    assert rendered.channels.shape == (2, HEIGHT, WIDTH, 0)
    assert torch.equal(rendered.meta["normals"], both)


def _inputs(scene: Scene) -> Any:
    from gsplat_core.render.inputs import prepare

    t = scene.tensors
    return prepare(
        t["means"], t["quats"], t["scales"], None, t["opacities"], None, None, t["viewmats"], t["Ks"], None
    )


def test_what_makes_no_sense_is_refused_by_name() -> None:
    given = scene_of().arguments()
    with pytest.raises(ValueError, match=r"'outputs' must be one of 'normals', .*, got 'abnormals'"):
        rasterization(**given, outputs=["abnormals"])
    with pytest.raises(
        ValueError, match=r"argument 'features\['a'\]' must have shape \[..., N, F\] = \[45, 2\]"
    ):
        rasterization(**given, features={"a": torch.zeros(44, 2)})
    with pytest.raises(ValueError, match=r"argument \"features\['a'\]\" must have at least one channel"):
        rasterization(**given, features={"a": torch.zeros(45, 0)})
    with pytest.raises(ValueError, match="without colours, depth and anything else"):
        drawing.draw(_inputs(scene_of()), None, 9, 9, drawing.RenderSettings(), Outputs(colors=False))


def test_outputs_add_up() -> None:
    assert Outputs(further=("normals",)) | Outputs(further=("normals", "inverse_depth")) == Outputs(
        further=("normals", "inverse_depth")
    )
    assert set(LAYERS) <= set(FURTHER)


def test_batch_dimensions_lead_all_shapes() -> None:
    scene = scene_of()
    plain = rasterization(**scene.arguments(), outputs=FURTHER, features=features_of())[2]
    batched = {name: value.expand(2, 3, *value.shape) for name, value in scene.arguments().items()
               if isinstance(value, Tensor)}  # fmt: skip
    features = {name: value.expand(2, 3, *value.shape) for name, value in features_of().items()}
    given = scene.arguments() | batched
    meta = rasterization(**given, outputs=FURTHER, features=features)[2]
    for name, image in images(plain, FURTHER).items():
        assert torch.equal(images(meta, FURTHER)[name], image.expand(2, 3, *image.shape)), name


def test_forward_mode_is_the_adjoint_of_reverse_mode() -> None:
    scene = scene_of()
    names = tuple(scene.tensors)

    def images_of(*tensors: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, tensors, strict=True))
        flow = Flow(means=1.1 * given["means"], detached=False)
        outputs = ("normals", "inverse_depth", "median_depth")
        features = {"own": given["means"].square()}
        meta = rasterization(**scene.arguments(given), outputs=outputs, features=features, flow=flow)[2]
        return (*(meta[name] for name in outputs), meta["flow"], meta["features"]["own"])

    values, g = tuple(scene.tensors.values()), torch.Generator().manual_seed(0)
    directions = tuple(0.1 * torch.randn(v.shape, generator=g) * v.abs().mean() for v in values)
    found, changes = torch.func.jvp(images_of, values, directions)
    for image, change in zip(found, changes, strict=True):
        assert change.abs().max() > 1e-3
        weights = change + 0.1 * torch.randn(change.shape, generator=g) * change.abs().mean()
        leaves = [v.clone().requires_grad_() for v in values]
        here = images_of(*leaves)[[image is f for f in found].index(True)]
        gradients = torch.autograd.grad(here, leaves, weights, allow_unused=True)
        back = sum(
            (p * v).double().sum() for p, v in zip(directions, gradients, strict=True) if v is not None
        )
        assert back == pytest.approx((change * weights).double().sum().item(), rel=1e-3)


def test_checks_name_what_is_not_finite() -> None:
    given, broken = scene_of().arguments(), torch.zeros(NUM, 3)
    broken[4, 1] = torch.nan
    set_checks(True)
    try:
        with pytest.raises(NumericalError, match=r"1 of 135 values of 'features\['a'\]'"):
            rasterization(**given, features={"a": broken})
        with pytest.raises(NumericalError, match=r"1 of 135 values of 'flow\.means'"):
            rasterization(**given, flow=Flow(means=broken))
    finally:
        set_checks(False)
