"""What was written is compared with what is read back, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from splat_files import typical_scene

from gsplat_core.io.export import _differences, _equal
from gsplat_core.scene.gaussians import Gaussians


def scene() -> Gaussians:
    return typical_scene(5, 1)


def copy(gaussians: Gaussians) -> Gaussians:
    return Gaussians.from_state_dict({name: value.clone() for name, value in gaussians.state_dict().items()})


def test_equal_scenes_have_no_differences() -> None:
    assert _differences(scene(), copy(scene()), original=False) == []


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "sh0", "shN"])
def test_one_bit_is_a_difference(name: str) -> None:
    read = copy(scene())
    values = read.params[name].clone()
    values.view(torch.int32).flatten()[3] ^= 1
    changed = Gaussians.of({**read.params, name: values}, read.primitive, read.extras, read.metadata)
    assert _differences(scene(), changed, original=False) == [name]


def test_fields_that_only_one_has_are_differences() -> None:
    more = copy(scene())
    more.extras["labels"] = torch.arange(5)
    for written, read in ((more, scene()), (scene(), more)):
        (name,) = _differences(written, read, original=False)
        assert name.endswith("labels")


def test_numbers_are_equal_by_their_value_shape_and_type() -> None:
    a = torch.tensor([1.0, torch.nan, torch.inf])
    assert _equal(a, a.clone())
    assert not _equal(a, torch.tensor([1.0, 2.0, torch.inf]))
    assert not _equal(torch.tensor([1.0, 2.0, torch.inf]), a)
    assert not _equal(a, a.double())
    assert not _equal(a, a[:2])
    assert not _equal(torch.zeros(1), torch.zeros(3))


@pytest.mark.parametrize(("steps", "equal"), [(0.9, True), (1.0, True), (1.1, False)])
def test_original_positions_may_be_rounded_to_float64(steps: float, equal: bool) -> None:
    written = scene()
    written.metadata = replace(written.metadata, offset=(2.0**40, 0.0, 0.0))
    written.means[:] = 0.0
    read = copy(written)
    read.means[2, 1] = steps * 2.0 ** (40 - 52)
    assert (_differences(written, read, original=True) == []) is equal
    assert _differences(written, read, original=False) == ["means"]
