"""Scenes at the edge of what numbers and formats hold are written right, or refused whole with a reason."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from splat_files import typical_scene

from gsplat_core.errors import GsplatError, UnsuitableSceneError, UsageError
from gsplat_core.io import FORMATS, DataWarning, export_verified, save
from gsplat_core.io.format import Format
from gsplat_core.scene.gaussians import Gaussians

WRITABLE = [known for known in FORMATS if known.save is not None]


def with_row(field: str, value: float, other: float | None = None) -> Callable[[], Gaussians]:
    """A scene with a splat, or two, whose numbers in a field are all this."""

    def make() -> Gaussians:
        scene = typical_scene(20, 1)
        getattr(scene, field)[3] = value
        if other is not None:
            getattr(scene, field)[4] = other
        return scene

    return make


def all_equal() -> Gaussians:
    scene = typical_scene(20, 1)
    for values in (scene.means, scene.scales, scene.sh0, scene.shN, scene.opacities):
        values[:] = values[:1].clone()
    return scene


SCENES: dict[str, Callable[[], Gaussians]] = {
    **{f"means {v:g}": with_row("means", v) for v in (1e4, 1e7, 1e20, 3e38)},
    "means of both signs": with_row("means", 3e38, -3e38),
    **{f"scales {v:g}": with_row("scales", v) for v in (44, 30, -80, -100, -1e30, -3e38)},
    **{f"sh0 {v:g}": with_row("sh0", v) for v in (1e3, 1e20, -3e38)},
    "sh0 of both signs": with_row("sh0", 3e38, -3e38),
    **{f"shN {v:g}": with_row("shN", v) for v in (1e3, 1e20, -3e38)},
    "shN of both signs": with_row("shN", 3e38, -3e38),
    **{f"opacities {v:g}": with_row("opacities", v) for v in (1e3, 3e38, -3e38)},
    "no splats": lambda: typical_scene(20, 1).subset(slice(0)),
    "no splats without harmonics": lambda: typical_scene(20, 0).subset(slice(0)),
    "one splat": lambda: typical_scene(1, 4),
    "all equal": all_equal,
    "beyond float32": lambda: with_row("means", 1e30)().to(dtype=torch.float64).transformed(_enlarged()),
    "float16": lambda: typical_scene(20, 1).to(dtype=torch.float16),
    "bfloat16": lambda: typical_scene(20, 1).to(dtype=torch.bfloat16),
    "with gradients": lambda: typical_scene(20, 1).requires_grad_(),
}


def _enlarged():
    from gsplat_core.scene.similarity import Similarity

    return Similarity(scale=1e10)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("known", WRITABLE, ids=lambda known: known.ending)
def test_written_right_or_refused_whole(tmp_path: Path, known: Format, name: str) -> None:
    target = tmp_path / (known.ending if known.folder else f"a{known.ending}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", DataWarning)
        refused = ""
        try:
            read = export_verified(target, SCENES[name]())
        except GsplatError as error:
            refused = str(error)
    if refused:
        assert str(target) in refused
        assert "faulty" not in refused, "blames the disk"
        assert list(tmp_path.iterdir()) == []
    else:
        assert all(bool(values.isfinite().all()) for values in read.params.values())


def test_what_spz_cannot_reach_is_told_with_the_name_that_was_given(tmp_path: Path) -> None:
    with pytest.raises(UnsuitableSceneError, match=r"far\.spz: positions up to 1e\+07 .* shrink the scene"):
        export_verified(tmp_path / "far.spz", with_row("means", 1e7)())
    with pytest.raises(UnsuitableSceneError, match=r"empty\.sog: SOG needs at least one Gaussian"):
        export_verified(tmp_path / "empty.sog", typical_scene(3, 0).subset(slice(0)))


def test_colours_that_are_cut_are_counted(tmp_path: Path) -> None:
    with pytest.warns(DataWarning, match=r"colours of 1 splats were cut at \+-1e\+06"):
        save(tmp_path / "a.glb", with_row("shN", 1e20)())


def test_fields_that_ply_cannot_name_can_be_left_out(tmp_path: Path) -> None:
    scene = typical_scene(3, 0)
    for name in ("größe", "bell\x07", "日本"):
        scene.extras = {name: torch.zeros(3)}
        with pytest.raises(UnsuitableSceneError, match=r"needs an ASCII name.* extras=false"):
            export_verified(tmp_path / "a.ply", scene)
        assert export_verified(tmp_path / "a.ply", scene, extras=False).extras == {}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.spz", {"sh_bits": 9}, "sh_bits must be from 1 to 8, not 9"),
        ("a.spz", {"sh1_bits": 0}, "sh1_bits must be from 1 to 8, not 0"),
        ("a.sog", {"palette": 0}, "palette must be from 1 to 65,536, not 0"),
        ("a.sog", {"palette": -5}, "palette must be"),
        ("a.sog", {"palette": 10**9}, "palette must be"),
        ("a.sog", {"iterations": 0}, "iterations must be from 1 to 1,000, not 0"),
        ("meta.json", {"effort": 101}, "effort must be from 0 to 100, not 101"),
    ],
)
def test_options_out_of_range_are_usage(tmp_path: Path, name: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        save(tmp_path / name, typical_scene(5, 1), **options)
    assert list(tmp_path.iterdir()) == []
