"""gsplat_core/compat/gsplat_package/compression.py: gsplat's folders of PNG images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gsplat_core.compat.gsplat_package import distributed
from gsplat_core.compat.gsplat_package.compression import PngCompression
from gsplat_core.errors import DataError

NUM, SIDE = 150, 12


def splats(coefficients: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    shapes = {
        "means": (3,), "scales": (3,), "quats": (4,), "opacities": (), "sh0": (1, 3),
        "shN": (coefficients, 3), "features": (5,),
    }  # fmt: skip
    return {name: torch.randn(NUM, *shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("use_sort", [False, True])
@pytest.mark.parametrize("coefficients", [0, 3])
def test_what_is_written_comes_back_up_to_rounding(tmp_path: Path, use_sort: bool, coefficients: int) -> None:
    given = splats(coefficients)
    before = {name: tensor.clone() for name, tensor in given.items()}
    with pytest.warns(UserWarning, match="6 Gaussians beyond a square are left out"):
        PngCompression(use_sort=use_sort).compress(tmp_path / "new", given)
    assert all(torch.equal(given[name], before[name]) for name in before)
    found = PngCompression().decompress(tmp_path / "new")
    rows = torch.cdist(found["features"], given["features"]).argmin(dim=1)  # kept as they are
    assert set(rows.tolist()) == set(given["opacities"].argsort(descending=True)[: SIDE * SIDE].tolist())
    extents = {"means": 2e-3, "scales": 0.03, "opacities": 0.03, "sh0": 0.03, "shN": 0.15}
    for name, largest in extents.items():
        assert found[name].shape == given[name][rows].shape
        torch.testing.assert_close(found[name], given[name][rows], atol=largest, rtol=0)
    unit = torch.nn.functional.normalize(given["quats"], dim=-1)[rows]
    torch.testing.assert_close(found["quats"], unit, atol=0.01, rtol=0)


def test_the_files_are_those_of_gsplat(tmp_path: Path) -> None:
    PngCompression(verbose=False).compress(tmp_path, splats())
    names = {path.name for path in tmp_path.iterdir()}
    images = {"means_l": 3, "means_u": 3, "scales": 3, "quats": 4, "opacities": 1, "sh0": 3}
    assert names == {"meta.json", "shN.npz", "features.npz", *(f"{name}.png" for name in images)}
    for name, channels in images.items():
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.size == (SIDE, SIDE)
            assert len(image.getbands()) == channels
    with np.load(tmp_path / "shN.npz") as arrays:
        assert arrays["centroids"].max() < 64
        assert arrays["labels"].dtype == np.uint16
    meta = json.loads((tmp_path / "meta.json").read_text())
    assert meta["means"].keys() == {"shape", "dtype", "mins", "maxs"}
    assert (meta["shN"]["quantization"], meta["shN"]["dtype"]) == (6, "float32")


def test_equal_numbers_come_back(tmp_path: Path) -> None:
    given = {name: torch.ones_like(tensor[:9]) for name, tensor in splats().items()}
    PngCompression().compress(tmp_path, given)
    found = PngCompression().decompress(tmp_path)
    torch.testing.assert_close(found["scales"], given["scales"])


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    without = {name: tensor for name, tensor in splats().items() if name != "sh0"}
    bad = {**splats(), "opacities": torch.full((NUM,), float("nan"))}
    outside = {**splats(), "../escape": torch.zeros(NUM)}
    for given, problem in (
        (without, "sh0 is missing"),
        (bad, "must be finite"),
        (outside, "name of letters"),
    ):
        with pytest.raises(ValueError, match=problem):
            PngCompression().compress(tmp_path / "new", given)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("meta.json", b"[]"),
        ("meta.json", b'{"../x": {"shape": [1], "dtype": "float32"}}'),
        ("meta.json", b'{"means": {"shape": [1e9, 3], "dtype": "float32"}}'),
        ("scales.png", b"no image"),
        ("shN.npz", b"no archive"),
        ("means_u.png", None),
    ],
)
def test_damage_is_told_with_the_file(tmp_path: Path, file: str, content: bytes | None) -> None:
    PngCompression(verbose=False).compress(tmp_path, splats())
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError):
        PngCompression().decompress(tmp_path)


def test_the_world_is_this_process() -> None:
    seen: list[object] = []
    assert distributed.cli(lambda *given: seen.append(given), "settings")
    assert seen == [(0, 0, 1, "settings")]
    tensors = [torch.zeros(2)]
    assert distributed.all_gather_int32(1, 5) == [5]
    assert distributed.all_gather_tensor_list(1, tensors) == tensors
    with pytest.raises(NotImplementedError, match="a world of 2"):
        distributed.all_to_all_int32(2, [1, 2])
