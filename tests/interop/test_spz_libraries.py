"""The official codec of .spz (Adobe's build of it for JavaScript) and spz-js agree with this program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from npm_packages import Npm
from splat_files import assert_within, typical_scene

from gsplat_core.io import load, save
from gsplat_core.scene.gaussians import Gaussians

# Decodes a file with the official codec into the frame of COLMAP's axes, as JSON.
OFFICIAL_READ = """
import fs from 'node:fs';
import createSpz from '@adobe/spz';
const spz = await createSpz();
const keys = ['positions', 'scales', 'rotations', 'alphas', 'colors', 'sh'];
const finite = (x) => Math.max(-1e30, Math.min(1e30, x));
const [path] = process.argv.slice(2);
const cloud = spz.loadSpzFromBuffer(new Uint8Array(fs.readFileSync(path)), {to: spz.CoordinateSystem.RDF});
const out = {};
for (const key of keys) out[key] = Array.from(cloud[key], finite);
out.numPoints = cloud.numPoints; out.shDegree = cloud.shDegree; out.antialiased = cloud.antialiased;
console.log(JSON.stringify(out));
"""

SPZ_JS_READ = """
import fs from 'node:fs';
import { loadSpz } from 'spz-js';
const keys = ['positions', 'scales', 'rotations', 'alphas', 'colors', 'sh'];
const finite = (x) => Math.max(-1e30, Math.min(1e30, x));
const [path] = process.argv.slice(2);
const cloud = await loadSpz(new Uint8Array(fs.readFileSync(path)));
const out = {numPoints: cloud.numPoints, shDegree: cloud.shDegree};
for (const key of keys) out[key] = Array.from(cloud[key], finite);
console.log(JSON.stringify(out));
"""


def decoded(npm: Npm, script: str, path: Path) -> Gaussians:
    """What a script printed about a file, as a scene."""
    told = json.loads(npm.script(script, path).splitlines()[-1])  # the codec talks about what it does
    n = told["numPoints"]

    def column(name: str, *shape: int) -> torch.Tensor:
        return torch.from_numpy(np.array(told[name], np.float32).reshape(n, *shape).copy())

    return Gaussians(
        means=column("positions", 3),
        quats=column("rotations", 4)[:, [3, 0, 1, 2]],
        scales=column("scales", 3),
        opacities=column("alphas").clamp(-13.8155, 13.8155),
        sh0=column("colors", 1, 3),
        shN=column("sh", -1, 3) if told["shDegree"] else torch.zeros(n, 0, 3),
    )


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("degree", [0, 3])
def test_the_official_codec_reads_ours_in_the_right_frame(
    tmp_path: Path, npm: Npm, version: int, degree: int
) -> None:
    save(tmp_path / "a.spz", typical_scene(200, degree), version=version)
    assert_within(
        load(tmp_path / "a.spz"),
        decoded(npm, OFFICIAL_READ, tmp_path / "a.spz"),
        {"means": 1e-6, "scales": 1e-6, "sh0": 1e-5, "shN": 1e-6, "alpha": 2e-6, "degrees": 0.01},
    )


def test_spz_js_reads_our_version_2(tmp_path: Path, npm: Npm) -> None:
    save(tmp_path / "a.spz", typical_scene(200, 3), version=2, axes="ply")
    assert_within(
        load(tmp_path / "a.spz", axes="ply"),
        decoded(npm, SPZ_JS_READ, tmp_path / "a.spz"),
        {"means": 1e-6, "scales": 1e-6, "sh0": 1e-5, "shN": 1e-6, "alpha": 2e-6, "degrees": 0.01},
    )
