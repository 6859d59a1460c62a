"""The official codec of .spz (two builds of it for JavaScript) and spz-js agree with this program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from npm_packages import Npm
from splat_files import assert_within, scene_of, typical_scene

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
console.log(JSON.stringify(out));
"""

SPZ_JS_READ = """
import fs from 'node:fs';
import { loadSpz } from 'spz-js';
const keys = ['positions', 'scales', 'rotations', 'alphas', 'colors', 'sh'];
const finite = (x) => Math.max(-1e30, Math.min(1e30, x));
const [path] = process.argv.slice(2);
const cloud = await loadSpz(new Uint8Array(fs.readFileSync(path)));
const out = {};
for (const key of keys) out[key] = Array.from(cloud[key], finite);
console.log(JSON.stringify(out));
"""


# For browsers, which Node.js must pass for; it makes standard deviations, alpha and RGB of the numbers.
SPZ_LOADER_READ = """
import fs from 'node:fs';
globalThis.window = globalThis;
process.type = 'renderer';
const { loadSpz } = await import('@spz-loader/core');
const keys = ['positions', 'scales', 'rotations', 'alphas', 'colors', 'sh'];
const [path] = process.argv.slice(2);
const options = {colorScaleFactor: 1, unpackOptions: {coordinateSystem: 'RDF'}};
const cloud = await loadSpz(new Uint8Array(fs.readFileSync(path)), options);
cloud.scales = cloud.scales.map(Math.log);
cloud.alphas = cloud.alphas.map((a) => Math.log(a / (1 - a))).map((x) => Math.max(-1e30, Math.min(1e30, x)));
cloud.colors = cloud.colors.map((x) => x - 0.5);
const out = {};
for (const key of keys) out[key] = Array.from(cloud[key]);
console.log(JSON.stringify(out));
"""
DECODING = {"means": 1e-6, "scales": 1e-6, "sh0": 1e-5, "shN": 1e-6, "alpha": 2e-6, "degrees": 0.01}


def decoded(npm: Npm, script: str, path: Path) -> Gaussians:
    """What a script printed about a file, as a scene."""
    told = npm.script(script, path).splitlines()[-1]  # the codec talks about what it does
    return scene_of(json.loads(told), "xyzw")


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("degree", [0, 3])
def test_the_official_codec_reads_ours_in_the_right_frame(
    tmp_path: Path, npm: Npm, version: int, degree: int
) -> None:
    save(tmp_path / "a.spz", typical_scene(200, degree), version=version)
    assert_within(
        load(tmp_path / "a.spz"),
        decoded(npm, OFFICIAL_READ, tmp_path / "a.spz"),
        DECODING,
    )


def test_spz_js_reads_our_version_2(tmp_path: Path, npm: Npm) -> None:
    save(tmp_path / "a.spz", typical_scene(200, 3), version=2, axes="ply")
    assert_within(
        load(tmp_path / "a.spz", axes="ply"),
        decoded(npm, SPZ_JS_READ, tmp_path / "a.spz"),
        DECODING,
    )


@pytest.mark.parametrize("version", [2, 3])
def test_spz_loader_reads_the_versions_it_knows(tmp_path: Path, npm: Npm, version: int) -> None:
    save(tmp_path / "a.spz", typical_scene(200, 3), version=version)
    theirs = decoded(npm, SPZ_LOADER_READ, tmp_path / "a.spz")
    assert_within(load(tmp_path / "a.spz"), theirs, DECODING | {"scales": 1e-5, "alpha": 1e-5})
