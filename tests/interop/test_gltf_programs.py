"""Our .glb is a glTF file for programs that know nothing of splats: Khronos' validator and pygltflib."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from npm_packages import Npm
from pypi_packages import PyPI
from splat_files import assert_same_covariances, assert_within, scene_of, trained_scene

from gsplat_core.io import save
from gsplat_core.io.gltf import EXTENSION
from gsplat_core.scene.similarity import Similarity

VALIDATE = """
import fs from 'node:fs';
import validator from 'gltf-validator';
const [path] = process.argv.slice(2);
const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(path)), {maxIssues: 0});
console.log(JSON.stringify(report));
"""

# Prints shapes and saves the numbers of every attribute, read as the accessors say.
READ = """
import sys
import numpy, pygltflib
file, target = sys.argv[1:]
gltf = pygltflib.GLTF2().load(file)
primitive, = gltf.meshes[0].primitives
assert primitive.mode == pygltflib.POINTS
arrays = {}
for name, number in vars(primitive.attributes).items():
    if number is None:
        continue
    accessor = gltf.accessors[number]
    view = gltf.bufferViews[accessor.bufferView]
    kind = {pygltflib.FLOAT: '<f4', pygltflib.UNSIGNED_BYTE: 'u1'}[accessor.componentType]
    width = {'SCALAR': 1, 'VEC3': 3, 'VEC4': 4}[accessor.type]
    start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
    values = numpy.frombuffer(gltf.binary_blob(), kind, accessor.count * width, start)
    arrays[name] = values.reshape(accessor.count, width)
numpy.savez(target, **arrays)
"""


@pytest.mark.parametrize("degree", [0, 3])
def test_the_validator_finds_nothing_but_names_that_the_extension_defines(
    tmp_path: Path, npm: Npm, degree: int
) -> None:
    save(tmp_path / "a.glb", trained_scene(100, degree))
    report = json.loads(npm.script(VALIDATE, tmp_path / "a.glb"))
    assert report["info"]["totalVertexCount"] == 100
    unknown = [
        message
        for message in report["issues"]["messages"]
        if message["code"] != "UNSUPPORTED_EXTENSION"
        and not (
            message["code"] == "MESH_PRIMITIVE_INVALID_ATTRIBUTE" and f"/{EXTENSION}:" in message["pointer"]
        )
    ]
    assert unknown == []


@pytest.mark.parametrize("degree", [0, 3])
def test_every_attribute_is_where_the_accessors_say(tmp_path: Path, pypi: PyPI, degree: int) -> None:
    scene = trained_scene(100, degree)
    save(tmp_path / "a.glb", scene)
    pypi.script(READ, tmp_path / "a.glb", tmp_path / "theirs.npz")
    with np.load(tmp_path / "theirs.npz") as arrays:
        splats = {name.removeprefix(f"{EXTENSION}:"): arrays[name] for name in arrays.files}
    bands = [
        splats[f"SH_DEGREE_{band}_COEF_{number}"]
        for band in range(degree + 1)
        for number in range(2 * band + 1)
    ]
    opacity = splats["OPACITY"][:, 0]
    theirs = scene_of(
        {
            "positions": splats["POSITION"],
            "scales": np.log(splats["SCALE"]),
            "rotations": splats["ROTATION"],
            "alphas": np.log(opacity / (1 - opacity)),
            "colors": bands[0],
            "sh": np.stack(bands[1:], axis=1) if degree else np.zeros(0),
        },
        "xyzw",
    )
    # glTF's axes are ours after half a turn about z.
    half_turn = Similarity(rotation=torch.diag(torch.tensor([-1.0, -1.0, 1.0])))
    expected = scene.transformed(half_turn)
    bounds = {"means": 1e-4, "scales": 1e-5, "alpha": 1e-5, "shN": 1e-5}
    assert_within(expected, theirs, bounds | {"degrees": 360})  # of the equivalent rotations, any
    assert_same_covariances(expected, theirs)
