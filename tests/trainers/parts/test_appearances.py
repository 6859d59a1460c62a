"""What all models of the photographs' looks have in common: the scene is the average look, runs go on to the
bit, and what was learnt is kept for measuring, looking and exporting."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

import gsplat_core
from gsplat_core.bilateral_grid import identity_grid
from gsplat_core.errors import DataError
from gsplat_core.render.scene import render
from trainers.cli import main
from trainers.evaluation import picture
from trainers.parts.bilateral import Bilateral
from trainers.parts.embedding import Embedding
from trainers.parts.packed import packed, unpacked
from trainers.parts.registry import APPEARANCES, with_appearance
from trainers.parts.results import AtTest, read_part_results, settled
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, load_scene


@pytest.fixture(scope="module", params=APPEARANCES)
def trained(request, tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of a few steps, with rates at which its photographs look different then."""
    appearance, run = request.param, RunFolder(tmp_path_factory.mktemp(request.param) / "run")
    rates = {
        "affine": "exposure.rate",
        "embedding": "embedding.network_rate",
        "bilateral": "bilateral.common_rate",
    }
    options = ["--preset", "tiny", "--steps", "30", "--device", "cpu", "--appearance", appearance]
    further = ["--set", f"{rates[appearance]}=0.05"]
    assert main(["train", str(tiny_scene), "-o", str(run.path), *options, *further]) == 0
    return run


@pytest.mark.parametrize("appearance", ["embedding", "bilateral"])
def test_runs_go_on_to_the_bit(config, tmp_path: Path, appearance: str) -> None:
    config = with_appearance(replace(config, background="random"), appearance)
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    resumed = interrupted_at(23, config, tmp_path / "interrupted")
    assert_same_bits(resumed.state(), straight.state())


def test_the_scene_is_what_it_looks_like_on_average(config, tmp_path: Path) -> None:
    grids, vectors = (
        Run(with_appearance(config, kind), tmp_path / kind) for kind in ("bilateral", "embedding")
    )
    for run in (grids, vectors):
        run.fit()
    bilateral, embedding = grids.trainer.parts.find(Bilateral), vectors.trainer.parts.find(Embedding)
    assert bilateral is not None
    assert embedding is not None
    # Density controls that look at more than one photograph see it as it looks, too.
    views, params = vectors.trainer.views, vectors.trainer.store.params
    seen = views.image(params, 3)
    views.shown = lambda params, camera, view: params
    assert float((seen - views.image(params, 3)).abs().max()) > 1e-3
    with torch.no_grad():
        all_grids = torch.stack([bilateral.grid(view) for view in range(9)])
        all_vectors = torch.stack([embedding.vector(view) for view in range(9)])
    assert torch.allclose(all_grids.mean(dim=0), identity_grid(), atol=1e-6)
    assert float((all_grids - identity_grid()).abs().max()) > 1e-3
    assert torch.allclose(all_vectors.mean(dim=0), torch.zeros(32), atol=1e-6)


def test_what_was_learnt_is_kept_for_measuring(trained: RunFolder, tmp_path: Path) -> None:
    before = trained.read_metrics()
    assert {"half_psnr", "half_ssim"} < before.keys()
    assert all(entry["half_psnr"] > 5 for entry in before["per_image"])
    assert "half_psnr" in before["protocol"]
    file = tmp_path / "eval.json"
    assert main(["eval", str(trained.path), "-o", str(file)]) == 0
    again = json.loads(file.read_text())
    for key in ("psnr", "half_psnr", "half_ssim"):
        assert again[key] == before[key]


def _looks(run: RunFolder):
    """Its parts as they are settled, its scene and its training views."""
    from trainers.config import read_config

    config, scene = read_config(run.config), load_scene(run.path, print).detached()
    views = load_photographs(config).train
    return AtTest(settled(config, views, read_part_results(run.parts), scene.device), views), scene, views


def test_photographs_look_different_and_others_like_the_scene(trained: RunFolder) -> None:
    compared, scene, views = _looks(trained)
    for view in views[:3]:
        seen = compared(scene, view, "black").image
        assert float((seen - picture(scene, view.camera).image).abs().max()) > 0.01
    unknown = replace(views[0].camera, name="another.png")
    other = type(views[0])(unknown, lambda: views[0].image().numpy())
    assert torch.equal(compared(scene, other, "black").image, picture(scene, unknown).image)


def test_a_photograph_is_exported_as_it_looks(trained: RunFolder, tmp_path: Path) -> None:
    compared, scene, views = _looks(trained)
    view = views[1]
    for name in ("look.ply", "look.spz"):
        assert main(["export", str(trained.path), "-o", str(tmp_path / name), "--appearance", view.name]) == 0
    assert json.loads((tmp_path / "export.json").read_text())["look.ply"]["appearance"] == view.name
    baked = render(gsplat_core.io.load(tmp_path / "look.ply"), view.camera).colors
    expected = compared(scene, view, "black").image
    plain = picture(scene, view.camera).image
    # A grid is an affine change only nearly, and a colour may be cut off at 0 before or after it.
    far, near = (float((image - expected).square().mean()) for image in (plain, baked))
    kind = next(trained.parts.glob("*.json")).stem
    assert near < {"embedding": 1e-9, "exposure": 0.1, "bilateral": 0.5}[kind] * far


def test_exports_that_cannot_be_are_refused(trained: RunFolder, tmp_path: Path, capsys) -> None:
    export = ["export", str(trained.path), "-o", str(tmp_path / "a.ply"), "--appearance"]
    assert main([*export, "000.png"]) == 2
    assert "000.png is a test photograph, of which nothing was learnt." in capsys.readouterr().err
    assert main([*export, "0001.png"]) == 2
    assert "no such training photograph; there is 001.png." in capsys.readouterr().err
    file = str(trained.point_cloud)
    assert main(["export", file, "-o", str(tmp_path / "a.ply"), "--appearance", "001.png"]) == 2
    assert "is no run" in capsys.readouterr().err
    assert not (tmp_path / "a.ply").exists()


@pytest.mark.parametrize("appearance", ["embedding", "bilateral"])
@pytest.mark.parametrize("result", [{"001.png": "AAAA"}, {"001.png": 3, "vectors": 4}, {"vectors": {}}])
def test_results_that_are_none_are_refused(config, appearance: str, result) -> None:
    if appearance == "bilateral" and "001.png" not in result:
        pytest.skip("photographs that are not named look as the scene")
    config = with_appearance(config, appearance)
    with pytest.raises(DataError, match=r"parts/.*(bilateral grid|embedding)"):
        settled(config, load_photographs(config).train, {appearance: result}, torch.device("cpu"))


def test_tensors_come_back_from_text() -> None:
    tensor = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(unpacked(packed(tensor), (3, 4), "it"), tensor)
    for text in (packed(tensor)[:-4], packed(tensor / 0), "?", 5, None, packed(tensor[:2])):
        with pytest.raises(ValueError, match="it: "):
            unpacked(text, (3, 4), "it")
