"""gsplat_core/render/inputs.py and arguments.py: what does not fit is named, with what was expected."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from splats import adapted, random_scene

from gsplat_core import rasterization
from gsplat_core.compat import gsplat
from gsplat_core.render.variants import CAMERAS

SCENE = random_scene(10, cameras=2, width=20, height=10)
FEATURES = random_scene(10, cameras=2, width=20, height=10, sh_degree=None)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("means", (10, 4), "[..., N, 3] = [10, 3]"),
        ("quats", (9, 4), "[..., N, 4] = [10, 4]"),
        ("scales", (10, 4), "[..., N, 3] = [10, 3]"),
        ("opacities", (10, 1), "[..., N] = [10]"),
        ("colors", (10, 16, 4), "[..., N, K, 3] = [10, 16, 3]"),
        ("colors", (5, 16, 3), "[..., N, K, 3] = [10, 16, 3]"),
        ("colors", (3, 10, 16, 3), "[..., C, N, K, 3] = [2, 10, 16, 3]"),
        ("viewmats", (2, 3, 4), "[..., C, 4, 4] = [2, 4, 4]"),
        ("Ks", (1, 3, 3), "[..., C, 3, 3] = [2, 3, 3]"),
        ("backgrounds", (3,), "[..., C, D] = [2, 3]"),
        ("backgrounds", (2, 4), "[..., C, D] = [2, 3]"),
        ("covars", (10, 5), "[..., N, 6] = [10, 6]"),
        ("covars", (10, 3, 2), "[..., N, 3, 3] = [10, 3, 3]"),
    ],
)
def test_wrong_shapes(name: str, shape: tuple[int, ...], expected: str) -> None:
    message = f"argument '{name}' must have shape {expected}, got {list(shape)}"
    with pytest.raises(ValueError, match=re.escape(message)):
        rasterization(**SCENE.with_(**{name: torch.zeros(shape)}).arguments())


def test_wrong_shapes_below_batch_dimensions() -> None:
    batched = {name: value.expand(4, *value.shape) for name, value in SCENE.tensors.items()}
    batched["quats"] = batched["quats"][:3]
    message = "'quats' must have shape [..., N, 4] = [4, 10, 4], got [3, 10, 4]"
    with pytest.raises(ValueError, match=re.escape(message)):
        rasterization(**batched, width=20, height=10, sh_degree=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"means": torch.zeros(3)}, "'means' must have at least 2 dimensions, got [3]"),
        ({"means": None}, "'means' must have at least 2 dimensions, got NoneType"),
        ({"quats": None}, "'quats' must be a tensor, got NoneType"),
        ({"scales": torch.zeros(10, 3).double()}, "'scales' must be float32, got torch.float64"),
        ({"opacities": torch.zeros(10, device="meta")}, "'opacities' is on meta, but 'means' is on cpu"),
        ({"colors": None}, "'colors' must be given for render_mode 'RGB', got None"),
        ({"colors": (torch.zeros(10, 1, 3),)}, "'colors' must be a tensor or a pair (sh0, shN), got 1 parts"),
        (
            {"colors": (torch.zeros(10, 2, 3), torch.zeros(10, 15, 3))},
            "'colors[0]' must have shape [..., N, 1, 3] = [10, 1, 3], got [10, 2, 3]",
        ),
        (
            {"colors": (torch.zeros(10, 1, 3), torch.zeros(2, 10, 15, 3))},
            "'colors[1]' must have as many dimensions as 'colors[0]', [10, 1, 3], got [2, 10, 15, 3]",
        ),
        ({"sh_degree": 4}, "'sh_degree' = 4 needs 25 coefficients per channel, but 'colors' has 16"),
        ({"sh_degree": 5}, "'sh_degree' must be between 0 and 4, got 5"),
        ({"sh_degree": -1}, "'sh_degree' must be between 0 and 4, got -1"),
        (
            {"sh_degree": None, "colors": (torch.zeros(10, 1, 3), torch.zeros(10, 3, 3))},
            "'colors' must be one tensor",
        ),
        ({"sh_degree": None, "colors": torch.zeros(10, 0)}, "'colors' must have at least one channel"),
        ({"width": 0}, "'width' must be positive, got 0"),
        ({"height": -2}, "'height' must be positive, got -2"),
        ({"tile_size": 0}, "'tile_size' must be 8, 16 or 32, got 0"),
        ({"channel_chunk": 0}, "'channel_chunk' must be positive, got 0"),
        ({"render_mode": "depth"}, "'render_mode' must be one of 'RGB', 'D', 'ED', 'RGB+D', "),
        ({"rasterize_mode": "mip"}, "'rasterize_mode' must be one of 'classic', 'antialiased', got 'mip'"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_wrong_values(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"argument {message}")):
        rasterization(**SCENE.arguments() | changes)


@pytest.mark.parametrize("camera", CAMERAS)
def test_coefficients_of_the_lens_belong_to_the_camera_model(camera: str) -> None:
    scene, more = adapted(SCENE, camera), CAMERAS[camera] + 1
    for wrong in (torch.zeros(2, more), torch.zeros(more)):
        with pytest.raises(ValueError, match=f"'lens' must have {more - 1} .* model '{camera}', got {more}"):
            rasterization(**scene.with_(lens=wrong).arguments(), camera_model=camera)
    wrong = torch.zeros(3, more - 1)
    with pytest.raises(ValueError, match=r"argument 'lens' must have shape \[\.\.\., C, P\]"):
        rasterization(**scene.with_(lens=wrong).arguments(), camera_model=camera)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("distributed", True),
        ("camera_model", "lidar"),
    ],
)
def test_what_is_not_supported_says_so(name: str, value: Any) -> None:
    with pytest.raises(NotImplementedError, match=f"argument '{name}' = "):
        rasterization(**SCENE.arguments(), **{name: value})


def test_a_long_image_row_of_features_is_no_misunderstanding() -> None:
    colors, *_ = rasterization(
        **FEATURES.with_(backgrounds=torch.zeros(2, 40), colors=torch.ones(10, 40)).arguments()
    )
    assert colors.shape == (2, 10, 20, 40)


def with_number(name: str, camera: int, row: int, column: int, value: float) -> dict[str, Any]:
    """The arguments with one number of a camera's matrix replaced."""
    changed = SCENE.tensors[name].clone()
    changed[camera, row, column] = value
    return SCENE.with_(**{name: changed}).arguments()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "row", "column", "value", "message"),
    [
        ("Ks", 0, 1, 30.0, "must have no skew"),
        ("Ks", 0, 1, -0.01, "must have no skew"),
        ("Ks", 1, 0, 2.0, "must have no skew"),
        ("Ks", 2, 0, 0.1, "must have the last row (0, 0, 1)"),
        ("Ks", 2, 1, -0.1, "must have the last row (0, 0, 1)"),
        ("Ks", 2, 2, 2.0, "must have the last row (0, 0, 1)"),
        ("Ks", 2, 2, 0.0, "must have the last row (0, 0, 1)"),
        ("Ks", 0, 0, 0.0, "must have positive focal lengths"),
        ("Ks", 1, 1, -60.0, "must have positive focal lengths"),
        ("Ks", 0, 0, NAN, "must be finite"),
        ("Ks", 1, 2, INF, "must be finite"),
        ("Ks", 2, 0, NAN, "must be finite"),
        ("viewmats", 3, 0, 0.5, "must have the last row (0, 0, 0, 1)"),
        ("viewmats", 3, 3, 2.0, "must have the last row (0, 0, 0, 1)"),
        ("viewmats", 0, 3, NAN, "must be finite"),
        ("viewmats", 3, 1, INF, "must be finite"),
    ],
)
def test_cameras_that_are_no_pinhole_cameras(
    name: str, row: int, column: int, value: float, message: str
) -> None:
    """None of these numbers may be dropped silently."""
    arguments = with_number(name, 1, row, column, value)
    with pytest.raises(ValueError, match=re.escape(f"argument '{name}' {message}")) as caught:
        rasterization(**arguments)
    assert "(camera [1])" in str(caught.value)
    projection = {key: arguments[key] for key in ("means", "quats", "scales", "viewmats", "Ks")}
    with pytest.raises(ValueError, match=f"argument '{name}'"):
        gsplat.fully_fused_projection(**projection, covars=None, width=20, height=10)
    with pytest.raises(ValueError, match=f"argument '{name}'"):
        gsplat.rasterization(**arguments)


