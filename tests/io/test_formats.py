"""What holds for every file format: errors within its bounds, damage refused, nothing else touched."""

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from splat_files import assert_within, matched, smallest_three_degrees, typical_scene

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import FORMATS, DataWarning, load, save
from gsplat_core.io.options import options_of, parse_options
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import SH_C0

Bounds = Callable[[Gaussians], dict[str, Any]]


def compressed_ply_bounds(scene: Gaussians) -> dict[str, Any]:
    """Steps relative to the extent of a chunk, for which that of the scene is an upper bound."""
    half_steps = torch.tensor([1 / 4094, 1 / 2046, 1 / 4094])
    extent = (values.amax(0) - values.amin(0) for values in (scene.means, scene.scales))
    means, scales = (half_steps * e for e in extent)
    colors = scene.sh0.amax(0) - scene.sh0.amin(0)
    rotation = smallest_three_degrees(2**0.5 / 2046)
    return {"means": means, "scales": scales, "sh0": colors / 510, "shN": 1 / 64} | {
        "alpha": 1 / 510,
        "degrees": rotation,
    }


def spz_bounds(
    scene: Gaussians, degrees: float = smallest_three_degrees(1 / (1022 * 2**0.5))
) -> dict[str, Any]:
    bounds = {"means": 2**-13, "scales": 1 / 32, "sh0": 1 / (510 * 0.15), "shN": 1 / 64}
    return bounds | {"alpha": 1 / 510, "degrees": degrees}


def sog_bounds(scene: Gaussians) -> dict[str, Any]:
    """Tables of 256 entries are as good as equal steps; the palette here has a row for every splat."""
    warped = scene.means.sign() * scene.means.abs().log1p()
    means = (warped.amax(0) - warped.amin(0)) / 131070 * (1 + scene.means.abs())
    extent = {n: float(v.max() - v.min()) if v.numel() else 0.0 for n, v in scene.params.items()}
    bounds = {"means": means, **{name: extent[name] / 32 for name in ("scales", "sh0", "shN")}}
    return bounds | {"alpha": 1 / 510, "degrees": smallest_three_degrees(2**0.5 / 510)}


def splat_bounds(scene: Gaussians) -> dict[str, Any]:
    outside = (scene.sh0.abs() - 0.5 / SH_C0).clamp(min=0)  # clipped
    bounds = {"scales": 1e-6, "sh0": 1 / (510 * SH_C0) + outside}
    return bounds | {"alpha": 1 / 510, "degrees": smallest_three_degrees(1 / 256) * 2}


def gltf_bounds(scene: Gaussians) -> dict[str, Any]:
    return {"scales": 1e-6, "alpha": 1e-6, "degrees": 1e-4}


# File name, options, bounds of the error, highest SH degree. A palette of 65536 rows has one for every splat
# here.
CASES: dict[str, tuple[str, dict[str, Any], Bounds, int]] = {
    "compressed.ply": ("a.compressed.ply", {}, compressed_ply_bounds, 3),
    "spz 3": ("a.spz", {}, spz_bounds, 4),
    "spz 4": ("a.spz", {"version": 4}, spz_bounds, 4),
    "spz 2": ("a.spz", {"version": 2}, lambda scene: spz_bounds(scene, degrees=12.0), 4),
    "spz in axes of the ply": ("a.spz", {"axes": "ply"}, spz_bounds, 4),
    "sog": ("a.sog", {"palette": 65536}, sog_bounds, 3),
    "sog folder": ("meta.json", {"palette": 65536}, sog_bounds, 3),
    "html": ("a.html", {"palette": 65536}, sog_bounds, 3),
    "splat": ("a.splat", {}, splat_bounds, 0),
    "glb": ("a.glb", {}, gltf_bounds, 4),
}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def reading_options(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name == "axes"}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("num", [1, 255, 256, 257])
def test_errors_are_within_the_bounds_of_the_format(tmp_path: Path, case: str, num: int) -> None:
    name, options, bounds, max_degree = CASES[case]
    for degree in range(max_degree + 1):
        scene = typical_scene(num, degree)
        save(tmp_path / name, scene, **options)
        read = load(tmp_path / name, strict=True, **reading_options(options))
        assert read.sh_degree == degree
        assert_within(scene, matched(scene, read), bounds(scene))


