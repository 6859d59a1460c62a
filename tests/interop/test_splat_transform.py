"""PlayCanvas' splat-transform, which viewers such as SuperSplat are built on, and this program read each
other.

Both decode the same file to the same numbers, whoever wrote it; and what they wrote of one scene is that
scene within the bounds of the format. Rows are compared in the file's order, so that a mix-up of splats
cannot pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from npm_packages import Npm
from paths import real_scene
from splat_files import assert_same_covariances, assert_within, matched, trained_scene, typical_scene

from gsplat_core.io import load, save
from gsplat_core.scene.gaussians import Gaussians

# File name, options of ours, of reading, and of theirs.
FORMATS: dict[str, tuple[str, dict[str, Any], dict[str, Any], list[str]]] = {
    "compressed.ply": ("a.compressed.ply", {}, {}, []),
    "spz 4": ("a.spz", {"version": 4, "axes": "ply"}, {"axes": "ply"}, []),
    "spz 3": ("a.spz", {"version": 3, "axes": "ply"}, {"axes": "ply"}, ["--spz-version", "3"]),
    "spz 2": ("a.spz", {"version": 2, "axes": "ply"}, {"axes": "ply"}, []),
    "sog": ("a.sog", {"palette": 256}, {}, []),
    "sog folder": ("meta.json", {"palette": 256}, {}, []),
    "splat": ("a.splat", {}, {}, []),
}
# How far two decoders of the same bytes may be apart: arithmetic, and where they clamp alpha.
DECODING = {"means": 1e-4, "scales": 1e-5, "sh0": 1e-5, "shN": 1e-5, "alpha": 2e-6, "degrees": 0.01}


def scene(degree: int) -> Gaussians:
    return trained_scene(900, degree)


@pytest.mark.parametrize("case", FORMATS)
@pytest.mark.parametrize("degree", [0, 3])
def test_they_read_what_we_write(tmp_path: Path, npm: Npm, case: str, degree: int) -> None:
    name, options, reading, _ = FORMATS[case]
    save(tmp_path / name, scene(0 if case == "splat" else degree), **options)
    npm.splat_transform(tmp_path / name, tmp_path / "theirs.ply")
    ours, theirs = load(tmp_path / name, **reading), load(tmp_path / "theirs.ply")
    slack = {"degrees": 1.2} if case == "splat" else {}  # they decode its rotations with another zero
    assert_within(ours, theirs, DECODING | slack)


@pytest.mark.parametrize(
    ("case", "degree"),
    [("sog folder", 0), *[(case, 3) for case in ("compressed.ply", "spz 4", "spz 3")], ("sog", 1)],
)
def test_we_read_what_they_write(tmp_path: Path, npm: Npm, case: str, degree: int) -> None:
    name, _, reading, flags = FORMATS[case]
    original = scene(degree)
    if "sog" in case:
        original = original.subset(slice(0, 100))  # their k-means without a GPU takes its time
    save(tmp_path / "original.ply", original)
    npm.splat_transform(*flags, tmp_path / "original.ply", tmp_path / name)
    npm.splat_transform(tmp_path / name, tmp_path / "theirs.ply")
    ours, theirs = load(tmp_path / name, **reading), load(tmp_path / "theirs.ply")
    assert_within(ours, theirs, DECODING)
    assert ours.num == original.num


def test_they_read_our_plain_ply_and_we_theirs(tmp_path: Path, npm: Npm) -> None:
    original = scene(3)
    save(tmp_path / "original.ply", original)
    npm.splat_transform(tmp_path / "original.ply", tmp_path / "theirs.ply")
    theirs = load(tmp_path / "theirs.ply")
    assert all(torch.equal(original.params[name], theirs.params[name]) for name in original.params)


def test_we_read_their_gltf(tmp_path: Path, npm: Npm) -> None:
    """They turn quaternions in another, equivalent way: covariances are compared."""
    original = scene(3)
    save(tmp_path / "original.ply", original)
    npm.splat_transform(tmp_path / "original.ply", tmp_path / "a.glb")
    read = load(tmp_path / "a.glb")
    assert_within(original, read, {"scales": 1e-5, "alpha": 1e-6, "degrees": 360})
    assert_same_covariances(original, read)


@pytest.mark.parametrize("case", ["compressed.ply", "spz 4", "sog"])
def test_quantised_by_either_the_scene_is_as_good(tmp_path: Path, npm: Npm, case: str) -> None:
    """Our mean squared errors are not above theirs, save for a fifth where tables of few numbers come into
    it.
    """
    name, options, reading, flags = FORMATS[case]
    original = typical_scene(200, 1)
    save(tmp_path / "original.ply", original)
    npm.splat_transform(*flags, tmp_path / "original.ply", tmp_path / name)
    theirs = load(tmp_path / name, **reading)
    save(tmp_path / name, original, **options | ({"palette": 128} if case == "sog" else {}))
    ours = load(tmp_path / name, **reading)
    for field in ("means", "scales", "sh0", "shN"):
        error = [
            float((getattr(matched(original, read), field) - getattr(original, field)).square().mean())
            for read in (ours, theirs)
        ]
        assert error[0] <= 1.2 * error[1] + 1e-12, field


def test_both_read_alike_what_others_trained_and_saved(tmp_path: Path, npm: Npm) -> None:
    """A .splat file of another program, whole."""
    path = real_scene("trained_ply") / "trained_22764.splat"
    npm.splat_transform(path, tmp_path / "theirs.ply")
    ours, theirs = load(path), load(tmp_path / "theirs.ply")
    assert ours.num == 22_764
    assert_within(ours, theirs, DECODING | {"degrees": 1.2})  # they decode its rotations with another zero


@pytest.mark.parametrize("name", ["a.spz", "a.sog", "a.compressed.ply", "b.ply"])
@pytest.mark.parametrize("antialiased", [True, False])
def test_they_understand_how_a_scene_is_drawn_and_so_do_we(
    tmp_path: Path, npm: Npm, name: str, antialiased: bool
) -> None:
    scene = typical_scene(60, 0).with_metadata(antialiased=antialiased)
    save(tmp_path / "ours.ply", scene)
    npm.splat_transform("-g", "cpu", tmp_path / "ours.ply", tmp_path / name)
    assert load(tmp_path / name).metadata.antialiased == antialiased
    save(tmp_path / name, scene)
    npm.splat_transform("-g", "cpu", tmp_path / name, tmp_path / "theirs.ply")
    assert load(tmp_path / "theirs.ply").metadata.antialiased == antialiased