@pytest.mark.parametrize("change", [torch.diag(torch.tensor([2.0, 2, 2, 1])), torch.tensor(
    [[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])], ids=["scaled", "sheared"])  # fmt: skip
def test_view_directions_need_rigid_cameras(change: torch.Tensor) -> None:
    """The position of other cameras is not -R^T t; features do not depend on it."""
    with pytest.raises(ValueError, match="argument 'viewmats' must rotate without scaling"):
        rasterization(**SCENE.with_(viewmats=change @ SCENE.tensors["viewmats"]).arguments())
    rasterization(**FEATURES.with_(viewmats=change @ FEATURES.tensors["viewmats"]).arguments())


def test_matrices_of_cameras_may_be_rounded() -> None:
    expected = rasterization(**SCENE.arguments())[0]
    for name, row, column, value in (("Ks", 0, 1, 3e-6), ("Ks", 2, 2, 1 + 5e-7), ("viewmats", 3, 2, 1e-7)):
        assert torch.equal(rasterization(**with_number(name, 0, row, column, value))[0], expected)


def test_cameras_with_batch_dimensions() -> None:
    batched = {name: value.expand(3, *value.shape).clone() for name, value in SCENE.tensors.items()}
    batched["Ks"][2, 1, 0, 1] = 5.0
    with pytest.raises(ValueError, match=re.escape("(camera [2, 1])")):
        rasterization(**batched, width=20, height=10, sh_degree=3)


def test_cameras_in_all_kinds_of_tensors() -> None:
    """Strided, trained, of inference mode, with tangents: their values are looked at, too."""
    K = with_number("Ks", 0, 0, 1, 9.0)["Ks"]
    with torch.inference_mode():
        inferred = K.clone()
    strided = torch.stack([K, K], dim=-1)[..., 1]
    kinds = [K.clone().requires_grad_(), torch.nn.Parameter(K), inferred, strided, 1.0 * K.requires_grad_()]
    for kind in kinds:
        with pytest.raises(ValueError, match="must have no skew"):
            rasterization(**SCENE.arguments() | {"Ks": kind})
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(K.detach(), torch.ones_like(K))
        with pytest.raises(ValueError, match="must have no skew"):
            rasterization(**SCENE.arguments() | {"Ks": dual})