@pytest.mark.parametrize("case", CASES)
def test_a_second_conversion_changes_nothing(tmp_path: Path, case: str) -> None:
    """What a reader makes of its codes, the writer turns into the same codes; tables are made anew."""
    name, options, _, max_degree = CASES[case]
    save(tmp_path / name, typical_scene(300, max_degree), **options)
    once = load(tmp_path / name, **reading_options(options))
    save(tmp_path / name, once, **options)
    twice = load(tmp_path / name, **reading_options(options))
    slack = 0.02 if "sog" in case or "html" in case or "compressed" in case else 1e-5
    assert_within(
        once,
        matched(once, twice),
        {"means": slack / 10, "scales": slack, "sh0": slack, "shN": slack, "degrees": 2.0},
    )


@pytest.mark.parametrize("case", CASES)
def test_the_same_bytes_for_any_number_of_threads_and_the_scene_is_left_alone(
    tmp_path: Path, case: str
) -> None:
    name, options, _, max_degree = CASES[case]
    options = options | ({"palette": 64} if "palette" in options else {})
    scene = typical_scene(20_000, min(max_degree, 1))
    before = {key: value.clone() for key, value in scene.state_dict().items()}
    contents, threads = [], torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            save(tmp_path / name, scene, **options)
            contents.append([path.read_bytes() for path in sorted(tmp_path.iterdir())])
    finally:
        torch.set_num_threads(threads)
    assert contents[0] == contents[1]
    assert all(torch.equal(before[key], value) for key, value in scene.state_dict().items())


@pytest.mark.parametrize("case", CASES)
def test_what_a_format_cannot_hold_is_told(tmp_path: Path, case: str) -> None:
    name, options, _, max_degree = CASES[case]
    scene = typical_scene(5, 4)
    scene.extras["feature"] = torch.arange(5)
    with pytest.warns(DataWarning) as told:
        save(tmp_path / name, scene, **options)
    assert "'feature'" in str(told[0].message)
    assert (f"beyond degree {max_degree}" in str(told[0].message)) == (max_degree < 4)
    assert load(tmp_path / name).extras == {}
    content = (tmp_path / name).read_bytes()
    scene.means[3, 1] = float("nan")
    with pytest.raises(ValueError, match="position not finite, first number 3"):
        save(tmp_path / name, scene, **options)
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("case", CASES)
def test_extreme_splats_survive(tmp_path: Path, case: str) -> None:
    """Fully opaque, invisible and flat ones, quaternions of any length, colours far outside."""
    name, options, _, max_degree = CASES[case]
    scene = typical_scene(9, max_degree)
    scene.opacities[:4] = torch.tensor([float("inf"), -float("inf"), 30, -30])
    scene.scales[4, 2] = -float("inf")
    scene.scales[5] = 20.0
    scene.quats[6] *= 1e-10
    scene.quats[7] *= 1e10
    scene.sh0[8] = torch.tensor([50.0, -50.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", DataWarning)  # that a flat splat was repaired
        save(tmp_path / name, scene, **options)
        read = matched(scene, load(tmp_path / name, **reading_options(options)))
    assert all(bool(value.isfinite().all()) for value in read.params.values())
    assert read.opacities.sigmoid()[:4].tolist() == pytest.approx([1, 0, 1, 0], abs=1e-5)


def test_options_are_checked_and_parsed() -> None:
    known = {f.ending: f for f in FORMATS}
    spz, sog = known[".spz"], known[".sog"]
    assert spz.save is not None
    assert sog.save is not None
    assert set(options_of(spz.save)) == {"version", "axes", "sh1_bits", "sh_bits", "antialiased"}
    texts = ["version=4", "axes=ply", "antialiased=true"]
    assert parse_options(spz.save, texts, "spz") == {"version": 4, "axes": "ply", "antialiased": True}
    assert parse_options(sog.save, ["palette=none"], "sog") == {"palette": None}
    for texts, message in [
        (["version=5"], r"version must be 2\|3\|4, not '5'"),
        (["quality=1"], "no option 'quality'. Options: version=2|3|4; axes=rub|ply; sh1_bits=INTEGER"),
        (["antialiased=maybe"], r"true\|false"),
    ]:
        with pytest.raises(
            UsageError, match=message.replace("Options: version=2|3|4", "Options: version=2.3.4")
        ):
            parse_options(spz.save, texts, "spz")


def test_json_of_a_folder_cannot_reach_outside(tmp_path: Path) -> None:
    save(tmp_path / "meta.json", typical_scene(4, 0))
    meta = json.loads((tmp_path / "meta.json").read_text())
    for name in ("../secret.webp", "/etc/passwd", "..", "", "a\\b", 5):
        meta["scales"]["files"] = [name]
        (tmp_path / "meta.json").write_text(json.dumps(meta))
        with pytest.raises(DataError, match=r"scales.files: .* is not the name of a file beside it"):
            load(tmp_path / "meta.json")
