"""gsplat_core/render/settings.py: one set of names and numbers in Python, C++ and the operators' schemas."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from splats import random_scene

from gsplat_core.ops.arguments import SETTINGS, argument_names
from gsplat_core.render.settings import FIELDS, FLAGS, TILE_SIZES, RenderSettings
from gsplat_core.render.stages import bin_splats, project

ops = torch.ops.gsplat_core
SCENE = {name: value[None] for name, value in random_scene(20, width=40, height=30).tensors.items()}
SHAPES = (SCENE["means"], SCENE["quats"], SCENE["scales"], None, SCENE["opacities"])
CAMERA = (SCENE["viewmats"], SCENE["Ks"], 40, 30)
CAMERA_OF_THE_OPERATOR = (*CAMERA[:2], None, "pinhole", *CAMERA[2:])

# Operators of the stages that know the settings.
DRAWING = (
    "project", "project_backward", "project_jvp", "bin_splats", "bin_splats_bounded", "composite",
    "composite_backward", "composite_jvp", "contributions", "composite_moments", "gauss_newton_blocks",
    "project_surfels", "project_surfels_backward", "project_surfels_jvp",
)  # fmt: skip


def test_names_are_the_same_in_both_languages() -> None:
    names = tuple(field.name for field in fields(RenderSettings))
    assert names == (*FIELDS, "ray_step")  # which is none of the rasterizer's
    assert FIELDS == SETTINGS


def test_numbers_are_in_the_order_of_the_fields() -> None:
    values = {
        "eps2d": 0.5,
        "near_plane": 0.25,
        "far_plane": 75.0,
        "radius_clip": 1.5,
        "antialiased": True,
        "max_alpha": 0.875,
        "tile_size": 32,
        "margin": 0.75,
        "unscented": True,
        "ut_alpha": 1.25,
        "ut_beta": 3.5,
        "ut_kappa": -0.5,
        "in_image_margin_factor": 0.375,
        "require_all_sigma_points_valid": True,
        "bounds_only": True,
        "order": 1.0,
    }
    numbers = RenderSettings(**values | {"order": "pixel"}).numbers()
    assert dict(zip(FIELDS, numbers, strict=True)) == values
    assert all(type(number) is float for number in numbers)


@pytest.mark.parametrize("operator", DRAWING)
def test_every_operator_takes_them_after_the_size_of_the_image(operator: str) -> None:
    names = argument_names(operator)
    assert names[names.index("width") :][:3] == ["width", "height", "settings"]


def test_no_operator_takes_one_of_them_by_itself() -> None:
    fields = set(FIELDS) - {"order"}  # the lists of tiles come with an order, too: that of their splats
    for name in torch._C._dispatch_get_all_op_names():
        if name.startswith("gsplat_core::"):
            assert not set(argument_names(name.removeprefix("gsplat_core::"))) & fields, name


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"eps2d": -0.1}, "'eps2d' must not be negative, got -0.1"),
    ({"margin": -0.1}, "'margin' must not be negative, got -0.1"),
    ({"max_alpha": 0.0}, "'max_alpha' must lie between 0 and 1, got 0"),
    ({"max_alpha": 1.0}, "'max_alpha' must lie between 0 and 1, got 1"),
    ({"tile_size": 12}, "'tile_size' must be 8, 16 or 32, got 12"),
    *(
        ({name: math.nan}, f"'{name}' must be a number, got ")
        for name in FIELDS
        if name not in (*FLAGS, "order")
    ),
    ({"ut_alpha": 0.0}, "'ut_alpha' must be positive, got 0"),
    ({"ut_alpha": 1.5}, "'ut_beta' must be at least the square of 'ut_alpha', 2.25, got 2"),
    ({"ut_kappa": -3.0}, "'ut_kappa' must be larger than -3, got -3"),
    ({"in_image_margin_factor": -1.0}, "'in_image_margin_factor' must not be negative, got -1"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=str)
def test_wrong_values_are_named_by_python_and_by_the_operators(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RenderSettings(**changes)
    values = RenderSettings().numbers()
    numbers = [changes.get(name, value) for name, value in zip(FIELDS, values, strict=True)]
    with pytest.raises(RuntimeError, match=message):
        ops.project(*SHAPES, *CAMERA_OF_THE_OPERATOR, numbers)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({name: 1}, f"'{name}' must be true or false, got 1") for name in FLAGS),
        ({"near_plane": "near"}, "'near_plane' must be a number, got 'near'"),
        ({"tile_size": None}, "'tile_size' must be a number, got None"),
    ],
    ids=str,
)
def test_values_of_other_kinds_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RenderSettings(**changes)


def test_an_operator_tells_which_numbers_it_wants() -> None:
    with pytest.raises(RuntimeError, match=r"'settings' must have 16 numbers \(eps2d .* order\), got 3"):
        ops.project(*SHAPES, *CAMERA_OF_THE_OPERATOR, [0.3, 0.01, 1e10])
    for name in FLAGS:
        fractional = list(RenderSettings().numbers())
        fractional[FIELDS.index(name)] = 0.5
        with pytest.raises(RuntimeError, match=rf"'{name}' must be true or false, got 0\.5"):
            ops.project(*SHAPES, *CAMERA_OF_THE_OPERATOR, fractional)


def test_each_setting_reaches_the_kernels() -> None:
    """Every field has its own effect on what the stages make; none stands in another one's place."""
    usual = RenderSettings()
    splats = project(*SHAPES, *CAMERA, usual)
    seen = splats.radii[0, 0].amax(-1) > 0
    depths, radii = splats.depths[0, 0], splats.radii[0, 0].amax(-1)

    def changed(**fields: Any) -> Any:
        return project(*SHAPES, *CAMERA, replace(usual, **fields))

    middle = depths[seen].median().item()
    assert torch.equal(changed(near_plane=middle).radii[0, 0].amax(-1) > 0, seen & (depths >= middle))
    assert torch.equal(changed(far_plane=middle).radii[0, 0].amax(-1) > 0, seen & (depths <= middle))
    clip = radii[seen].median().item()
    assert torch.equal(changed(radius_clip=clip).radii[0, 0].amax(-1) > 0, seen & (radii > clip))
    blurred = changed(eps2d=3.0)
    both = (blurred.radii[0, 0].amax(-1) > 0) & seen
    assert (blurred.shapes[0, 0][both, 2] < splats.shapes[0, 0][both, 2]).all()
    assert torch.equal(blurred.opacities[0, 0][both], splats.opacities[0, 0][both])
    antialiased = changed(antialiased=True)
    both = (antialiased.radii[0, 0].amax(-1) > 0) & seen
    assert (antialiased.opacities[0, 0][both] < splats.opacities[0, 0][both]).all()
    wider = changed(margin=2.0)
    both = (wider.radii[0, 0].amax(-1) > 0) & seen
    assert torch.equal(wider.radii[0, 0][both], splats.radii[0, 0][both] + 2)
    listed = [len(bin_splats(splats, 40, 30, replace(usual, margin=m)).flatten_ids) for m in (0.0, 8.0)]
    assert listed[1] > listed[0]
    narrow = {"unscented": True, "in_image_margin_factor": 0.0}
    points = changed(unscented=True)
    both = (points.radii[0, 0].amax(-1) > 0) & seen
    assert (points.shapes[0, 0][both] != splats.shapes[0, 0][both]).any(-1).all()
    for field, value in {"ut_alpha": 0.5, "ut_beta": 4.0, "ut_kappa": 2.0}.items():
        other = changed(unscented=True, **{field: value})
        assert (other.shapes[0, 0][both] != points.shapes[0, 0][both]).any(), field
    shown = [
        int((changed(**narrow | more).radii > 0).all(-1).sum())
        for more in ({"in_image_margin_factor": 1.0}, {}, {"require_all_sigma_points_valid": True})
    ]
    assert shown[0] > shown[2]
    assert shown[1] > shown[2]
    assert (
        not changed(unscented=True, bounds_only=True, antialiased=True).opacities.lt(points.opacities).any()
    )
    for size in TILE_SIZES:
        tiles = bin_splats(splats, 40, 30, replace(usual, tile_size=size))
        assert len(tiles.offsets) == -(-40 // size) * -(-30 // size) + 1
