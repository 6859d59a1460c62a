"""glTF with KHR_gaussian_splatting: axes, node transforms, integer components, the draft's logarithms."""

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from splat_files import assert_same_covariances, assert_within, typical_scene

from gsplat_core.errors import DataError
from gsplat_core.io import load, save
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.similarity import Similarity

K = "KHR_gaussian_splatting"


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    magic, version, length, size, kind = struct.unpack("<4sII I4s", content[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(content), b"JSON")
    binary_size, binary_kind = struct.unpack("<I4s", content[20 + size : 28 + size])
    assert (binary_size, binary_kind) == (len(content) - size - 28, b"BIN\0")
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def write_text(path: Path, tree: dict[str, Any], binary: bytes) -> None:
    uri = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    path.write_text(json.dumps(tree | {"buffers": [{"byteLength": len(binary), "uri": uri}]}))


def test_layout(tmp_path: Path) -> None:
    scene = typical_scene(3, 1)
    save(tmp_path / "a.glb", scene)
    tree, binary = parts(tmp_path / "a.glb")
    assert tree["extensionsUsed"] == [K]
    (primitive,) = tree["meshes"][0]["primitives"]
    assert primitive["mode"] == 0
    assert primitive["extensions"][K]["kernel"] == "ellipse"
    assert primitive["extensions"][K]["colorSpace"] == "srgb_rec709_display"

    def column(name: str) -> np.ndarray:
        accessor = tree["accessors"][primitive["attributes"][name]]
        view = tree["bufferViews"][accessor["bufferView"]]
        kind = {5126: "<f4", 5121: "u1"}[accessor["componentType"]]
        return np.frombuffer(binary[view["byteOffset"] :][: view["byteLength"]], kind).reshape(3, -1)

    assert np.allclose(column("POSITION"), scene.means * torch.tensor([-1, -1, 1]))
    assert np.allclose(column(f"{K}:SCALE"), scene.scales.exp())
    assert np.allclose(column(f"{K}:OPACITY")[:, 0], scene.opacities.sigmoid())
    assert np.allclose(column(f"{K}:SH_DEGREE_0_COEF_0"), scene.sh0[:, 0])
    assert np.allclose(column(f"{K}:SH_DEGREE_1_COEF_0"), -scene.shN[:, 0])  # the y function
    assert np.allclose(column(f"{K}:SH_DEGREE_1_COEF_1"), scene.shN[:, 1])  # the z function
    unit = torch.nn.functional.normalize(scene.quats, dim=1)
    assert np.allclose(
        column(f"{K}:ROTATION"), unit[:, [1, 2, 3, 0]] * torch.tensor([-1, -1, 1, 1]), atol=1e-6
    )
    bounds = tree["accessors"][primitive["attributes"]["POSITION"]]
    assert np.allclose(bounds["min"], column("POSITION").min(0))
    assert np.allclose(bounds["max"], column("POSITION").max(0))
    assert column("COLOR_0").shape == (3, 4)
    assert np.allclose(column("COLOR_0")[:, 3] / 255, scene.opacities.sigmoid(), atol=0.5 / 255 + 1e-6)
    # Integers stand for fractions, floats for themselves; views fill the buffer one after the other.
    end = 0
    for name, index in primitive["attributes"].items():
        accessor = tree["accessors"][index]
        assert accessor.get("normalized", False) == (accessor["componentType"] == 5121)
        assert accessor["type"] == {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[column(name).shape[1]]
        assert accessor["count"] == 3
        assert "min" not in accessor or name == "POSITION"
        view = tree["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] == end
        end += view["byteLength"]
    assert end == tree["buffers"][0]["byteLength"] == len(binary)


def test_nodes_move_turn_and_scale_their_splats(tmp_path: Path) -> None:
    """The transforms of a node and its parent are applied in glTF's axes, to colours too."""
    scene = typical_scene(5, 3)
    save(tmp_path / "a.glb", scene)
    tree, binary = parts(tmp_path / "a.glb")
    half = math.sqrt(0.5)
    tree["nodes"] = [
        {"children": [1], "translation": [1, 2, 3], "scale": [2, 2, 2]},
        {"mesh": 0, "rotation": [0, 0, half, half]},
    ]
    write_text(tmp_path / "a.gltf", tree, binary)
    about_z = torch.diag(torch.tensor([-1.0, -1, 1]))
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    move = Similarity(about_z) @ Similarity(turn, torch.tensor([1.0, 2, 3]), 2.0) @ Similarity(about_z)
    expected, read = scene.transformed(move), load(tmp_path / "a.gltf")
    assert torch.allclose(read.means, expected.means, atol=1e-5)
    assert torch.allclose(read.shN, expected.shN, atol=1e-5)
    assert_same_covariances(read, expected)


def test_several_primitives_are_one_scene(tmp_path: Path) -> None:
    scene = typical_scene(4, 2)
    save(tmp_path / "a.glb", scene)
    tree, binary = parts(tmp_path / "a.glb")
    plain = json.loads(json.dumps(tree["meshes"][0]["primitives"][0]))
    del plain["attributes"][f"{K}:SH_DEGREE_2_COEF_0"]
    tree["meshes"][0]["primitives"] += [plain, {"attributes": {"POSITION": 0}}]
    write_text(tmp_path / "a.gltf", tree, binary)
    read = load(tmp_path / "a.gltf")
    assert (read.num, read.sh_degree) == (8, 2)
    assert torch.equal(read.shN[4:, :3], read.shN[:4, :3])
    assert read.shN[4:, 3:].abs().max() == 0


def integer_tree(draft: bool = False) -> tuple[dict[str, Any], bytes]:
    """One splat with normalised integers, interleaved, and an offset; or the draft's logarithmic scale."""
    position = np.array([1, 2, 3], "<f4").tobytes()
    rotation = np.array([0, 0, 0, 127], "i1").tobytes()
    scale = np.array([-1, -2, -3] if draft else [0.5, 1, 2], "<f4").tobytes()
    opacity = np.array([51], "u1").tobytes() + b"\0\0\0"
    sh = np.array([0.1, 0.2, 0.3], "<f4").tobytes()
    binary = b"pad!" + position + rotation + scale + opacity + sh
    kinds = [
        ("VEC3", 5126, 0),
        ("VEC4", 5120, 12),
        ("VEC3", 5126, 16),
        ("SCALAR", 5121, 28),
        ("VEC3", 5126, 32),
    ]
    accessors = [
        {"type": t, "componentType": c, "byteOffset": o, "count": 1, "bufferView": 0, "normalized": c != 5126}
        for t, c, o in kinds
    ]
    names = ["POSITION", f"{K}:ROTATION", f"{K}:SCALE", f"{K}:OPACITY", f"{K}:SH_DEGREE_0_COEF_0"]
    primitive = {"mode": 0, "attributes": {n: i for i, n in enumerate(names)}, "extensions": {K: {}}}
    return {
        "asset": {"version": "2.0"},
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": [{"buffer": 0, "byteOffset": 4, "byteLength": 44, "byteStride": 44}],
    }, binary


@pytest.mark.parametrize("draft", [False, True])
def test_integer_components_and_logarithms_of_the_draft(tmp_path: Path, draft: bool) -> None:
    write_text(tmp_path / "a.gltf", *integer_tree(draft))
    read = load(tmp_path / "a.gltf")
    expected = Gaussians(
        means=torch.tensor([[-1.0, -2, 3]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
        scales=torch.tensor([[-1.0, -2, -3]]) if draft else torch.tensor([[0.5, 1, 2]]).log(),
        opacities=torch.logit(torch.tensor([0.2])),
        sh0=torch.tensor([[[0.1, 0.2, 0.3]]]),
        shN=torch.zeros(1, 0, 3),
    )
    assert_within(expected, read, {})


def test_data_beside_the_file(tmp_path: Path) -> None:
    tree, binary = integer_tree()
    (tmp_path / "a.bin").write_bytes(binary)
    for uri, good in [
        ("a.bin", True),
        ("../a.bin", False),
        ("file:///etc/passwd", False),
        ("http://a/b", False),
    ]:
        tree["buffers"] = [{"byteLength": len(binary), "uri": uri}]
        (tmp_path / "a.gltf").write_text(json.dumps(tree))
        if good:
            assert load(tmp_path / "a.gltf").num == 1
        else:
            with pytest.raises(DataError, match="only files in the same folder"):
                load(tmp_path / "a.gltf")


def nested(path: str, value: Any) -> Any:
    """A change of the tree at a path such as "accessors.0.count"."""

    def change(tree: Any) -> None:
        *way, last = [int(w) if w.isdigit() else w for w in path.split("/")]
        for step in way:
            tree = tree[step]
        tree[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (nested("accessors/0/count", 2), "2 elements do not fit into their buffer"),
        (nested("accessors/0/count", 2**60), "do not fit into their buffer"),
        (nested("accessors/0/count", -1), "non-negative integers"),
        (nested("accessors/0/byteOffset", 36), "do not fit into their buffer"),
        (nested("accessors/0/type", "VEC4"), "expected 3 numbers"),
        (nested("accessors/0/sparse", {}), "sparse"),
        (nested("bufferViews/0/byteLength", 4000), "do not fit into their buffer"),
        (nested("bufferViews/0/byteStride", 1), "do not fit into their buffer"),
        (nested("nodes/0/children", [0]), "a node has two parents, or contains itself"),
        (nested("nodes/0/scale", [1, 2, 1]), "no even scaling"),
        (nested("nodes/0/scale", [-1, 1, 1]), "no even scaling"),
        (nested("nodes/0/mesh", 7), "there is no meshes"),
        (nested("nodes/0/mesh", -1), "there is no meshes"),
        (nested("nodes", 5), "not valid glTF"),
        (nested("meshes/0/primitives/0/extensions", {}), "glTF without splats"),
        (
            nested(f"meshes/0/primitives/0/extensions/{K}/extensions", {f"{K}_compression_spz_2": {}}),
            "compressed with",
        ),
        (nested("meshes/0/primitives/0/attributes", {"POSITION": 0}), "ROTATION is missing"),
    ],
)
def test_trees_that_contradict_the_data_are_refused(tmp_path: Path, change: Any, problem: str) -> None:
    tree, binary = integer_tree()
    change(tree)
    write_text(tmp_path / "a.gltf", tree, binary)
    with pytest.raises(DataError, match=problem):
        load(tmp_path / "a.gltf")
