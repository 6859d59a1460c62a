"""gsplat_core/render/meta.py: gsplat's keys, and lists that say what was drawn where."""

from __future__ import annotations

import pytest
import torch
from splats import random_scene

from gsplat_core import rasterization
from gsplat_core.render.meta import Deferred, Meta

SCENE = random_scene(80, cameras=3, width=70, height=50)
NUM, TILES = 80, (4, 5)


def test_gsplats_keys_are_there_with_their_shapes() -> None:
    meta = rasterization(**SCENE.arguments())[2]
    shapes = {key: tuple(value.shape) for key, value in meta.items() if isinstance(value, torch.Tensor)}
    intersections = shapes["flatten_ids"]
    assert shapes == {
        "radii": (3, NUM, 2),
        "means2d": (3, NUM, 2),
        "depths": (3, NUM),
        "shapes": (3, NUM, 3),
        "conics": (3, NUM, 3),
        "opacities": (3, NUM),
        "tiles_per_gauss": (3, NUM),
        "isect_ids": intersections,
        "flatten_ids": intersections,
        "isect_offsets": (3, *TILES),
    }
    numbers = {key: value for key, value in meta.items() if isinstance(value, int)}
    assert numbers == {
        "width": 70,
        "height": 50,
        "tile_size": 16,
        "tile_width": TILES[1],
        "tile_height": TILES[0],
        "n_cameras": 3,
        "n_batches": 1,
    }
    assert {key for key, value in meta.items() if value is None} == {
        "batch_ids",
        "camera_ids",
        "gaussian_ids",
    }
    dtypes = {key: meta[key].dtype for key in ("radii", "flatten_ids", "isect_ids", "isect_offsets")}
    assert set(dtypes.values()) == {torch.int32, torch.int64}
    assert dtypes["isect_ids"] == torch.int64


def test_batch_dimensions_lead_all_shapes() -> None:
    tensors = {name: value.expand(2, 5, *value.shape) for name, value in SCENE.tensors.items()}
    meta = rasterization(**tensors, width=70, height=50, sh_degree=3)[2]
    assert meta["radii"].shape == (2, 5, 3, NUM, 2)
    assert meta["tiles_per_gauss"].shape == (2, 5, 3, NUM)
    assert meta["isect_offsets"].shape == (2, 5, 3, *TILES)
    assert (meta["n_batches"], meta["n_cameras"]) == (10, 3)


def test_the_lists_agree_with_each_other() -> None:
    meta = rasterization(**SCENE.arguments())[2]
    ids, keys = meta["flatten_ids"].long(), meta["isect_ids"]
    assert torch.equal(keys.sort(stable=True).values, keys)
    assert torch.equal(torch.bincount(ids, minlength=3 * NUM), meta["tiles_per_gauss"].flatten())
    assert not meta["tiles_per_gauss"][(meta["radii"] == 0).all(-1)].any()
    tile_bits = (TILES[0] * TILES[1]).bit_length()
    depths = (keys & 0xFFFFFFFF).int().view(torch.float32)
    assert torch.equal(depths, meta["depths"].flatten()[ids])
    assert torch.equal(keys >> (32 + tile_bits), ids // NUM)
    tiles = (ids // NUM) * TILES[0] * TILES[1] + ((keys >> 32) & ((1 << tile_bits) - 1))
    starts = torch.searchsorted(tiles, torch.arange(3 * TILES[0] * TILES[1]))
    assert torch.equal(starts, meta["isect_offsets"].flatten().long())


def test_the_packed_layout_has_the_visible_rows() -> None:
    tensors = {name: value.expand(2, *value.shape).contiguous() for name, value in SCENE.tensors.items()}
    tensors["means"] = torch.stack([SCENE.tensors["means"], 3 * SCENE.tensors["means"]])
    arguments = {**tensors, "width": 70, "height": 50, "sh_degree": 3}
    dense, packed = rasterization(**arguments)[2], rasterization(**arguments, packed=True)[2]
    rows = (packed["batch_ids"], packed["camera_ids"], packed["gaussian_ids"])
    assert torch.equal((dense["radii"] > 0).all(-1).nonzero(), torch.stack(rows, dim=1))
    for key in ("radii", "means2d", "depths", "conics", "opacities", "tiles_per_gauss"):
        assert torch.equal(packed[key], dense[key][rows])
    assert torch.equal(packed["isect_ids"], dense["isect_ids"])
    assert torch.equal(
        packed["depths"][packed["flatten_ids"]], dense["depths"].flatten()[dense["flatten_ids"]]
    )


def test_a_deferred_value_is_computed_once_and_only_when_read() -> None:
    calls = []

    def compute(value: int) -> int:
        calls.append(value)
        return 2 * value

    meta = Meta(a=1, b=Deferred(compute, (21,)))
    assert "b" in meta
    assert len(meta) == 2
    assert calls == []
    assert (meta["b"], meta["b"], meta.get("b")) == (42, 42, 42)
    assert calls == [21]


@pytest.mark.parametrize(
    "read",
    [dict, lambda meta: {**meta}, Meta.copy, lambda meta: dict(meta.items()), lambda meta: meta | {}],
    ids=["dict", "unpacked", "copy", "items", "or"],
)
def test_copies_hold_values(read) -> None:  # type: ignore[no-untyped-def]
    assert read(Meta(a=1, b=Deferred(int, ("7",)))) == {"a": 1, "b": 7}


def test_other_ways_of_reading_give_values_too() -> None:
    def fresh() -> Meta:
        return Meta(b=Deferred(int, ("7",)))

    assert list(fresh().values()) == [7]
    assert fresh().pop("b") == 7
    assert fresh().pop("c", 3) == 3
    assert fresh().get("c") is None
    with pytest.raises(KeyError):
        fresh()["c"]
