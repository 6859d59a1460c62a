"""What `info` says of a splat file and of photographs, number by number."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from splat_files import typical_scene

import gsplat_core.io
from gsplat_core.errors import DataError, UsageError
from gsplat_core.io.usable import UnusableWarning
from gsplat_core.labels import labelled
from gsplat_core.scene.gaussians import Gaussians
from trainers.commands.info import MOST_LABELS, _rows, describe, info


def splats(num: int) -> Gaussians:
    row = torch.arange(float(num))
    return Gaussians(
        means=torch.stack([row, -2 * row, row * row], dim=1),
        quats=torch.ones(num, 4),
        scales=torch.stack([row / 4, row / 8 - 1, row * 0 - 5], dim=1),
        opacities=row - 2,
        sh0=torch.zeros(num, 1, 3),
        shN=torch.zeros(num, 8, 3),
    )


def test_a_splat_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    gsplat_core.io.save(path, splats(5))
    facts = describe(path)
    assert (facts["kind"], facts["num_gaussians"], facts["sh_degree"]) == ("splats", 5, 2)
    assert facts["bytes"] == path.stat().st_size
    assert facts["bytes_per_gaussian"] == facts["bytes"] / 5
    assert facts["not_finite"] == 0
    sigmoid = torch.sigmoid(torch.tensor([-2.0, 0.0, 2.0])).tolist()
    assert facts["opacity"] == pytest.approx(
        dict(zip(("smallest", "median", "largest"), sigmoid, strict=True))
    )
    sizes = torch.tensor([0.0, 0.5, 1.0]).exp().tolist()
    assert facts["size"] == pytest.approx(dict(zip(("smallest", "median", "largest"), sizes, strict=True)))
    assert facts["bounds"] == {"low": [0, -8, 0], "median": [2, -4, 4], "high": [4, 0, 16]}


def test_labels_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    gsplat_core.io.save(path, labelled(splats(5), torch.tensor([0, 7, -1, 7, 7])))
    facts = describe(path)
    assert facts["num_labels"] == 3
    assert facts["labels"] == {"-1": 1, "0": 1, "7": 3}
    assert ("labels", "-1 1, 0 1, 7 3") in _rows(facts)
    # Of very many only the most frequent ones.
    gsplat_core.io.save(path, labelled(splats(150), torch.arange(150).clamp(max=100)))
    facts = describe(path)
    assert (facts["num_labels"], facts["labels"]["100"], len(facts["labels"])) == (101, 50, MOST_LABELS)
    gsplat_core.io.save(path, splats(5))
    assert not {"labels", "num_labels"} & describe(path).keys()


def test_medians_of_an_even_number_are_of_the_lower_middle_of_positions(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    gsplat_core.io.save(path, splats(4))
    facts = describe(path)
    assert facts["bounds"]["median"] == [1, -4, 1]
    assert facts["opacity"]["median"] == pytest.approx(0.5)  # the third of four: halves are rounded to even


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    gsplat_core.io.save(path, splats(0))
    facts = describe(path)
    assert facts["num_gaussians"] == 0
    assert facts["bytes_per_gaussian"] == facts["bytes"]
    assert not {"opacity", "size", "bounds"} & facts.keys()


def test_photographs(tiny_scene: Path) -> None:
    facts = describe(tiny_scene)
    assert (facts["kind"], facts["images"], facts["training_images"], facts["test_images"]) == (
        "photographs", 12, 10, 2,
    )  # fmt: skip
    assert facts["sizes"] == {"48x36": 12}
    assert (facts["points"], facts["masked_images"], facts["warnings"]) == (80, 0, [])
    assert facts["scene_extent"] > 1.1 * 3.5
    assert "offset" not in facts


def test_options_that_do_not_fit_and_paths_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    gsplat_core.io.save(path, splats(2))
    with pytest.raises(UsageError, match="--sparse-model is about photographs"):
        describe(path, {"sparse_model": "0"})
    with pytest.raises(DataError, match="no such file"):
        describe(tmp_path / "b.ply")


def test_lines_for_people() -> None:
    facts = {
        "num_gaussians": 1234567,
        "opacity": {"smallest": 0.25, "largest": 0.123456789},
        "further": {},
        "finished": True,
        "resumed": False,
        "bounds": {"low": [123456.789, 1.5]},
        "warnings": ["first", "second"],
        "nothing": None,
        "metrics": {"split": "test", "psnr": 30.123456, "masks": {"used": 3}},
    }
    rows = _rows(facts)
    assert rows[1:3] == [("opacity", "smallest 0.25, largest 0.12346"), ("further", "none")]
    assert ("finished", "yes") in rows
    assert ("resumed", "no") in rows
    assert [value for name, value in rows if name == "warnings"] == ["first", "second"]
    assert ("metrics: split", "test") in rows
    assert ("metrics: psnr", "30.123") in rows
    assert ("metrics: masks", "used 3") in rows


def test_json_is_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.ply"
    gsplat_core.io.save(path, splats(3))
    info(path, json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(describe(path)))
    info(path)
    shown = capsys.readouterr().out
    assert "num gaussians" in shown
    assert "{" not in shown


def test_what_stands_out_is_counted_and_the_remedy_is_named(tmp_path: Path) -> None:
    scene = typical_scene(400, 0)
    scene.opacities.clamp_(min=-3)
    scene.scales[:] = 1
    scene.opacities[:3] = -9
    scene.scales[5:7] = 6
    scene.means[10] = 5000
    scene.means[11] = torch.nan
    scene.opacities[12] = torch.inf
    path = tmp_path / "a b.ply"
    gsplat_core.io.save(path, scene)
    with pytest.warns(UnusableWarning, match="2 of 400 splats"):
        facts = describe(path)
    assert facts["num_gaussians"] == 399
    assert facts["outliers"] == {"unusable": 2, "invisible": 3, "huge": 2, "far": 1, "isolated": 1}
    assert facts["remedy"].endswith(f"clean '{path}' -o {tmp_path / 'clean.ply'}")
    assert ("outliers", "unusable 2, invisible 3, huge 2, far 1, isolated 1") in _rows(facts)


def test_a_scene_without_outliers_needs_no_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    for num in (0, 1, 300):
        scene = typical_scene(num, 0)
        scene.opacities.clamp_(min=-3)
        scene.scales[:] = 1
        gsplat_core.io.save(path, scene)
        facts = describe(path)
        assert set(facts["outliers"].values()) == {0}
        assert "remedy" not in facts


def test_maps_of_depths_and_normals_are_described(tiny_scene: Path, tmp_path: Path) -> None:
    assert "depth" not in describe(tiny_scene)
    folder = tmp_path / "capture"
    shutil.copytree(tiny_scene, folder)
    for name, values in (("depths", np.ones((36, 48))), ("given", np.full((36, 48, 3), -0.6))):
        (folder / name).mkdir()
        np.save(folder / name / "001.npy", values)
    facts = describe(folder, {"normals": Path("given")})
    assert facts["normals"] == [f"1 of 10 training photographs have a map in {folder / 'given'}."]
    assert "1 of 10 training photographs have a map" in facts["depth"][0]
    assert facts["depth"][-1] == "train uses them with --depth depths."
    (folder / "depths" / "001.npy").write_bytes(b"broken")
    assert "001.npy: cannot be read" in describe(folder)["depth"][0]
    with pytest.raises(DataError, match=r"001\.npy: cannot be read"):
        describe(folder, {"depth": Path("depths")})
